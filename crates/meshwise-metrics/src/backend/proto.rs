//! The few parts of the protobuf wire format that an exposition needs, and its field numbers.
//!
//! The messages are those of `io.prometheus.client` (`metrics.proto` of `prometheus/client_model`).
//! What may change while a family is written has one length whatever it is, for the length of a
//! family goes before it: see [`wide`].

use std::borrow::Cow;

/// The fields of a `MetricFamily`.
pub(crate) mod family {
    pub(crate) const NAME: u32 = 1;
    pub(crate) const HELP: u32 = 2;
    pub(crate) const TYPE: u32 = 3;
    pub(crate) const METRIC: u32 = 4;
    pub(crate) const UNIT: u32 = 5;
}

/// The fields of a `Metric`.
pub(crate) mod metric {
    pub(crate) const LABEL: u32 = 1;
    pub(crate) const GAUGE: u32 = 2;
    pub(crate) const COUNTER: u32 = 3;
    pub(crate) const HISTOGRAM: u32 = 7;
}

/// The fields of a `LabelPair`.
pub(crate) mod label {
    pub(crate) const NAME: u32 = 1;
    pub(crate) const VALUE: u32 = 2;
}

/// The only field of a `Gauge` and of a `Counter` that is needed.
pub(crate) const VALUE: u32 = 1;

/// The fields of a `Histogram`.
pub(crate) mod histogram {
    pub(crate) const COUNT: u32 = 1;
    pub(crate) const SUM: u32 = 2;
    pub(crate) const BUCKET: u32 = 3;
    pub(crate) const SCHEMA: u32 = 5;
    pub(crate) const ZERO_THRESHOLD: u32 = 6;
    pub(crate) const ZERO_COUNT: u32 = 7;
    pub(crate) const NEGATIVE_SPAN: u32 = 9;
    pub(crate) const NEGATIVE_DELTA: u32 = 10;
    pub(crate) const POSITIVE_SPAN: u32 = 12;
    pub(crate) const POSITIVE_DELTA: u32 = 13;
}

/// The fields of a `Bucket`.
pub(crate) mod bucket {
    pub(crate) const CUMULATIVE_COUNT: u32 = 1;
    pub(crate) const UPPER_BOUND: u32 = 2;
    pub(crate) const EXEMPLAR: u32 = 3;
}

/// The fields of a `BucketSpan`.
pub(crate) mod span {
    pub(crate) const OFFSET: u32 = 1;
    pub(crate) const LENGTH: u32 = 2;
}

/// The fields of an `Exemplar`.
pub(crate) mod exemplar {
    pub(crate) const LABEL: u32 = 1;
    pub(crate) const VALUE: u32 = 2;
    pub(crate) const TIMESTAMP: u32 = 3;
}

/// The fields of a `google.protobuf.Timestamp`.
pub(crate) mod timestamp {
    pub(crate) const SECONDS: u32 = 1;
    pub(crate) const NANOS: u32 = 2;
}

/// Tells how a field's value is written.
#[derive(Clone, Copy)]
enum Wire {
    Varint = 0,
    Fixed64 = 1,
    Delimited = 2,
}

fn tag(out: &mut Vec<u8>, field: u32, wire: Wire) {
    varint(out, u64::from(field << 3 | wire as u32));
}

/// Writes a number in as few bytes as it takes.
#[inline]
pub(crate) fn varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Writes a whole number of the type `uint32`, `uint64` or an enum.
pub(crate) fn whole(out: &mut Vec<u8>, field: u32, number: u64) {
    tag(out, field, Wire::Varint);
    varint(out, number);
}

/// Writes a number of the type `sint32` or `sint64`.
pub(crate) fn signed(out: &mut Vec<u8>, field: u32, number: i64) {
    whole(out, field, zigzag(number));
}

/// Gives small numbers of both signs few digits.
pub(crate) fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)) as u64
}

/// Writes a whole number in ten bytes, however small it is: the upper ones say "nothing more".
/// Every reader must take this (protobuf's conformance tests have it).
#[inline]
pub(crate) fn wide(out: &mut Vec<u8>, field: u32, number: u64) {
    padded::<10>(out, field, number);
}

/// Writes a whole number below 2^35 in five bytes.
pub(crate) fn half_wide(out: &mut Vec<u8>, field: u32, number: u64) {
    padded::<5>(out, field, number.min((1 << 35) - 1));
}

