//! The `tracestate` header: other participants' entries, kept in order.

use std::sync::Arc;

/// Holds a valid `tracestate`: up to 32 entries, ready to be sent on; empty costs nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TraceState(Option<Arc<str>>);

impl TraceState {
    /// No entries.
    pub const EMPTY: Self = Self(None);

    /// Tells whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Returns the header's value.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_deref().unwrap_or_default()
    }

    /// Lists the entries in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.as_str().split(',').filter_map(|entry| entry.split_once('='))
    }
}
