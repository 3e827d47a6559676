//! Where lines go.

use std::{
    fmt,
    fs::OpenOptions,
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
    /// If it cannot be opened.
    pub fn file(path: impl AsRef<Path>) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        Ok(Self::writer(file))
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

    pub(crate) fn is_terminal(&self) -> bool {
        match self.0 {
            Target::Stdout => io::stdout().is_terminal(),
            Target::Stderr => io::stderr().is_terminal(),
            Target::Writer(_) | Target::Memory(_) => false,
        }
    }
}

impl fmt::Debug for LogOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Target::Stdout => "LogOutput::stdout",
            Target::Stderr => "LogOutput::stderr",
            Target::Writer(_) => "LogOutput::writer",
            Target::Memory(_) => "LogOutput::memory",
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
