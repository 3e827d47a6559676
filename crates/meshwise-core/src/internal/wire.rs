//! The parts of protobuf's wire format that OTLP's records are written in (opentelemetry-proto 1.9,
//! `common/v1/common.proto`).
//!
//! A tag is a field's number and how it is written, in one byte.

/// The field's value is a varint.
pub const VARINT: u8 = 0;
/// It is eight bytes.
pub const FIXED64: u8 = 1;
/// It is a length and as many bytes.
pub const BYTES: u8 = 2;
/// It is four bytes.
pub const FIXED32: u8 = 5;

/// The tag of a field with a number below 16.
#[must_use]
pub const fn tag(number: u8, kind: u8) -> u8 {
    number << 3 | kind
}

/// The tags of a `KeyValue`.
const KEY: u8 = tag(1, BYTES);
const VALUE: u8 = tag(2, BYTES);
/// Those of an `AnyValue`.
const TEXT: u8 = tag(1, BYTES);
const FLAG: u8 = tag(2, VARINT);
const WHOLE: u8 = tag(3, VARINT);
const REAL: u8 = tag(4, FIXED64);

/// The longest text that [`attribute`] writes on the short way: its lengths have one byte each.
const SHORT: usize = 0x7f - 6;

/// A value as `AnyValue` has it.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(clippy::exhaustive_enums, reason = "internal")]
pub enum AnyValue<'a> {
    /// A `string_value`.
    Text(&'a str),
    /// A `bool_value`.
    Flag(bool),
    /// An `int_value`.
    Whole(i64),
    /// A `double_value`.
    Real(f64),
}

impl AnyValue<'_> {
    /// Returns how many bytes [`write`](Self::write) writes.
    #[must_use]
    pub fn size(self) -> usize {
        1 + match self {
            Self::Text(text) => varint_len(text.len() as u64) + text.len(),
            Self::Flag(_) => 1,
            Self::Whole(number) => varint_len(number.cast_unsigned()),
            Self::Real(_) => 8,
        }
    }

    /// Writes the message's fields.
    pub fn write(self, out: &mut Vec<u8>) {
        match self {
            Self::Text(text) => bytes(out, TEXT, text.as_bytes()),
            Self::Flag(flag) => out.extend_from_slice(&[FLAG, flag.into()]),
            Self::Whole(number) => {
                out.push(WHOLE);
                varint(out, number.cast_unsigned());
            }
            Self::Real(number) => {
                out.push(REAL);
                out.extend_from_slice(&number.to_le_bytes());
            }
        }
    }
}

/// Writes a `KeyValue` as a field with this tag.
pub fn attribute(out: &mut Vec<u8>, tag: u8, name: &str, value: AnyValue<'_>) {
    match value {
        // Nearly all are so: fewer lengths to find out.
        AnyValue::Text(text) if !name.is_empty() && name.len() + text.len() <= SHORT => {
            let (key, text_len) = (name.len() as u8, text.len() as u8);
            out.extend_from_slice(&[tag, key + text_len + 6, KEY, key]);
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(&[VALUE, text_len + 2, TEXT, text_len]);
            out.extend_from_slice(text.as_bytes());
        }
        value => named(out, tag, name, value.size(), |out| value.write(out)),
    }
}

/// Writes a `KeyValue` whose value has so many bytes.
pub fn named(
    out: &mut Vec<u8>,
    tag: u8,
    name: &str,
    value_len: usize,
    write: impl FnOnce(&mut Vec<u8>),
) {
    let member = |len: usize| 1 + varint_len(len as u64) + len;
    // An empty text is as good as none: protobuf leaves it out.
    let key_len = if name.is_empty() { 0 } else { member(name.len()) };
    out.push(tag);
    varint(out, (key_len + member(value_len)) as u64);
    text(out, KEY, name);
    out.push(VALUE);
    varint(out, value_len as u64);
    write(out);
}

/// Writes a text, unless it is empty.
pub fn text(out: &mut Vec<u8>, tag: u8, text: &str) {
    if !text.is_empty() {
        bytes(out, tag, text.as_bytes());
    }
}

/// Writes a number, unless it is zero.
pub fn number(out: &mut Vec<u8>, tag: u8, number: u64) {
    if number != 0 {
        out.push(tag);
        varint(out, number);
    }
}

/// Writes bytes, and their length before them.
pub fn bytes(out: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    out.push(tag);
    varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Writes what `write` does, and its length before it.
pub fn message(out: &mut Vec<u8>, tag: u8, write: impl FnOnce(&mut Vec<u8>)) {
    // How long it gets is not known yet; most lengths have two bytes.
    const ROOM: usize = 2;
    out.extend_from_slice(&[tag, 0, 0]);
    let start = out.len();
    write(out);
    let len = out.len() - start;
    let digits = varint_len(len as u64);
    if digits > ROOM {
        out.resize(out.len() + digits - ROOM, 0);
    }
    if digits != ROOM {
        out.copy_within(start..start + len, start + digits - ROOM);
        out.truncate(start + digits - ROOM + len);
    }
    let mut left = len;
    for digit in &mut out[start - ROOM..start - ROOM + digits] {
        *digit = left as u8 & 0x7f | 0x80;
        left >>= 7;
    }
    out[start - ROOM + digits - 1] &= 0x7f;
}

/// Writes a number, seven bits a byte.
pub fn varint(out: &mut Vec<u8>, mut number: u64) {
    while number > 0x7f {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Returns how many bytes [`varint`] writes.
#[must_use]
pub const fn varint_len(number: u64) -> usize {
    (64 - (number | 1).leading_zeros() as usize).div_ceil(7)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_those_of_what_is_written() {
        for number in [0, 1, 127, 128, 16_383, 16_384, u64::MAX / 2, u64::MAX] {
            let mut out = Vec::new();
            varint(&mut out, number);
            assert_eq!(out.len(), varint_len(number), "{number}");
        }
        for value in [
            AnyValue::Text("x"),
            AnyValue::Text(""),
            AnyValue::Flag(true),
            AnyValue::Whole(-1),
            AnyValue::Whole(300),
            AnyValue::Real(0.5),
        ] {
            let mut out = Vec::new();
            value.write(&mut out);
            assert_eq!(out.len(), value.size());
        }
    }

    #[test]
    fn a_message_is_its_length_and_what_was_written() {
        let sizes = [0, 1, 0x7f, 0x80, 0x3fff, 0x4000, 0x1f_ffff, 0x20_0000];
        for size in sizes {
            let body: Vec<u8> = (0..size).map(|i| i as u8).collect();
            let (mut out, mut expected) = (vec![9], vec![9]);
            message(&mut out, 7, |out| out.extend_from_slice(&body));
            bytes(&mut expected, 7, &body);
            assert!(out == expected, "{size}");
        }
    }

    #[test]
    fn the_short_way_writes_what_the_long_one_does() {
        for (key, value) in [(1, 0), (1, 118), (60, 59), (118, 1), (119, 0), (0, 5), (1, 119)] {
            let (key, value) = ("k".repeat(key), "v".repeat(value));
            let (mut short, mut long) = (Vec::new(), Vec::new());
            let value = AnyValue::Text(&value);
            attribute(&mut short, 7, &key, value);
            named(&mut long, 7, &key, value.size(), |out| value.write(out));
            assert_eq!(short, long);
        }
    }
}
