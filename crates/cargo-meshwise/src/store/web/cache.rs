//! What was read from the web, kept on this machine.
//!
//! Only ever a help: an error here reads as "not cached".

use std::{
    fs,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use url::Url;

use crate::{files::replace, store::MAX_BYTES};

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

    /// Reads what was kept, with its entity tag.
    pub(super) fn read(&self, path: &str) -> Option<(Bytes, Option<String>)> {
        let file = self.folder.as_ref()?.join(path);
        if fs::metadata(&file).ok()?.len() > MAX_BYTES as u64 {
            return None;
        }
        let bytes = fs::read(&file).ok()?;
        Some((bytes.into(), fs::read_to_string(etag_file(&file)).ok()))
    }

    /// Returns when an answer was last known to be right: seconds since 1970.
    pub(super) fn as_of(&self, path: &str) -> Option<i64> {
        let file = self.folder.as_ref()?.join(path);
        let modified = fs::metadata(file).ok()?.modified().ok()?;
        let since = modified.duration_since(UNIX_EPOCH).ok()?;
        i64::try_from(since.as_secs()).ok()
    }

    /// Notes that an answer is still right.
    pub(super) fn touch(&self, path: &str) {
        if let Some(folder) = &self.folder
            && let Ok(file) = fs::File::options().append(true).open(folder.join(path))
        {
            let _ = file.set_modified(SystemTime::now());
        }
    }

    /// Drops a folder of answers; `false` when there is none.
    pub(super) fn remove_folder(&self, path: &str) -> bool {
        let Some(folder) = &self.folder else {
            return false;
        };
        fs::remove_dir_all(folder.join(path)).is_ok()
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
