//! What is known of a call site before it logs.

use super::names::{Known, Source};
use tracing_core::callsite::Identifier;

/// What is known of one call site.
pub(crate) struct CallSite {
    pub(crate) id: Identifier,
    pub(crate) source: Source,
    /// By the fields' indices.
    pub(crate) fields: Box<[Known]>,
    /// What stands in a line between time and message, and between message and ids.
    pub(crate) before: Box<[u8]>,
    pub(crate) after: Box<[u8]>,
    /// What is the same in all of its OTLP records.
    pub(crate) record: Box<[u8]>,
}
