//! How much is written at once.

/// How much is written at a time, in bytes; one series more may be added.
pub(super) const PAGE: usize = 32 * 1024;
