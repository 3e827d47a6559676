//! Where lines go.

use crate::delivery::Deliver;
#[cfg(feature = "spool")]
use crate::delivery::spool::SpoolConfig;
use std::{
    fmt,
    fs::{File, OpenOptions},
    io::{self, IsTerminal, Write},
    path::Path,
    sync::Arc,
};

/// Names where lines go.
pub struct LogOutput(pub(crate) Target);

pub(crate) enum Target {
    Stdout,
    Stderr,
    Writer(Box<dyn Write + Send>),
    Memory(LogLines),
    Delivery(Delivered),
}

/// A transport, and what stands before it.
pub(crate) struct Delivered {
    pub(crate) deliver: Box<dyn Deliver>,
    #[cfg(feature = "spool")]
    pub(crate) spool: Option<SpoolConfig>,
}

impl LogOutput {
    /// Writes to standard output, where container runtimes collect from.
    #[must_use]
    pub fn stdout() -> Self {
        Self(Target::Stdout)
    }

    /// Writes to standard error.
    #[must_use]
    pub fn stderr() -> Self {
        Self(Target::Stderr)
    }

    /// Appends to a file, made if it is not there.
    ///
    /// # Errors
    /// If it cannot be opened, or is a pipe (FIFO) that no one reads.
    pub fn file(path: impl AsRef<Path>) -> io::Result<Self> {
        Ok(Self::writer(open_appending(OpenOptions::new(), path.as_ref())?))
    }

    /// Appends to a file that is rotated by size and time, and opened anew when it was taken away.
    ///
    /// # Errors
    /// If it cannot be opened.
    #[cfg(feature = "files")]
    pub fn rotated_file(config: crate::files::FileConfig) -> io::Result<Self> {
        Ok(Self::writer(config.open()?))
    }

    /// Writes to anything; whole lines at a time, from the writer's own thread.
    #[must_use]
    pub fn writer(writer: impl Write + Send + 'static) -> Self {
        Self(Target::Writer(Box::new(writer)))
    }

    /// Keeps lines in memory, at once and without limit, for tests.
    #[must_use]
    pub fn memory(lines: &LogLines) -> Self {
        Self(Target::Memory(lines.clone()))
    }

    /// Sends batches of lines by a transport: [`Fluent`](crate::Fluent), [`Bulk`](crate::Bulk), or one of
    /// your own. While the other side is away, lines wait in the queue.
    #[must_use]
    pub fn delivery(transport: impl Deliver) -> Self {
        Self(Target::Delivery(Delivered {
            deliver: Box::new(transport),
            #[cfg(feature = "spool")]
            spool: None,
        }))
    }

    /// Puts a spool on disk before the transport: while the other side is away, lines wait there, and
    /// survive the process. What is no transport (a stream or a file) has none, and stays as it is.
    #[cfg(feature = "spool")]
    #[must_use]
    pub fn with_spool(mut self, spool: SpoolConfig) -> Self {
        if let Target::Delivery(delivered) = &mut self.0 {
            delivered.spool = Some(spool);
        }
        self
    }

    pub(crate) fn is_terminal(&self) -> bool {
        match self.0 {
            Target::Stdout => io::stdout().is_terminal(),
            Target::Stderr => io::stderr().is_terminal(),
            Target::Writer(_) | Target::Memory(_) | Target::Delivery(_) => false,
        }
    }
}

/// Opens a file to append to, and never waits for another process: to open a pipe with a name blocks until
/// a reader is there, and so would the start of the service. What is written later finds the pipe full or
/// not; the writer's thread waits for it as for any output.
pub(crate) fn open_appending(mut options: OpenOptions, path: &Path) -> io::Result<File> {
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NONBLOCK);
    options.open(path).map_err(|error| {
        #[cfg(unix)]
        if error.raw_os_error() == Some(libc::ENXIO) {
            return io::Error::new(error.kind(), "a pipe that no one reads, or no such device");
        }
        error
    })
}

impl fmt::Debug for LogOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Target::Stdout => "LogOutput::stdout",
            Target::Stderr => "LogOutput::stderr",
            Target::Writer(_) => "LogOutput::writer",
            Target::Memory(_) => "LogOutput::memory",
            Target::Delivery(_) => "LogOutput::delivery",
        })
    }
}

/// Holds lines in memory. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct LogLines(Arc<parking_lot::Mutex<Vec<String>>>);

impl LogLines {
    /// Starts without lines.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns all lines up to now, without their line ends.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.0.lock().clone()
    }

    /// Forgets all lines.
    pub fn clear(&self) {
        self.0.lock().clear();
    }

    pub(crate) fn push(&self, line: &[u8]) {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        self.0.lock().push(String::from_utf8_lossy(line).into_owned());
    }
}
