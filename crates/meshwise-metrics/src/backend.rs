//! The seam between this crate and what keeps the numbers.

mod exporter;
mod foreign;

pub(crate) use exporter::Exporter;
pub(crate) use foreign::Foreign;

use crate::Format;
use metrics::{Counter, Key, Recorder};
use std::{fmt, io};

/// Keeps numbers and writes them out.
pub(crate) trait Backend: Recorder + fmt::Debug + Send + Sync {
    /// Tells whether it can write this format; [`Format::Text`] is the least.
    fn writes(&self, format: Format) -> bool;

    /// Writes all families.
    fn write(&self, format: Format, out: &mut dyn io::Write) -> io::Result<()>;

    /// Resolves a counter of seconds that is counted in nanoseconds, if it can do that.
    fn seconds_counter(&self, _key: &Key) -> Option<Counter> {
        None
    }

    /// Stops what runs in the background, in bounded time. What is kept can still be written.
    fn stop(&self) {}
}