#[inline]
fn padded<const BYTES: usize>(out: &mut Vec<u8>, field: u32, mut number: u64) {
    tag(out, field, Wire::Varint);
    let mut bytes = [0x80; BYTES];
    for byte in &mut bytes {
        *byte |= number as u8;
        number >>= 7;
    }
    bytes[BYTES - 1] &= 0x7f;
    out.extend_from_slice(&bytes);
}

/// Writes a `double`.
#[inline]
pub(crate) fn double(out: &mut Vec<u8>, field: u32, number: f64) {
    tag(out, field, Wire::Fixed64);
    out.extend_from_slice(&number.to_le_bytes());
}

/// Writes a `string`.
pub(crate) fn text(out: &mut Vec<u8>, field: u32, text: &str) {
    tag(out, field, Wire::Delimited);
    varint(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

/// Writes a message, or numbers that are packed, as `body` writes it.
#[inline]
pub(crate) fn message(out: &mut Vec<u8>, field: u32, body: impl FnOnce(&mut Vec<u8>)) {
    tag(out, field, Wire::Delimited);
    let start = out.len();
    // Most are shorter than 128 bytes; the others are moved a little.
    out.push(0);
    body(out);
    let length = out.len() - start - 1;
    if length < 0x80 {
        out[start] = length as u8;
    } else {
        let mut prefix = Vec::with_capacity(10);
        varint(&mut prefix, length as u64);
        out.splice(start..=start, prefix);
    }
}

/// Writes a `LabelPair` as the field of another message.
pub(crate) fn label_pair(out: &mut Vec<u8>, field: u32, name: &str, value: &str) {
    message(out, field, |out| {
        text(out, label::NAME, name);
        text(out, label::VALUE, value);
    });
}

/// Reads labels as a registry writes them, `a="1",b="2"`.
pub(crate) fn labels(mut text: &str) -> impl Iterator<Item = (&str, Cow<'_, str>)> {
    std::iter::from_fn(move || {
        let (name, rest) = text.split_once("=\"")?;
        let mut escaped = false;
        let end = rest.bytes().position(|byte| {
            let end = byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped;
            end
        })?;
        let after = rest.get(end + 1..)?;
        text = after.strip_prefix(',').unwrap_or(after);
        Some((name, unescape(rest.get(..end)?)))
    })
}

fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        out.push(match c {
            '\\' => match chars.next() {
                Some('n') => '\n',
                other => other.unwrap_or('\\'),
            },
            c => c,
        });
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, proptest};
    use prost::encoding::decode_varint;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut out = Vec::new();
        write(&mut out);
        out
    }

    proptest! {
        #[test]
        fn a_reader_finds_the_numbers(number in any::<u64>(), small in 0..1_u64 << 35) {
            for (bytes, length, number) in [
                (written(|out| varint(out, number)), None, number),
                (written(|out| wide(out, 1, number)).split_off(1), Some(10), number),
                (written(|out| half_wide(out, 1, small)).split_off(1), Some(5), small),
            ] {
                assert_eq!(length.unwrap_or(bytes.len()), bytes.len());
                let mut rest = &*bytes;
                assert_eq!(decode_varint(&mut rest).unwrap(), number);
                assert!(rest.is_empty());
            }
        }

        #[test]
        fn numbers_of_both_signs_come_back(number in any::<i64>()) {
            let zigzag = zigzag(number);
            assert_eq!((zigzag >> 1) as i64 ^ -((zigzag & 1) as i64), number);
        }

        #[test]
        fn a_message_is_as_long_as_it_says(length in 0..20_000_usize, before in 0..5_usize) {
            let mut out = vec![7; before];
            message(&mut out, 4, |out| out.resize(out.len() + length, 9));
            let mut rest = &out[before + 1..];
            assert_eq!(decode_varint(&mut rest).unwrap(), length as u64);
            assert_eq!(rest.len(), length);
        }

        #[test]
        fn labels_are_read_as_they_were_written(pairs in proptest::collection::btree_map("[a-z_]{1,5}", any::<String>(), 0..5)) {
            let labels = crate::registry::Labels::of_test(&pairs);
            let text = labels.text();
            let found = super::labels(&text).map(|(name, value)| (name.to_owned(), value.into_owned()));
            assert_eq!(found.collect::<Vec<_>>(), pairs.into_iter().collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_number_too_large_for_five_bytes_is_the_largest() {
        let bytes = written(|out| half_wide(out, 1, u64::MAX));
        assert_eq!(bytes[1..], [0xff, 0xff, 0xff, 0xff, 0x7f]);
    }
}
