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

/// Says where an older file stands among the others: its moment, and its number in that second.
type Turn = (String, u32);

impl Rotated {
    pub(super) fn of(path: &Path, keep: usize, gzip: bool, mode: u32) -> Self {
        let part =
            |part: Option<&std::ffi::OsStr>| part.map(|part| part.to_string_lossy().into_owned());
        let stem = part(path.file_stem()).unwrap_or_default();
        let end = part(path.extension()).map_or_else(String::new, |end| format!(".{end}"));
        let stem = format!("{stem}-");
        Self { path: path.to_owned(), stem, end, keep, gzip, mode, busy: Arc::default() }
    }

    /// Gives the file the name of an older one, and looks after those in a thread of its own. Where
    /// the path is a link, the file that it leads to is put away, beside itself, and the link stays.
    pub(super) fn put_away(&self, now: SystemTime) -> io::Result<()> {
        let there = fs::canonicalize(&self.path)?;
        let there = Self::of(&there, self.keep, self.gzip, self.mode);
        let all = Self { busy: Arc::clone(&self.busy), ..there };
        fs::rename(&all.path, all.next(moment(now))?)?;
        // Without a thread they are looked after the next time.
        let _ = thread::Builder::new().name("meshwise-rotate".to_owned()).spawn(move || all.tidy());
        Ok(())
    }

    /// Names the next older file: it comes after all that are there, whatever the clock says, and
    /// however many of the same second were deleted already.
    fn next(&self, moment: String) -> io::Result<PathBuf> {
        let (moment, n) = match self.older()?.pop() {
            Some(((last, n), _)) if last >= moment => (last, n.saturating_add(1)),
            _ => (moment, 0),
        };
        let number = if n == 0 { String::new() } else { format!("_{n:03}") };
        Ok(self.path.with_file_name(format!("{}{moment}{number}{}", self.stem, self.end)))
    }

    /// Compresses older files and deletes the oldest. What fails is tried again the next time.
    fn tidy(&self) {
        let Ok(_busy) = self.busy.lock() else { return };
        let mut files = self.older().unwrap_or_default();
        let excess = files.len().saturating_sub(self.keep);
        for (_, file) in files.drain(..excess) {
            let _gone = fs::remove_file(file);
        }
        if self.gzip {
            let plain = |file: &&PathBuf| file.extension().is_none_or(|end| end != "gz");
            for file in files.iter().map(|(_, file)| file).filter(plain) {
                let _ = self.pack(file);
            }
        }
    }

    /// Lists the older files, the oldest first.
    fn older(&self) -> io::Result<Vec<(Turn, PathBuf)>> {
        let dir = self.path.parent().filter(|dir| !dir.as_os_str().is_empty());
        let mut files = Vec::new();
        for entry in fs::read_dir(dir.unwrap_or(Path::new(".")))? {
            let entry = entry?;
            if let Some(turn) = entry.file_name().to_str().and_then(|name| self.turn(name)) {
                files.push((turn, entry.path()));
            }
        }
        files.sort_unstable();
        Ok(files)
    }

    /// Reads the name of an older file; `None` if it is a stranger's.
    fn turn(&self, name: &str) -> Option<Turn> {
        let name = name.strip_suffix(".gz").unwrap_or(name);
        let turn = name.strip_prefix(&self.stem)?.strip_suffix(&self.end)?;
        let (moment, n) = match turn.split_once('_') {
            Some((moment, n)) => (moment, n.parse().ok()?),
            None => (turn, 0),
        };
        let shape = moment.bytes().map(|c| if c.is_ascii_digit() { b'0' } else { c });
        shape.eq(*b"00000000T000000Z").then(|| (moment.to_owned(), n))
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
