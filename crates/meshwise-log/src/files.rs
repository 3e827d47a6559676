//! Files of lines that are rotated, compressed and kept in a number.

mod rotate;

use crate::output::open_appending;
use rotate::Rotated;
use signal_hook::consts::SIGHUP;
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant, SystemTime},
};

const MAX_BYTES: u64 = 100 << 20;
const KEEP: usize = 10;
const MODE: u32 = 0o640;
/// How often it is looked whether another program has taken the file away.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Says at which moments of UTC a new file begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RotateEvery {
    /// At each full hour.
    Hour,
    /// At midnight.
    Day,
}

/// Describes a file of lines.
///
/// ```text
/// orders.log                           grows
/// orders-20261128T160000Z.log.gz       rotated at that moment, and compressed
/// ```
///
/// The file is opened anew on SIGHUP, and once another program (`logrotate`) has renamed or removed it.
/// Lines are never divided between two files. Of a link the file that it leads to is rotated; what is
/// no file (`/dev/stdout`, a pipe) is written to, and never rotated.
///
/// Several processes may write to one file (Unix): one of them puts it away, the others follow within a
/// second, and it is compressed or deleted once none of them has it open any more (they hold it by
/// `flock`). It may grow somewhat longer than was set.
#[derive(Clone, Debug)]
#[must_use]
pub struct FileConfig {
    path: PathBuf,
    max_bytes: u64,
    every: Option<RotateEvery>,
    keep: usize,
    gzip: bool,
    mode: u32,
    narrow: bool,
    clock: fn() -> SystemTime,
}

impl FileConfig {
    /// Describes a file of at most 100 MiB, of which ten older ones are kept, compressed; owner and
    /// group may read them (0640).
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            max_bytes: MAX_BYTES,
            every: None,
            keep: KEEP,
            gzip: true,
            mode: MODE,
            narrow: false,
            clock: SystemTime::now,
        }
    }

    /// Sets with how many bytes a new file begins; 64 KiB at least.
    pub fn with_max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = bytes.max(64 << 10);
        self
    }

    /// Begins a new file at certain times too.
    pub fn with_rotation(mut self, every: RotateEvery) -> Self {
        self.every = Some(every);
        self
    }

    /// Sets how many older files are kept.
    pub fn with_kept(mut self, files: usize) -> Self {
        self.keep = files;
        self
    }

    /// Sets whether older files are compressed.
    pub fn with_gzip(mut self, on: bool) -> Self {
        self.gzip = on;
        self
    }

    /// Sets who may read and write the files (Unix): `0o600` for the owner alone.
    pub fn with_mode(mut self, mode: u32) -> Self {
        self.mode = mode & 0o777;
        self
    }

    /// Takes rights from a file that is there already, down to the mode.
    pub(crate) const fn narrowed(mut self) -> Self {
        self.narrow = true;
        self
    }

    /// Takes the time of rotations from `clock` instead of the system's.
    #[doc(hidden)]
    pub fn with_clock(mut self, clock: fn() -> SystemTime) -> Self {
        self.clock = clock;
        self
    }

    /// Opens the file.
    pub(crate) fn open(self) -> io::Result<RotatingFile> {
        let file = open_held(&self)?;
        let hangup = Arc::new(AtomicBool::new(false));
        // Where signals cannot be handled, the file is looked after all the same.
        let _registered = signal_hook::flag::register(SIGHUP, Arc::clone(&hangup));
        let length = length(&file, &self.path)?;
        let period = self.period();
        let rotated = Rotated::of(&self.path, self.keep, self.gzip, self.mode);
        let looked = Instant::now();
        let whole = true;
        if length.is_some() {
            // A process that ended may have left some.
            rotated.tidy_aside();
        }
        Ok(RotatingFile { config: self, file, length, period, whole, hangup, looked, rotated })
    }

    /// Returns the number of the hour or day.
    fn period(&self) -> u64 {
        let now = (self.clock)().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        match self.every {
            None => 0,
            Some(RotateEvery::Hour) => now.as_secs() / 3_600,
            Some(RotateEvery::Day) => now.as_secs() / 86_400,
        }
    }
}

fn open(config: &FileConfig) -> io::Result<File> {
    let file = open_appending(options(config.mode), &config.path)?;
    #[cfg(unix)]
    if config.narrow {
        use std::os::unix::fs::PermissionsExt as _;
        let mut there = file.metadata()?.permissions();
        // One that was there already may be open to more than were meant.
        if there.mode() & 0o777 & !config.mode != 0 {
            there.set_mode(there.mode() & 0o777 & config.mode);
            file.set_permissions(there)?;
        }
    }
    Ok(file)
}

