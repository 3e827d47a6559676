//! Ids, names and their lengths.

/// How callers are called that say nothing of themselves.
pub(crate) const USER: &str = "user";

/// Reads a trace's id; none unless it is valid.
pub(crate) fn trace_id(bytes: &[u8]) -> Option<u128> {
    let id = u128::from_be_bytes(bytes.try_into().ok()?);
    (id != 0).then_some(id)
}

/// Reads a span's id; none unless it is valid.
pub(crate) fn span_id(bytes: &[u8]) -> Option<u64> {
    let id = u64::from_be_bytes(bytes.try_into().ok()?);
    (id != 0).then_some(id)
}

/// Cuts a text to so many bytes.
pub(crate) fn cut(text: &str, limit: usize) -> &str {
    &text[..text.floor_char_boundary(limit)]
}
