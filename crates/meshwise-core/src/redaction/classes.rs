//! What each byte may begin or end.

use super::prefixes::Prefixes;

/// The kind of a mark, which is looked at wherever it stands.
pub(super) const MARK: u8 = 0x0f;
pub(super) const DIGIT: u8 = 1;
pub(super) const COLON: u8 = 2;
pub(super) const EQUALS: u8 = 3;
pub(super) const DASH: u8 = 4;
pub(super) const COMMA: u8 = 5;
pub(super) const TAG_END: u8 = 6;
pub(super) const PERCENT: u8 = 7;
pub(super) const BACKSLASH: u8 = 8;
pub(super) const OPEN: u8 = 9;
pub(super) const APOSTROPHE: u8 = 10;
/// A name may end so, or the quotes or the blank after it; letters and digits too.
pub(super) const NAME_END: u8 = 0x10;
/// A letter that is looked at if it begins a word; half of [`WORD`], see [`Reader::next`](super::reader::Reader::next).
pub(super) const TOKEN: u8 = 0x40;
/// A letter or a digit.
pub(super) const WORD: u8 = 0x80;

/// Says for each byte what it may begin or end.
pub(super) fn classes(prefixes: &Prefixes) -> [u8; 256] {
    let mut classes = [0; 256];
    for (byte, class) in (0..=u8::MAX).zip(&mut classes) {
        if byte.is_ascii_alphanumeric() {
            *class |= WORD;
        }
        if byte.is_ascii_digit() {
            *class |= DIGIT;
        }
    }
    for byte in *b"\"'` \t[]_-" {
        classes[usize::from(byte)] |= NAME_END;
    }
    for (byte, class) in [
        (b':', COLON),
        (b'=', EQUALS),
        (b'-', DASH),
        (b',', COMMA),
        (b'>', TAG_END),
        (b'%', PERCENT),
        (b'\\', BACKSLASH),
        (b'(', OPEN),
        (b'\'', APOSTROPHE),
    ] {
        classes[usize::from(byte)] |= class;
    }
    for first in prefixes.first_bytes() {
        classes[usize::from(first)] |= TOKEN;
    }
    classes
}
