//! The few parts of the protobuf wire format that an exposition needs, and its field numbers.
//!
//! The messages are those of `io.prometheus.client` (`metrics.proto` of `prometheus/client_model`).
//! What may change while a family is written has one length whatever it is, for the length of a
//! family goes before it: see [`wide`].

use meshwise_core::internal::wire::{self, tag};
use std::borrow::Cow;

/// The fields of a `MetricFamily`.
pub(crate) mod family {
    pub(crate) const NAME: u8 = 1;
    pub(crate) const HELP: u8 = 2;
    pub(crate) const TYPE: u8 = 3;
    pub(crate) const METRIC: u8 = 4;
    pub(crate) const UNIT: u8 = 5;
}

/// The fields of a `Metric`.
pub(crate) mod metric {
    pub(crate) const LABEL: u8 = 1;
    pub(crate) const GAUGE: u8 = 2;
    pub(crate) const COUNTER: u8 = 3;
    pub(crate) const HISTOGRAM: u8 = 7;
}

/// The fields of a `LabelPair`.
pub(crate) mod label {
    pub(crate) const NAME: u8 = 1;
    pub(crate) const VALUE: u8 = 2;
}

/// The only field of a `Gauge` and of a `Counter` that is needed.
pub(crate) const VALUE: u8 = 1;

/// The fields of a `Histogram`.
pub(crate) mod histogram {
    pub(crate) const COUNT: u8 = 1;
    pub(crate) const SUM: u8 = 2;
    pub(crate) const BUCKET: u8 = 3;
    pub(crate) const SCHEMA: u8 = 5;
    pub(crate) const ZERO_THRESHOLD: u8 = 6;
    pub(crate) const ZERO_COUNT: u8 = 7;
    pub(crate) const NEGATIVE_SPAN: u8 = 9;
    pub(crate) const NEGATIVE_DELTA: u8 = 10;
    pub(crate) const POSITIVE_SPAN: u8 = 12;
    pub(crate) const POSITIVE_DELTA: u8 = 13;
}

/// The fields of a `Bucket`.
pub(crate) mod bucket {
    pub(crate) const CUMULATIVE_COUNT: u8 = 1;
    pub(crate) const UPPER_BOUND: u8 = 2;
    pub(crate) const EXEMPLAR: u8 = 3;
}

/// The fields of a `BucketSpan`.
pub(crate) mod span {
    pub(crate) const OFFSET: u8 = 1;
    pub(crate) const LENGTH: u8 = 2;
}

/// The fields of an `Exemplar`.
pub(crate) mod exemplar {
    pub(crate) const LABEL: u8 = 1;
    pub(crate) const VALUE: u8 = 2;
    pub(crate) const TIMESTAMP: u8 = 3;
}

/// The fields of a `google.protobuf.Timestamp`.
pub(crate) mod timestamp {
    pub(crate) const SECONDS: u8 = 1;
    pub(crate) const NANOS: u8 = 2;
}

/// Takes what is written.
pub(crate) trait Out {
    /// Takes some bytes.
    fn put(&mut self, bytes: &[u8]);

    /// Takes what `body` writes, and its length before it.
    fn delimited(&mut self, body: impl FnOnce(&mut Self));
}

/// Adds up how long what is written would be.
#[derive(Debug, Default)]
pub(crate) struct Length(pub(crate) usize);

impl Out for Length {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        self.0 += bytes.len();
    }

    #[inline]
    fn delimited(&mut self, body: impl FnOnce(&mut Self)) {
        let before = self.0;
        body(self);
        varint(self, (self.0 - before) as u64);
    }
}

impl Out for Vec<u8> {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }

    #[inline]
    fn delimited(&mut self, body: impl FnOnce(&mut Self)) {
        let start = self.len();
        // Most are shorter than 128 bytes; the others are moved a little.
        self.push(0);
        body(self);
        let length = self.len() - start - 1;
        if length < 0x80 {
            self[start] = length as u8;
            return;
        }
        let (prefix, size) = digits(length as u64);
        let (end, content) = (self.len(), start + size);
        self.resize(end + size - 1, 0);
        self.copy_within(start + 1..end, content);
        self[start..content].copy_from_slice(&prefix[..size]);
    }
}

/// Writes a number in as few bytes as it takes.
#[inline]
pub(crate) fn varint(out: &mut impl Out, number: u64) {
    let (bytes, size) = digits(number);
    out.put(&bytes[..size]);
}

/// Returns a number to the base of 128, and how many digits it has.
#[inline]
fn digits(mut number: u64) -> ([u8; 10], usize) {
    let (mut bytes, mut last) = ([0; 10], 0);
    while number >= 0x80 {
        bytes[last] = number as u8 | 0x80;
        number >>= 7;
        last += 1;
    }
    bytes[last] = number as u8;
    (bytes, last + 1)
}

/// Writes a whole number of the type `uint32`, `uint64` or an enum.
pub(crate) fn whole(out: &mut impl Out, field: u8, number: u64) {
    out.put(&[tag(field, wire::VARINT)]);
    varint(out, number);
}

