//! Older files: named by the moment they were put away, compressed, and the oldest deleted.

use super::options;
use crate::format::{rfc3339, since_1970};
use flate2::{Compression, write::GzEncoder};
use std::{
    ffi::OsString,
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::SystemTime,
};

/// The end of what is not compressed as a whole yet.
const UNFINISHED: &str = ".gz.new";

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

    /// Gives the file the name of an older one, unless another process has done so. Where the path is
    /// a link, the file that it leads to is put away, beside itself, and the link stays.
    pub(super) fn put_away(&self, file: &File, now: SystemTime) -> io::Result<()> {
        let all = self.resolved()?;
        // One process at a time looks for a name that is not taken, and takes it. None waits for
        // another here: its lines go on in the old file.
        let _turn = take_turn(all.dir())?;
        if !is_at(file, &all.path) {
            return Ok(());
        }
        fs::rename(&all.path, all.next(moment(now))?)
    }

    /// Looks after older files in a thread of its own.
    pub(super) fn tidy_aside(&self) {
        let Ok(all) = self.resolved() else { return };
        // Without a thread they are looked after the next time.
        let _ = thread::Builder::new().name("meshwise-rotate".to_owned()).spawn(move || all.tidy());
    }

    /// Returns the same for the file that a link leads to.
    fn resolved(&self) -> io::Result<Self> {
        let there = fs::canonicalize(&self.path)?;
        let there = Self::of(&there, self.keep, self.gzip, self.mode);
        Ok(Self { busy: Arc::clone(&self.busy), ..there })
    }

    fn dir(&self) -> &Path {
        let dir = self.path.parent().filter(|dir| !dir.as_os_str().is_empty());
        dir.unwrap_or(Path::new("."))
    }

    /// Names the next older file: it comes after all that are there, whatever the clock says, and
    /// however many of the same second were deleted already.
    fn next(&self, moment: String) -> io::Result<PathBuf> {
        let (moment, mut n) = match self.older()?.pop() {
            Some(((last, n), _)) if last >= moment => (last, n.saturating_add(1)),
            _ => (moment, 0),
        };
        loop {
            let number = if n == 0 { String::new() } else { format!("_{n:03}") };
            let name = format!("{}{moment}{number}{}", self.stem, self.end);
            let path = self.path.with_file_name(name);
            // One that is compressed while the directory is listed may be in no list.
            if !path.exists() && !packed(&path).exists() {
                return Ok(path);
            }
            n = n.checked_add(1).ok_or(io::ErrorKind::AlreadyExists)?;
        }
    }

    /// Compresses older files and deletes the oldest. What fails is tried again the next time.
    fn tidy(&self) {
        let Ok(_busy) = self.busy.lock() else { return };
        self.remove_unfinished();
        let mut files = self.older().unwrap_or_default();
        let excess = files.len().saturating_sub(self.keep);
        for (_, file) in files.drain(..excess) {
            match File::open(&file) {
                Ok(open) if !is_free(&open, &file) => {}
                _ => drop(fs::remove_file(file)),
            }
        }
        if self.gzip {
            let plain = |file: &&PathBuf| file.extension().is_none_or(|end| end != "gz");
            for file in files.iter().map(|(_, file)| file).filter(plain) {
                let _ = self.pack(file);
            }
        }
    }

    /// Removes what a process left that ended while it compressed a file.
    fn remove_unfinished(&self) {
        let names = |name: &str| name.strip_suffix(UNFINISHED).and_then(|name| self.turn(name));
        for (_, file) in self.listed(names).unwrap_or_default() {
            let from = file.with_extension("").with_extension("");
            match File::open(&from) {
                // It is being compressed now.
                Ok(open) if !is_free(&open, &from) => {}
                _ => drop(fs::remove_file(file)),
            }
        }
    }

    /// Lists the older files, the oldest first.
    fn older(&self) -> io::Result<Vec<(Turn, PathBuf)>> {
        self.listed(|name| self.turn(name.strip_suffix(".gz").unwrap_or(name)))
    }

    fn listed(&self, turn: impl Fn(&str) -> Option<Turn>) -> io::Result<Vec<(Turn, PathBuf)>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(self.dir())? {
            let entry = entry?;
            if let Some(turn) = entry.file_name().to_str().and_then(&turn) {
                files.push((turn, entry.path()));
            }
        }
        files.sort_unstable();
        Ok(files)
    }

    /// Reads the name of an older file; `None` if it is a stranger's.
    fn turn(&self, name: &str) -> Option<Turn> {
        let turn = name.strip_prefix(&self.stem)?.strip_suffix(&self.end)?;
        let (moment, n) = match turn.split_once('_') {
            Some((moment, n)) => (moment, n.parse().ok()?),
            None => (turn, 0),
        };
        let shape = moment.bytes().map(|c| if c.is_ascii_digit() { b'0' } else { c });
        shape.eq(*b"00000000T000000Z").then(|| (moment.to_owned(), n))
    }

    fn pack(&self, path: &Path) -> io::Result<()> {
        let from = File::open(path)?;
        if !is_free(&from, path) {
            return Ok(());
        }
        let unfinished = with_end(path, UNFINISHED);
        let to = options(self.mode).create(true).truncate(true).write(true).open(&unfinished)?;
        let mut packed_file = GzEncoder::new(to, Compression::default());
        io::copy(&mut &from, &mut packed_file)?;
        packed_file.finish()?.sync_data()?;
        fs::rename(unfinished, packed(path))?;
        fs::remove_file(path)
    }
}

/// Holds a file that is written to, for as long as it is open; `false` if it is not at its path any more.
pub(super) fn holds(file: &File, path: &Path) -> bool {
    // Elsewhere a lock would keep us from writing, too.
    let locked = if cfg!(unix) { file.try_lock_shared() } else { Ok(()) };
    !matches!(locked, Err(TryLockError::WouldBlock)) && is_at(file, path)
}

/// Tells whether no process writes to an older file, or looks after it; none does until `file` is closed.
fn is_free(file: &File, path: &Path) -> bool {
    !matches!(file.try_lock(), Err(TryLockError::WouldBlock)) && is_at(file, path)
}

/// Takes a directory for as long as what is returned is there.
///
/// # Errors
/// If another process has it now. Where there are no such locks, it is not known who else has it.
fn take_turn(dir: &Path) -> io::Result<Option<File>> {
    let Ok(dir) = File::open(dir) else { return Ok(None) };
    match dir.try_lock() {
        Err(TryLockError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
        _ => Ok(Some(dir)),
    }
}

/// Tells whether a file is still the one at its path.
#[cfg(unix)]
pub(super) fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    match (file.metadata(), fs::metadata(path)) {
        (Ok(open), Ok(there)) => (open.dev(), open.ino()) == (there.dev(), there.ino()),
        _ => false,
    }
}

#[cfg(not(unix))]
pub(super) fn is_at(_: &File, path: &Path) -> bool {
    path.exists()
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
