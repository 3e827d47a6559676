//! How a command ends.

use std::process::ExitCode;

/// Names what a command found, as its exit code.
///
/// The codes are part of the command's interface: scripts may rely on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Everything asked for was done, and nothing is wrong.
    Ok = 0,
    /// The answer is a clear no: a finding at level `deny`, an API that may not be removed.
    Violation = 1,
    /// The command line or the declaration is not valid.
    Usage = 2,
    /// There is no answer: something is missing, stale, damaged or out of reach.
    ///
    /// Nothing checked is never "compatible".
    Undetermined = 3,
    /// Another run published something different for this service at the same time.
    Conflict = 4,
    /// The command itself failed: a bug, or a machine in trouble.
    Internal = 70,
}

impl Exit {
    /// Names the code as JSON output does.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Violation => "violation",
            Self::Usage => "usage",
            Self::Undetermined => "undetermined",
            Self::Conflict => "conflict",
            Self::Internal => "internal",
        }
    }

    /// Orders the codes where there are several: the greater one is told.
    #[must_use]
    pub(crate) const fn severity(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Undetermined => 1,
            Self::Conflict => 2,
            Self::Violation => 3,
            Self::Usage => 4,
            Self::Internal => 5,
        }
    }

    /// Gives the number the process exits with.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Carries an error together with the exit code that it ends the command with.
///
/// Any error that `?` meets without a word about its code is [`Exit::Internal`];
/// [`OrExit::or_exit`] says otherwise.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// What went wrong, with its causes.
    pub error: anyhow::Error,
}

impl Failure {
    /// Creates a failure from a message or an error.
    pub(crate) fn new(exit: Exit, error: impl Into<anyhow::Error>) -> Self {
        Self { exit, error: error.into() }
    }

    /// Creates a failure from a message: lower case, no full stop, says what to do.
    pub(crate) fn message(exit: Exit, message: impl Into<String>) -> Self {
        Self::new(exit, anyhow::Error::msg(message.into()))
    }
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        let error = error.into();
        // A closed pipe (`| head`) is the reader's choice, not an error.
        let exit = match error.downcast_ref::<std::io::Error>() {
            Some(io) if io.kind() == std::io::ErrorKind::BrokenPipe => Exit::Ok,
            _ => Exit::Internal,
        };
        Self { exit, error }
    }
}

/// Gives an error its exit code.
pub(crate) trait OrExit<T> {
    /// Turns an error into a [`Failure`] with this exit code.
    ///
    /// # Errors
    /// The error, with the code.
    fn or_exit(self, exit: Exit) -> Result<T, Failure>;
}

impl<T, E: Into<anyhow::Error>> OrExit<T> for Result<T, E> {
    fn or_exit(self, exit: Exit) -> Result<T, Failure> {
        self.map_err(|error| Failure::new(exit, error))
    }
}
