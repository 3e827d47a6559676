//! The keys of our own metrics.

use metrics::{Label, Level, Metadata, SharedString};

/// What recorders of other crates are told of our own metrics, beside the key.
pub(crate) static METADATA: Metadata<'static> =
    Metadata::new(module_path!(), Level::INFO, Some(module_path!()));

pub(crate) fn label(name: &'static str, value: impl Into<SharedString>) -> Label {
    Label::new(name, value)
}
