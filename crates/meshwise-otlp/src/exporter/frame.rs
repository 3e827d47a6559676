//! gRPC's prefix of a message.

use bytes::{BufMut as _, Bytes, BytesMut};

/// How long it is, in bytes.
pub(super) const PREFIX: usize = 5;

/// Puts gRPC's prefix before a message: whether it is compressed, and its length.
pub(super) fn frame(message: &[u8], compressed: bool) -> Bytes {
    let mut framed = BytesMut::with_capacity(PREFIX + message.len());
    framed.put_u8(u8::from(compressed));
    // A message of 4 GiB is out of reach: batches are split long before.
    framed.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    framed.put_slice(message);
    framed.freeze()
}
