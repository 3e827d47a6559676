//! What every command is given, and the questions that most of them ask.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use meshwise_api::{Date, Declaration};

use crate::cli::Global;
use crate::exit::{Exit, Failure, OrExit as _};
use crate::output::Output;

/// Carries the global options and the output.
#[derive(Debug)]
pub struct Context {
    /// The global options.
    pub global: Global,
    /// Where to write.
    pub out: Output,
}

impl Context {
    /// Returns the day to judge by: `--today` or `MESHWISE_TODAY`, else `SOURCE_DATE_EPOCH`, else
    /// the clock, in UTC.
    ///
    /// # Errors
    /// `Usage` when one of the first two is set and is no day.
    pub fn today(&self) -> Result<Date, Failure> {
        if let Some(today) = &self.global.today {
            return today.parse::<Date>().or_exit(Exit::Usage);
        }
        let seconds = match std::env::var("SOURCE_DATE_EPOCH") {
            Ok(text) => text.parse().map_err(|_| {
                Failure::message(
                    Exit::Usage,
                    format!("SOURCE_DATE_EPOCH is {text:?}; it must be seconds since 1970"),
                )
            })?,
            Err(_) => unix_seconds(),
        };
        Date::from_unix_seconds(seconds).ok_or_else(|| {
            Failure::message(Exit::Usage, format!("{seconds} s since 1970 is no day; give --today"))
        })
    }

    /// Reads and parses the declaration.
    ///
    /// # Errors
    /// `Usage` when there is none or it is not valid; all that is wrong with it is told at once.
    pub fn declaration(&self) -> Result<Declaration, Failure> {
        let path = &self.global.declaration;
        let bytes = std::fs::read(path).map_err(|error| match error.kind() {
            ErrorKind::NotFound => Failure::message(
                Exit::Usage,
                format!("{} does not exist; write one with `cargo meshwise init`", path.display()),
            ),
            _ => Failure::new(
                Exit::Usage,
                anyhow::Error::new(error).context(format!("cannot read {}", path.display())),
            ),
        })?;
        Declaration::from_bytes(&path.display().to_string(), &bytes).or_exit(Exit::Usage)
    }

    /// Returns the folder of the declaration.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        match self.global.declaration.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
            _ => PathBuf::from("."),
        }
    }
}

/// Reads the clock: seconds since 1970, UTC.
pub(crate) fn unix_seconds() -> i64 {
    let now = SystemTime::now();
    match now.duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        Err(before) => -i64::try_from(before.duration().as_secs()).unwrap_or(i64::MAX),
    }
}
