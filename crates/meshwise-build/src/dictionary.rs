//! A dictionary that lies in a folder: `services/<name>/<seq>.json`.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use meshwise_api::{Dictionary, Document};

use crate::error::Error;

/// Reads every document under a folder. What is named otherwise is no document, and is passed over:
/// writers put files of their own beside them for a moment.
pub(crate) fn read(folder: &Path) -> Result<Dictionary, Error> {
    let services = folder.join("services");
    // Without `services` a dictionary is empty; without the folder there is none.
    fs::metadata(folder).map_err(|source| failed(folder, source))?;
    let mut documents = Vec::new();
    for service in list(&services)? {
        if service.is_dir() {
            for path in list(&service)? {
                if is_document(&path) {
                    documents.push(document(folder, &path)?);
                }
            }
        }
    }
    Dictionary::from_documents(documents)
        .map_err(|source| Error::Chain { path: folder.to_owned(), source })
}

fn is_document(path: &Path) -> bool {
    let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let json = path.extension().is_some_and(|extension| extension == "json");
    json && !stem.is_empty() && stem.bytes().all(|b| b.is_ascii_digit())
}

fn document(folder: &Path, path: &Path) -> Result<Document, Error> {
    let bytes = fs::read(path).map_err(|source| failed(path, source))?;
    let document = Document::from_json(&bytes)
        .map_err(|source| Error::Document { path: path.to_owned(), source })?;
    // The digest proves what a document says, not where it lies.
    if folder.join(document.path()) != path {
        return Err(Error::Misplaced { path: path.to_owned(), expected: document.path() });
    }
    Ok(document)
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
