//! Keeping what several threads write on cache lines of its own.

/// Keeps writes to what lies beside it off its cache lines. Two lines wide, 128 bytes: processors
/// fetch them in pairs.
#[derive(Clone, Copy, Debug, Default)]
#[repr(align(128))]
#[allow(clippy::exhaustive_structs, reason = "a wrapper of one field")]
pub struct CachePadded<T>(pub T);
