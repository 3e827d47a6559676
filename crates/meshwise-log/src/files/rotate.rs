//! Older files: named by the moment they were put away, compressed, and the oldest deleted.

use super::options;
use crate::format::{rfc3339, since_1970};
use flate2::{Compression, write::GzEncoder};
use std::{
    ffi::OsString,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::SystemTime,
};

/// Looks after the older files of one.
#[derive(Clone, Debug)]
pub(super) struct Rotated {
    path: PathBuf,
    /// The file's name before the moment, and what comes after it: `orders-` and `.log`.
    stem: String,
    end: String,
    keep: usize,
    gzip: bool,
    mode: u32,
    /// One thread at a time compresses and deletes.
    busy: Arc<std::sync::Mutex<()>>,
}

impl Rotated {
    pub(super) fn of(path: &Path, keep: usize, gzip: bool, mode: u32) -> Self {
        let part =
            |part: Option<&std::ffi::OsStr>| part.map(|part| part.to_string_lossy().into_owned());
        let stem = part(path.file_stem()).unwrap_or_default();
        let end = part(path.extension()).map_or_else(String::new, |end| format!(".{end}"));
        let stem = format!("{stem}-");
        Self { path: path.to_owned(), stem, end, keep, gzip, mode, busy: Arc::default() }
    }

    /// Gives the file the name of an older one, and looks after those in a thread of its own.
    pub(super) fn put_away(&self, now: SystemTime) -> io::Result<()> {
        let moment = moment(now);
        let name = |n: u32| {
            let number = if n == 0 { String::new() } else { format!("_{n:03}") };
            self.path.with_file_name(format!("{}{moment}{number}{}", self.stem, self.end))
        };
        let free = |path: &PathBuf| !path.exists() && !packed(path).exists();
        let Some(older) = (0..1000).map(name).find(free) else {
            return Err(io::ErrorKind::AlreadyExists.into());
        };
        fs::rename(&self.path, older)?;
        let all = self.clone();
        // Without a thread they are looked after the next time.
        let _ = thread::Builder::new().name("meshwise-rotate".to_owned()).spawn(move || all.tidy());
        Ok(())
    }

    /// Compresses older files and deletes the oldest. What fails is tried again the next time.
    fn tidy(&self) {
        let Ok(_busy) = self.busy.lock() else { return };
        let mut files = self.older().unwrap_or_default();
        let excess = files.len().saturating_sub(self.keep);
        for file in files.drain(..excess) {
            let _gone = fs::remove_file(file);
        }
        if self.gzip {
            for file in files.iter().filter(|file| file.extension().is_none_or(|end| end != "gz")) {
                let _ = self.pack(file);
            }
        }
    }

    /// Lists the older files, the oldest first: their names sort as their moments do.
    fn older(&self) -> io::Result<Vec<PathBuf>> {
        let dir = self.path.parent().filter(|dir| !dir.as_os_str().is_empty());
        let mut files = Vec::new();
        for entry in fs::read_dir(dir.unwrap_or(Path::new(".")))? {
            let entry = entry?;
            if entry.file_name().to_str().is_some_and(|name| self.is_older(name)) {
                files.push(entry.path());
            }
        }
        files.sort_unstable();
        Ok(files)
    }

    fn is_older(&self, name: &str) -> bool {
        let name = name.strip_suffix(".gz").unwrap_or(name);
        let moment = name.strip_prefix(&self.stem).and_then(|rest| rest.strip_suffix(&self.end));
        moment.is_some_and(|moment| {
            moment.starts_with(|c: char| c.is_ascii_digit())
                && moment.bytes().all(|c| c.is_ascii_digit() || matches!(c, b'T' | b'Z' | b'_'))
        })
    }

    fn pack(&self, path: &Path) -> io::Result<()> {
        let unfinished = with_end(path, ".gz.new");
        let to = options(self.mode).create(true).truncate(true).write(true).open(&unfinished)?;
        let mut packed_file = GzEncoder::new(to, Compression::default());
        io::copy(&mut File::open(path)?, &mut packed_file)?;
        packed_file.finish()?.sync_data()?;
        fs::rename(unfinished, packed(path))?;
        fs::remove_file(path)
    }
}

fn packed(path: &Path) -> PathBuf {
    with_end(path, ".gz")
}

fn with_end(path: &Path, end: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(end);
    name.into()
}

/// Writes a moment as `20261128T160000Z`.
fn moment(now: SystemTime) -> String {
    let stamp = rfc3339(since_1970(now));
    let digits = stamp[..19].iter().filter(|c| !matches!(c, b'-' | b':'));
    digits.map(|c| char::from(*c)).chain(['Z']).collect()
}
