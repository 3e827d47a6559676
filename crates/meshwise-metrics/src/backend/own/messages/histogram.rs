//! Histograms as protobuf: classic buckets, native ones, exemplars.

use super::Work;
use crate::backend::{
    own::{
        histogram::{HistogramCell, RecordedExemplar},
        native::{Side, ZERO_THRESHOLD},
    },
    proto::{self, Out, bucket, exemplar, histogram as field, span, timestamp},
};

/// How many empty buckets are written rather than a new span, which would take more bytes: as
/// Prometheus' client libraries have it.
const MAX_GAP: usize = 2;

/// What a histogram was found to be at the first pass.
#[derive(Default)]
pub(super) struct HistogramSnapshot {
    /// How many of its buckets had an exemplar.
    exemplars: u16,
    native: Option<Box<NativeSnapshot>>,
}

/// Native buckets, and what has to agree with them.
struct NativeSnapshot {
    count: u64,
    sum: f64,
    /// The fields of the message.
    fields: Box<[u8]>,
}

impl Work {
    /// Takes note of what must not change between the two passes.
    pub(super) fn keep(&mut self, cell: &HistogramCell) -> HistogramSnapshot {
        let native = cell.read_native(&mut self.reading).map(|sum| {
            self.fields.clear();
            native(&mut self.fields, &self.reading);
            let fields = self.fields.as_slice().into();
            Box::new(NativeSnapshot { count: self.reading.count(), sum, fields })
        });
        HistogramSnapshot { exemplars: cell.exemplars().try_into().unwrap_or(u16::MAX), native }
    }
}

/// Writes the fields of a `Histogram`.
pub(super) fn write(
    out: &mut impl Out,
    counts: &mut Vec<u64>,
    bounds: &[f64],
    cell: &HistogramCell,
    kept: &HistogramSnapshot,
) {
    let sum = cell.read(counts);
    let (count, sum) = match &kept.native {
        // Scrapers compare the count with the native buckets.
        Some(native) => (native.count, native.sum),
        None => (counts.iter().fold(0, |sum: u64, count| sum.wrapping_add(*count)), sum),
    };
    proto::wide(out, field::COUNT, count);
    proto::double(out, field::SUM, sum);
    let bounds = bounds.iter().copied().chain([f64::INFINITY]);
    let (mut cumulative, mut exemplars) = (0_u64, kept.exemplars);
    for (index, bound) in bounds.enumerate() {
        cumulative = cumulative.wrapping_add(counts[index]);
        // What was recorded since the native buckets were read waits for the next scrape.
        let cumulative = if bound.is_finite() { cumulative.min(count) } else { count };
        if exemplars > 0
            && let Some(traced) = cell.exemplar(index)
        {
            exemplars -= 1;
            proto::message(out, field::BUCKET, |out| {
                proto::wide(out, bucket::CUMULATIVE_COUNT, cumulative);
                proto::double(out, bucket::UPPER_BOUND, bound);
                proto::message(out, bucket::EXEMPLAR, |out| write_exemplar(out, &traced));
            });
        } else {
            proto::plain_bucket(out, field::BUCKET, cumulative, bound);
        }
    }
    if let Some(native) = &kept.native {
        out.put(&native.fields);
    }
}

/// Writes the fields of an `Exemplar`, always as many bytes.
fn write_exemplar(out: &mut impl Out, traced: &RecordedExemplar) {
    let (trace_id, span_id) = (traced.exemplar.trace_id.to_hex(), traced.exemplar.span_id.to_hex());
    for (name, value) in [("trace_id", &trace_id[..]), ("span_id", &span_id[..])] {
        // Hexadecimal digits are UTF-8.
        let value = str::from_utf8(value).unwrap_or_default();
        proto::label_pair(out, exemplar::LABEL, name, value);
    }
    proto::double(out, exemplar::VALUE, traced.value);
    proto::message(out, exemplar::TIMESTAMP, |out| {
        proto::half_wide(out, timestamp::SECONDS, traced.millis() / 1000);
        proto::half_wide(out, timestamp::NANOS, traced.millis() % 1000 * 1_000_000);
    });
}

/// Writes the fields of native buckets.
fn native(out: &mut impl Out, reading: &super::Reading) {
    proto::signed(out, field::SCHEMA, reading.schema().into());
    // It tells a native histogram in which nothing was counted from a classic one.
    proto::double(out, field::ZERO_THRESHOLD, ZERO_THRESHOLD);
    proto::whole(out, field::ZERO_COUNT, reading.zero);
    side(out, field::NEGATIVE_SPAN, field::NEGATIVE_DELTA, &reading.negative);
    side(out, field::POSITIVE_SPAN, field::POSITIVE_DELTA, &reading.positive);
}

/// Writes the buckets of one sign: where they are, and by how much each differs from the last.
fn side(out: &mut impl Out, spans: u8, deltas: u8, side: &Side) {
    // From the end of the last span, or at first from bucket 0.
    let mut offset = i64::from(side.low);
    let mut start = 0;
    let mut written = Vec::with_capacity(side.counts.len());
    while let Some(first) = side.counts[start..].iter().position(|count| *count > 0) {
        let rest = &side.counts[start + first..];
        let mut length = 1;
        while let Some(next) = rest[length..].iter().take(MAX_GAP + 1).position(|c| *c > 0) {
            length += next + 1;
        }
        proto::message(out, spans, |out| {
            proto::signed(out, span::OFFSET, offset + first as i64);
            proto::whole(out, span::LENGTH, length as u64);
        });
        written.extend_from_slice(&rest[..length]);
        start += first + length;
        offset = 0;
    }
    if !written.is_empty() {
        proto::message(out, deltas, |out| {
            let mut last = 0_u64;
            for count in written {
                proto::varint(out, proto::zigzag(count.wrapping_sub(last) as i64));
                last = count;
            }
        });
    }
}
