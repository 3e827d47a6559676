//! What was read from the web, kept on this machine.
//!
//! Only ever a help: an error here reads as "not cached".

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use url::Url;

use crate::store::MAX_BYTES;

/// The variable that names another folder for the cache.
const FOLDER: &str = "MESHWISE_CACHE";

#[derive(Debug)]
pub(super) struct Cache {
    folder: Option<PathBuf>,
}

impl Cache {
    /// Opens the part of the cache that belongs to a URL, in the folder given or the usual one.
    pub(super) fn of(url: &Url, folder: Option<&Path>) -> Self {
        let name: String = Sha256::digest(url.as_str())
            .iter()
            .take(16)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        Self { folder: folder.map(Path::to_path_buf).or_else(root).map(|root| root.join(name)) }
    }

    /// Reads what was kept, with its ETag.
    pub(super) fn read(&self, path: &str) -> Option<(Bytes, Option<String>)> {
        let file = self.folder.as_ref()?.join(path);
        if fs::metadata(&file).ok()?.len() > MAX_BYTES as u64 {
            return None;
        }
        let bytes = fs::read(&file).ok()?;
        Some((bytes.into(), fs::read_to_string(etag_file(&file)).ok()))
    }

    /// Keeps an answer.
    pub(super) fn write(&self, path: &str, bytes: &[u8], etag: Option<&str>) {
        let Some(file) = self.folder.as_ref().map(|folder| folder.join(path)) else {
            return;
        };
        let etag_file = etag_file(&file);
        // The old ETag goes first: new bytes under an old ETag would be taken for the old ones.
        let _ = fs::remove_file(&etag_file);
        if replace(&file, bytes).is_ok()
            && let Some(etag) = etag
        {
            let _ = replace(&etag_file, etag.as_bytes());
        }
    }
}

fn etag_file(file: &Path) -> PathBuf {
    file.with_extension("etag")
}

/// Writes a file whole or not at all, whoever else writes it.
fn replace(file: &Path, bytes: &[u8]) -> std::io::Result<()> {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    let staged = file.with_extension(format!("{:x}.part", fastrand::u64(..)));
    let written = fs::File::create_new(&staged)
        .and_then(|mut staged| staged.write_all(bytes))
        .and_then(|()| fs::rename(&staged, file));
    if written.is_err() {
        let _ = fs::remove_file(&staged);
    }
    written
}

/// Finds the folder for caches: `MESHWISE_CACHE`, else `cargo-meshwise` in the user's own.
fn root() -> Option<PathBuf> {
    let variable =
        |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    if let Some(folder) = variable(FOLDER) {
        return Some(folder);
    }
    let caches = variable("XDG_CACHE_HOME")
        .or_else(|| variable("LOCALAPPDATA"))
        .or_else(|| std::env::home_dir().map(|home| home.join(".cache")))?;
    Some(caches.join("cargo-meshwise"))
}
