//! A dictionary that lies in a folder: `services/<name>/<seq>.json`, and the organisation's policy.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use meshwise_api::{Dictionary, Document, Policy};

use crate::error::Error;

/// What could be read of a dictionary.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) dictionary: Dictionary,
    /// The services whose newest document cannot be read, and the reason.
    pub(crate) unread: Vec<(String, String)>,
}

/// Reads the newest document of every service under a folder. What is named otherwise is no document,
/// and is passed over: writers put files of their own beside them for a moment.
///
/// A document that is damaged, or that a newer release wrote, stops only what needs it.
pub(crate) fn read(folder: &Path) -> Result<Loaded, Error> {
    // Without `services` a dictionary is empty; without the folder there is none.
    fs::metadata(folder).map_err(|source| failed(folder, source))?;
    let (mut heads, mut unread) = (Vec::new(), Vec::new());
    for service in list(&folder.join("services"))?.into_iter().filter(|path| path.is_dir()) {
        match head(folder, &service)? {
            Ok(document) => heads.extend(document),
            Err(reason) => {
                let name = service.file_name().unwrap_or_default().to_string_lossy();
                unread.push((name.into_owned(), reason));
            }
        }
    }
    let dictionary = Dictionary::from_heads(heads).with_policy(policy(folder)?);
    Ok(Loaded { dictionary, unread })
}

/// Reads a service's newest document; none where there is none, or the reason it cannot be trusted.
fn head(folder: &Path, service: &Path) -> Result<Result<Option<Document>, String>, Error> {
    let paths = list(service)?;
    let mut numbers: Vec<u64> = paths.iter().filter_map(|path| number(path)).collect();
    numbers.sort_unstable();
    let Some(newest) = numbers.last() else { return Ok(Ok(None)) };
    if let Some((missing, _)) = (1..).zip(&numbers).find(|(expected, there)| expected != *there) {
        let place = service.join(format!("{missing}.json"));
        return Ok(Err(format!("{} is missing", place.display())));
    }
    let path = service.join(format!("{newest}.json"));
    let bytes = fs::read(&path).map_err(|source| failed(&path, source))?;
    Ok(match Document::from_json(&bytes) {
        Err(error) => Err(format!("{}: {error}", path.display())),
        // The digest proves what a document says, not where it lies.
        Ok(document) if folder.join(document.path()) != path => {
            Err(format!("{} holds what belongs to {}", path.display(), document.path()))
        }
        Ok(document) => Ok(Some(document)),
    })
}

/// Reads the number that a document is named by.
fn number(path: &Path) -> Option<u64> {
    let stem = path.file_stem()?.to_str()?;
    let json = path.extension().is_some_and(|extension| extension == "json");
    let digits = !stem.starts_with('0') && stem.bytes().all(|b| b.is_ascii_digit());
    stem.parse().ok().filter(|_| json && digits)
}

/// Reads the organisation's policy; the default where there is none.
fn policy(folder: &Path) -> Result<Policy, Error> {
    let path = folder.join("policy.toml");
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Policy::default()),
        Err(source) => return Err(failed(&path, source)),
    };
    Policy::parse(&path.display().to_string(), &text).map_err(Error::Policy)
}

/// Lists a folder by name; one that does not exist is empty.
fn list(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(failed(folder, source)),
    };
    let mut paths = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|source| failed(folder, source))?;
    paths.sort();
    Ok(paths)
}

fn failed(path: &Path, source: io::Error) -> Error {
    Error::Io { what: "read", path: path.to_owned(), source }
}
