//! What errors say of themselves.

use meshwise_core::internal::{bounded, error_sources};
use std::{error::Error, fmt};

/// Shows the causes of an error, from the nearest.
pub(super) struct Chain<'e>(pub(super) &'e (dyn Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, cause) in error_sources(self.0).skip(1).enumerate() {
            f.write_str(if n > 0 { ": " } else { "" })?;
            write!(f, "{cause}")?;
        }
        Ok(())
    }
}

/// Shows the [kind] of an error.
pub(super) struct KindOf<'e>(pub(super) &'e (dyn Error + 'static));

impl fmt::Display for KindOf<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&kind(self.0))
    }
}

/// Names the kind of an error: that of an `io::Error`, otherwise the name its `Debug` begins with, of
/// the first in its chain that tells; `_OTHER`, OpenTelemetry's word, if none does.
fn kind(error: &(dyn Error + 'static)) -> String {
    error_sources(error)
        .find_map(|error| match error.downcast_ref::<std::io::Error>() {
            Some(error) => Some(format!("{:?}", error.kind())),
            None => name_of(error),
        })
        .unwrap_or_else(|| "_OTHER".to_owned())
}

/// Reads the name of a type, or of an enum's variant, out of an error's `Debug`.
fn name_of(error: &(dyn Error + 'static)) -> Option<String> {
    let mut debug = String::new();
    bounded::append(&mut debug, 128, format_args!("{error:?}"));
    let end = debug.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(debug.len());
    // A message is no name, and wrappers of any error are called `Error`.
    let rest = &debug[end..];
    let named = debug.starts_with(|c: char| c.is_uppercase())
        && (rest.is_empty() || rest.starts_with(['(', '[', '<', ':']) || rest.starts_with(" {"))
        && &debug[..end] != "Error";
    named.then(|| {
        debug.truncate(end);
        debug
    })
}
