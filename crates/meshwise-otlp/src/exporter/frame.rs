//! gRPC's prefix of a message.

/// How long it is, in bytes.
pub(super) const PREFIX: usize = 5;

/// Fills in gRPC's prefix, for which the first bytes are left: whether the message behind them is compressed,
/// and its length.
pub(super) fn set_prefix(framed: &mut [u8], compressed: bool) {
    let Some((prefix, message)) = framed.split_first_chunk_mut::<PREFIX>() else { return };
    // A message of 4 GiB is out of reach: batches are split long before.
    let [a, b, c, d] = u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes();
    *prefix = [u8::from(compressed), a, b, c, d];
}
