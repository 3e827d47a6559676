//! Reads the descriptions that an `api.toml` names.

use std::{io::ErrorKind, path::Path};

use meshwise_api::{
    Contract, Date, Declaration, Diagnostic, Finding, Provides, Release,
    contract::{Description, MAX_BYTES},
};

/// The description of one version.
#[derive(Debug)]
pub(crate) struct Described<'a> {
    /// The API.
    pub provides: &'a Provides,
    /// The version.
    pub release: &'a Release,
    /// Where the version stands in `api.toml`: `provides[0].versions[1]`.
    pub path: String,
    /// Its name in the dictionary.
    pub contract: Contract,
    /// Its text.
    pub text: Vec<u8>,
}

/// Reads all descriptions that are files; URLs stay links, and nothing is fetched.
///
/// What is missing or cannot be read is told, and denied.
#[must_use]
pub(crate) fn gather<'a>(
    folder: &Path,
    declaration: &'a Declaration,
    today: Date,
) -> (Vec<Described<'a>>, Vec<Diagnostic>) {
    let (mut described, mut found) = (Vec::new(), Vec::new());
    for (at, provides) in declaration.provides.iter().enumerate() {
        let shared = super::newest(provides, today);
        for (index, release) in provides.versions.iter().enumerate() {
            let path = format!("provides[{at}].versions[{index}]");
            let own =
                release.description.as_deref().map(|file| (file, format!("{path}.description")));
            let of_api = || {
                let is_it = shared
                    .is_some_and(|newest| newest.version.as_str() == release.version.as_str());
                let file = provides.description.as_deref().filter(|_| is_it)?;
                Some((file, format!("provides[{at}].description")))
            };
            let Some((file, key)) = own.or_else(of_api) else { continue };
            if file.contains("://") {
                continue;
            }
            match read(folder, file) {
                Ok(text) => described.push(Described {
                    provides,
                    release,
                    path,
                    contract: Contract::new(file, &text),
                    text,
                }),
                Err((message, help)) => found.push(
                    Diagnostic::new(Finding::MISSING_DESCRIPTION, message)
                        .with_subject(&provides.api, release.version.as_str())
                        .with_location(declaration.locate(&key))
                        .with_help(help),
                ),
            }
        }
    }
    (described, found)
}

fn read(folder: &Path, file: &str) -> Result<Vec<u8>, (String, String)> {
    let path = folder.join(file);
    let shown = path.display();
    let correct =
        || "correct the path, which begins at the folder of api.toml, or remove the key".to_owned();
    let bytes = match path.metadata() {
        Ok(metadata) if !metadata.is_file() => Err((format!("{shown} is no file"), correct())),
        Ok(metadata) if metadata.len() > MAX_BYTES as u64 => {
            let message =
                format!("{shown} has {} bytes, at most {MAX_BYTES} are read", metadata.len());
            Err((message, "split the description".to_owned()))
        }
        Ok(_) => std::fs::read(&path)
            .map_err(|error| (format!("cannot read {shown}: {error}"), correct())),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Err((format!("the description {shown} does not exist"), correct()))
        }
        Err(error) => Err((format!("cannot read {shown}: {error}"), correct())),
    }?;
    let mend = || "mend the description; it is what callers build against".to_owned();
    let text =
        std::str::from_utf8(&bytes).map_err(|_| (format!("{shown} is not UTF-8"), mend()))?;
    Description::read(file, text).map_err(|error| (error.to_string(), mend()))?;
    Ok(bytes)
}