/// Opens the file and holds it, so that no process compresses or deletes it as an older one.
fn open_held(config: &FileConfig) -> io::Result<File> {
    // Once it is opened and not yet held, another process may put it away.
    for _ in 0..10 {
        let file = open(config)?;
        if length(&file, &config.path)?.is_none() || rotate::holds(&file, &config.path) {
            return Ok(file);
        }
    }
    open(config)
}

/// Returns how long a file is; `None` for what is none, or leads to what the process was given
/// (`/dev/stdout`): that is another's, though it be a file.
fn length(file: &File, path: &Path) -> io::Result<Option<u64>> {
    let there = file.metadata()?;
    Ok((there.is_file() && !is_given(path)).then_some(there.len()))
}

/// Tells whether a path leads through the files that a process has open.
fn is_given(path: &Path) -> bool {
    let mut path = path.to_owned();
    // Links that lead in a circle cannot be opened.
    for _ in 0..40 {
        if ["/proc", "/dev/fd"].iter().any(|given| path.starts_with(given)) {
            return true;
        }
        let Ok(to) = fs::read_link(&path) else { return false };
        path = path.parent().unwrap_or(Path::new("/")).join(to);
    }
    false
}

/// Opens files with a mode, where there are modes.
#[cfg_attr(not(unix), allow(unused_variables, reason = "modes are Unix's"))]
fn options(mode: u32) -> OpenOptions {
    #[cfg_attr(not(unix), allow(unused_mut, reason = "modes are Unix's"))]
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    options
}

/// Writes to a file that is opened once that is possible: what cannot be written until then is told and
/// counted as for any output.
#[derive(Debug)]
pub(crate) struct LateFile {
    config: FileConfig,
    file: Option<RotatingFile>,
}

impl LateFile {
    pub(crate) const fn new(config: FileConfig) -> Self {
        Self { config, file: None }
    }

    fn file(&mut self) -> io::Result<&mut RotatingFile> {
        let file = match self.file.take() {
            Some(file) => file,
            None => self.config.clone().open()?,
        };
        Ok(self.file.insert(file))
    }
}

impl Write for LateFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file()?.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.as_mut().map_or(Ok(()), RotatingFile::flush)
    }
}

/// Writes lines to a file, and to the next when it is time.
#[derive(Debug)]
pub(crate) struct RotatingFile {
    config: FileConfig,
    file: File,
    /// `None` of what is no file, but a device or a pipe: others use that too, and it has no end.
    length: Option<u64>,
    period: u64,
    /// What was written last ended a line.
    whole: bool,
    hangup: Arc<AtomicBool>,
    looked: Instant,
    rotated: Rotated,
}

impl RotatingFile {
    /// Opens the file anew if that was asked for, or if it is gone.
    fn look(&mut self) -> io::Result<()> {
        let asked = self.hangup.swap(false, Relaxed);
        if !asked && self.looked.elapsed() < LOOK_EVERY {
            return Ok(());
        }
        self.looked = Instant::now();
        if asked || !rotate::is_at(&self.file, &self.config.path) {
            self.open_anew()?;
        }
        Ok(())
    }

    fn rotate(&mut self) -> io::Result<()> {
        self.period = self.config.period();
        if matches!(self.length, None | Some(0)) {
            return Ok(());
        }
        // (Another process may have done so.)
        if rotate::is_at(&self.file, &self.config.path) {
            self.rotated.put_away(&self.file, (self.config.clock)())?;
        }
        self.open_anew()
    }

    /// Lets go of the file that was open, which may be compressed then.
    fn open_anew(&mut self) -> io::Result<()> {
        self.file = open_held(&self.config)?;
        self.length = length(&self.file, &self.config.path)?;
        self.rotated.tidy_aside();
        Ok(())
    }
}

impl Write for RotatingFile {
    /// Writes as many whole lines as the file has room for, and at least one.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.whole {
            self.look()?;
            // Others may write to it, too.
            self.length = self.length.and_then(|_| Some(self.file.metadata().ok()?.len()));
            let first =
                bytes.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |at| at + 1);
            let full =
                self.length.is_some_and(|length| length + first as u64 > self.config.max_bytes);
            if full || self.period != self.config.period() {
                // If the old file cannot be put away, lines rather go on in it.
                let _ = self.rotate();
            }
        }
        let room = self.config.max_bytes.saturating_sub(self.length.unwrap_or(0));
        let room = usize::try_from(room).unwrap_or(usize::MAX).min(bytes.len());
        let end = match bytes[..room].iter().rposition(|byte| *byte == b'\n') {
            Some(last) => last + 1,
            None => bytes.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |at| at + 1),
        };
        let written = self.file.write(&bytes[..end])?;
        self.length = self.length.map(|length| length + written as u64);
        self.whole = written.checked_sub(1).map_or(self.whole, |last| bytes[last] == b'\n');
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