/// Writes a number of the type `sint32` or `sint64`.
pub(crate) fn signed(out: &mut impl Out, field: u8, number: i64) {
    whole(out, field, zigzag(number));
}

/// Gives small numbers of both signs few digits.
pub(crate) fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)) as u64
}

/// Writes a whole number in ten bytes, however small it is: the upper ones say "nothing more".
/// Every reader must take this (protobuf's conformance tests have it).
#[inline]
pub(crate) fn wide(out: &mut impl Out, field: u8, number: u64) {
    out.put(&[tag(field, wire::VARINT)]);
    out.put(&padded::<10>(number));
}

/// Writes a whole number below 2^35 in five bytes.
pub(crate) fn half_wide(out: &mut impl Out, field: u8, number: u64) {
    out.put(&[tag(field, wire::VARINT)]);
    out.put(&padded::<5>(number.min((1 << 35) - 1)));
}

#[inline]
fn padded<const BYTES: usize>(mut number: u64) -> [u8; BYTES] {
    let mut bytes = [0x80; BYTES];
    for byte in &mut bytes {
        *byte |= number as u8;
        number >>= 7;
    }
    bytes[BYTES - 1] &= 0x7f;
    bytes
}

/// Writes a `double`.
#[inline]
pub(crate) fn double(out: &mut impl Out, field: u8, number: f64) {
    out.put(&[tag(field, wire::FIXED64)]);
    out.put(&number.to_le_bytes());
}

/// Writes a `string`.
#[inline]
pub(crate) fn text(out: &mut impl Out, field: u8, text: &str) {
    out.put(&[tag(field, wire::BYTES)]);
    varint(out, text.len() as u64);
    out.put(text.as_bytes());
}

/// Writes a message, or numbers that are packed, as `body` writes it.
#[inline]
pub(crate) fn message<O: Out>(out: &mut O, field: u8, body: impl FnOnce(&mut O)) {
    out.put(&[tag(field, wire::BYTES)]);
    out.delimited(body);
}

/// Writes a `LabelPair` as the field of another message.
#[inline]
pub(crate) fn label_pair(out: &mut impl Out, field: u8, name: &str, value: &str) {
    message(out, field, |out| {
        text(out, label::NAME, name);
        text(out, label::VALUE, value);
    });
}

/// Writes a `Bucket` without an exemplar as the field of another message.
#[inline]
pub(crate) fn plain_bucket(out: &mut impl Out, field: u8, cumulative: u64, bound: f64) {
    const LENGTH: u8 = 1 + 10 + 1 + 8;
    let mut bytes = [0; 2 + LENGTH as usize];
    bytes[0] = tag(field, wire::BYTES);
    bytes[1] = LENGTH;
    bytes[2] = tag(bucket::CUMULATIVE_COUNT, wire::VARINT);
    bytes[3..13].copy_from_slice(&padded::<10>(cumulative));
    bytes[13] = tag(bucket::UPPER_BOUND, wire::FIXED64);
    bytes[14..].copy_from_slice(&bound.to_le_bytes());
    out.put(&bytes);
}

/// Reads labels as a registry writes them, `a="1",b="2"`.
pub(crate) fn labels(mut text: &str) -> impl Iterator<Item = (&str, Cow<'_, str>)> {
    std::iter::from_fn(move || {
        // No valid name holds a `=`.
        let (name, rest) = text.split_once('=')?;
        let rest = rest.strip_prefix('"')?;
        let mut end = rest.find('"')?;
        // A quote with an odd number of backslashes before it is part of the value.
        while rest[..end].bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1 {
            end += 1 + rest[end + 1..].find('"')?;
        }
        let after = &rest[end + 1..];
        text = after.strip_prefix(',').unwrap_or(after);
        Some((name, unescape(&rest[..end])))
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
    use proptest::{
        collection::{btree_map, vec},
        prelude::{any, proptest},
    };
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
        fn a_message_is_as_long_as_it_says(content in vec(any::<u8>(), 0..40_000), before in 0..5_usize) {
            let mut out = vec![7; before];
            message(&mut out, 4, |out| out.put(&content));
            let mut rest = &out[before + 1..];
            assert_eq!(decode_varint(&mut rest).unwrap(), content.len() as u64);
            assert!(rest == content);
            let mut length = Length(before);
            message(&mut length, 4, |out| out.put(&content));
            assert_eq!(length.0, out.len());
        }

        #[test]
        fn a_bucket_is_what_its_fields_are(count in any::<u64>(), bound in any::<f64>()) {
            let fields = written(|out| message(out, 3, |out| {
                wide(out, bucket::CUMULATIVE_COUNT, count);
                double(out, bucket::UPPER_BOUND, bound);
            }));
            assert_eq!(written(|out| plain_bucket(out, 3, count, bound)), fields);
        }

        #[test]
        fn labels_are_read_as_they_were_written(pairs in btree_map("[a-z_]{1,5}", any::<String>(), 0..5)) {
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
