//! What is read from elsewhere at each scrape.

pub(crate) mod capacity;
pub(crate) mod cgroup;
pub(crate) mod identity;
pub(crate) mod losses;
pub(crate) mod process;
#[cfg(feature = "tokio")]
pub(crate) mod runtime;

use crate::{backend::Backend, key::METADATA};
use metrics::{Key, Label};
use std::{fs::File, io::Read as _, path::Path, time::Duration};

/// Largest file that is read, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// Takes what collectors read.
pub(crate) struct Sink<'a>(pub(crate) &'a dyn Backend);

impl Sink<'_> {
    /// Sets a counter that is kept elsewhere.
    pub(crate) fn counter(&self, name: &'static str, labels: Vec<Label>, value: u64) {
        self.0.register_counter(&Key::from_parts(name, labels), &METADATA).absolute(value);
    }

    /// Sets a counter of seconds that is kept elsewhere.
    ///
    /// The `metrics` facade only knows whole numbers. Our own recorder counts such a counter in
    /// microseconds; others get whole seconds.
    pub(crate) fn seconds(&self, name: &'static str, labels: Vec<Label>, value: Duration) {
        let key = Key::from_parts(name, labels);
        match self.0.register_seconds(&key) {
            // 64 bits hold 584,000 years of processor time; in nanoseconds a thousand cores would
            // fill them in seven months, and the counter would stand still from then on.
            Some(microseconds) => {
                microseconds.absolute(u64::try_from(value.as_micros()).unwrap_or(u64::MAX));
            }
            None => self.0.register_counter(&key, &METADATA).absolute(value.as_secs()),
        }
    }

    /// Sets a gauge.
    pub(crate) fn gauge(&self, name: &'static str, labels: Vec<Label>, value: f64) {
        self.0.register_gauge(&Key::from_parts(name, labels), &METADATA).set(value);
    }
}

/// Turns a whole number into a gauge's value; beyond 2^53 the last digits are rounded.
#[allow(clippy::cast_precision_loss)]
pub(crate) fn whole(number: u64) -> f64 {
    number as f64
}

/// Reads a small file; `None` if it cannot be read: then there is nothing to show.
fn read(path: &Path) -> Option<String> {
    let mut text = String::new();
    File::open(path).ok()?.take(MAX_FILE).read_to_string(&mut text).ok()?;
    Some(text)
}
