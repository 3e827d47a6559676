//! Values of headers that are made for one call.

use bytes::BytesMut;
use http::HeaderValue;
use std::cell::RefCell;

/// How many bytes are allocated at once: a value that is kept keeps as many.
const BLOCK: usize = 2048;
/// The longest value that goes into such a block, in bytes.
const LONGEST: usize = BLOCK / 8;

thread_local! {
    /// Room for the next values: one block for many of them.
    static ROOM: RefCell<BytesMut> = RefCell::default();
}

/// Makes a header's value; `None` if the bytes are none.
///
/// Ids, of which each call has others, share a block of bytes that the thread keeps. A value of its own
/// would be an allocation, and another where a transport copies the headers.
#[must_use]
pub fn value(bytes: &[u8]) -> Option<HeaderValue> {
    let shared = || {
        with_room(|room| {
            room.extend_from_slice(bytes);
            room.split().freeze()
        })
    };
    if bytes.len() <= LONGEST
        && let Some(shared) = shared()
    {
        return HeaderValue::from_maybe_shared(shared).ok();
    }
    // A thread that ends keeps nothing.
    HeaderValue::from_bytes(bytes).ok()
}

/// Lends the thread's block to what writes values into it, and splits them off: there is room for 256 bytes
/// at least, and more can be written. `None` on a thread that ends.
#[inline]
pub(crate) fn with_room<T>(write: impl FnOnce(&mut BytesMut) -> T) -> Option<T> {
    let written = ROOM.try_with(|room| {
        let mut room = room.try_borrow_mut().ok()?;
        if room.capacity() < LONGEST {
            // The same block once more, if its values are gone.
            room.reserve(BLOCK);
        }
        Some(write(&mut room))
    });
    written.ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_one_block_are_each_their_own() {
        let texts: Vec<String> = (0..100).map(|i| format!("{i:0$}", i + 1)).collect();
        let made: Vec<HeaderValue> = texts.iter().filter_map(|t| value(t.as_bytes())).collect();
        assert!(made.iter().eq(texts.iter()));
        assert_eq!(value(&[b'x'; BLOCK + 1]).map(|value| value.len()), Some(BLOCK + 1));
        assert_eq!(value(b"").as_ref().map(HeaderValue::len), Some(0));
        for bad in [&b"a\nb"[..], b"\0", b"\x7f"] {
            assert_eq!(value(bad), None);
        }
    }

    #[test]
    fn most_values_take_no_allocation_neither_made_nor_copied() {
        let of = |text: &[u8]| {
            let made = value(text);
            made.clone().zip(made)
        };
        let kept = of(b"the first takes the block");
        let taken = allocation_counter::measure(|| drop((of(b"the next"), of(b"one more"))));
        assert_eq!((taken.count_total, kept.is_some()), (0, true));
    }

    #[test]
    fn a_block_whose_values_are_gone_is_used_again() {
        let made = || drop(value(&[b'x'; LONGEST]));
        // The first takes the block, and the second what the values share.
        (0..2).for_each(|_| made());
        let taken = allocation_counter::measure(|| (0..10 * BLOCK / LONGEST).for_each(|_| made()));
        assert_eq!(taken.count_total, 0);
    }
}
