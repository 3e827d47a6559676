//! Upper bounds of histograms' buckets, and which histograms have native ones beside them.

pub(crate) mod native;

use crate::{error::MetricsError, registry::name::histogram_name};
use native::NativeHistograms;
use std::{collections::BTreeMap, ops::Range, sync::Arc};

/// Bounds of durations, in seconds: OpenTelemetry's advice for HTTP and RPC.
const SECONDS: &[f64] =
    &[0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
/// Bounds of sizes, in bytes: powers of four from 256 B to 64 MiB.
const BYTES: &[f64] = &[
    256.0,
    1024.0,
    4096.0,
    16384.0,
    65536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];
const MAX_BUCKETS: usize = 200;

/// Holds one histogram's upper bounds, as numbers and as they are written.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Bounds {
    pub(crate) values: Box<[f64]>,
    /// `le="0.005"} ` and so on, `le="+Inf"} ` last.
    pub(crate) labels: Box<[String]>,
    by_exponent: ByExponent,
}

/// Says, for each power of two, which bounds lie between it and the next: what is left to search is one
/// bound or two, not all of them.
#[derive(Debug, Default, PartialEq)]
struct ByExponent {
    /// The exponent that `first` begins with, as the bits of a number have it.
    base: usize,
    /// How many bounds are below each power of two, from `base` on.
    first: Box<[u8]>,
}

impl ByExponent {
    /// Bounds that lie further apart than this (a factor of 2^64) are searched as a whole.
    const MOST: usize = 64;

    fn new(bounds: &[f64]) -> Self {
        let (Some(least), Some(most)) = (bounds.first(), bounds.last()) else {
            return Self::default();
        };
        let (base, end) = (exponent(*least), exponent(*most) + 2);
        if *least <= 0.0 || end - base > Self::MOST || bounds.len() > usize::from(u8::MAX) {
            return Self::default();
        }
        let below = |at: usize| bounds.partition_point(|bound| exponent(*bound) < at);
        let first = (base..=end).map(|at| u8::try_from(below(at)).unwrap_or(u8::MAX));
        Self { base, first: first.collect() }
    }

    /// Returns the bounds that a value may lie among; `None` if all are above, as for most calls.
    #[inline]
    fn range(&self, value: f64, bounds: usize) -> Option<Range<usize>> {
        // A value with a sign has an exponent above all.
        let at = exponent(value).checked_sub(self.base)?;
        Some(match (self.first.get(at), self.first.get(at + 1)) {
            (Some(from), Some(to)) => usize::from(*from)..usize::from(*to),
            _ => 0..bounds,
        })
    }
}

/// Returns the exponent of a positive number, as its bits have it.
#[inline]
const fn exponent(value: f64) -> usize {
    (value.to_bits() >> 52) as usize
}

impl Bounds {
    fn new(values: &[f64]) -> Self {
        let finite = values.iter().map(|bound| canonical(*bound));
        let labels = finite.chain(["+Inf".to_owned()]).map(|le| format!("le=\"{le}\"}} "));
        let by_exponent = ByExponent::new(values);
        Self { values: values.into(), labels: labels.collect(), by_exponent }
    }

    /// Returns which bucket a value falls into; past the last bound that is one more.
    #[inline]
    pub(crate) fn index(&self, value: f64) -> usize {
        let Some(Range { start, end }) = self.by_exponent.range(value, self.values.len()) else {
            return 0;
        };
        let among = self.values.get(start..end).unwrap_or_default();
        start + among.partition_point(|bound| *bound < value)
    }
}

/// Writes a bound as `OpenMetrics` asks for ("Considerations: Canonical Numbers"), that is, as Go
/// does, with `.0` behind whole numbers: `0.005`, `1.0`, `1.048576e+06`.
///
/// Both formats write it so. A scraper that changes from one to the other must not see new series.
fn canonical(bound: f64) -> String {
    // `{:e}` has the shortest digits that read back as the same number.
    let scientific = format!("{bound:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if !(-4..6).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{mantissa}e{sign}{:02}", exponent.abs());
    }
    format!("{bound:?}")
}

/// Knows which histogram has which buckets.
#[derive(Clone, Debug)]
pub(crate) struct Buckets {
    seconds: Option<Arc<[f64]>>,
    bytes: Arc<[f64]>,
    named: BTreeMap<String, Arc<[f64]>>,
    native: NativeHistograms,
}

impl Default for Buckets {
    fn default() -> Self {
        Self {
            seconds: None,
            bytes: BYTES.into(),
            named: BTreeMap::new(),
            native: NativeHistograms::default(),
        }
    }
}

impl Buckets {
    pub(crate) fn set_seconds(&mut self, bounds: &[f64]) {
        self.seconds = Some(bounds.into());
    }

    pub(crate) fn set_bytes(&mut self, bounds: &[f64]) {
        self.bytes = bounds.into();
    }

    pub(crate) fn set(&mut self, metric: &str, bounds: &[f64]) {
        self.named.insert(histogram_name(metric), bounds.into());
    }

    pub(crate) fn native_mut(&mut self) -> &mut NativeHistograms {
        &mut self.native
    }

    /// Returns the schema that a histogram's native buckets begin with, if it has any.
    pub(crate) fn native(&self, name: &str) -> Option<i8> {
        self.native.schema_of(name)
    }

    /// Picks the bounds of a histogram.
    pub(crate) fn of(&self, name: &str) -> Arc<Bounds> {
        let default = if name.ends_with("_bytes") { self.bytes() } else { self.seconds() };
        Arc::new(Bounds::new(self.named.get(name).map_or(default, |bounds| bounds)))
    }

    pub(crate) fn seconds(&self) -> &[f64] {
        self.seconds.as_deref().unwrap_or(SECONDS)
    }

    pub(crate) fn bytes(&self) -> &[f64] {
        &self.bytes
    }

    /// Lists the names and patterns of those that have native buckets.
    pub(crate) fn native_names(&self) -> Vec<String> {
        self.native.names()
    }

    /// Returns how fine native buckets are at first.
    pub(crate) fn native_schema(&self) -> i64 {
        self.native.schema()
    }

    /// Lists the histograms that have buckets of their own.
    pub(crate) fn named(&self) -> impl Iterator<Item = (&str, &[f64])> {
        self.named.iter().map(|(metric, bounds)| (metric.as_str(), &**bounds))
    }

    pub(crate) fn check(&self) -> Result<(), MetricsError> {
        let defaults =
            [("durations (the default)", self.seconds()), ("sizes (`*_bytes`)", self.bytes())];
        for (metric, bounds) in defaults.into_iter().chain(self.named()) {
            if let Some(problem) = problem(bounds) {
                return Err(MetricsError::Buckets { metric: metric.to_owned(), problem });
            }
        }
        self.native.check()
    }
}

pub(crate) fn problem(bounds: &[f64]) -> Option<&'static str> {
    if bounds.is_empty() {
        Some("none at all")
    } else if bounds.len() > MAX_BUCKETS {
        Some("too many")
    } else if bounds.iter().any(|bound| !bound.is_finite()) {
        Some("not all finite (`+Inf` is added by itself)")
    } else if bounds.windows(2).any(|pair| pair[0] >= pair[1]) {
        Some("not in ascending order")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_written_as_go_does() {
        for (bound, expected) in [
            (0.0, "0.0"),
            (0.005, "0.005"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (1.0, "1.0"),
            (-2.5, "-2.5"),
            (10.0, "10.0"),
            (100_000.0, "100000.0"),
            (1_000_000.0, "1e+06"),
            (1_048_576.0, "1.048576e+06"),
            (123_456.7, "123456.7"),
            (1e300, "1e+300"),
        ] {
            assert_eq!(canonical(bound), expected);
        }
    }

    #[test]
    fn a_value_on_a_bound_is_below_it() {
        let bounds = Bounds::new(&[1.0, 2.0]);
        let found = [0.0, 1.0, 1.1, 2.0, 2.1].map(|value| bounds.index(value));
        assert_eq!(found, [0, 0, 1, 1, 2]);
        assert_eq!(bounds.labels.concat(), r#"le="1.0"} le="2.0"} le="+Inf"} "#);
    }

    #[test]
    fn a_bucket_is_found_by_the_exponent_as_by_a_search_of_all_bounds() {
        let many: Vec<f64> = (1..200).map(|i| f64::from(i) / 100.0).collect();
        let far = [1e-300, 1.0, 1e300];
        let below = [-2.0, -1.0, 0.0, 0.5, 3.0];
        let alone = [0.25];
        for values in [SECONDS, BYTES, &many, &far, &below, &alone] {
            let bounds = Bounds::new(values);
            let around =
                values.iter().flat_map(|bound| [*bound, bound.next_up(), bound.next_down()]);
            let powers = (-1074..1023).map(|power| 2_f64.powi(power));
            let others = [0.0, -0.0, f64::MIN_POSITIVE, f64::MAX, -1.5, -1e300];
            for value in around.chain(powers).chain(others) {
                let all = values.partition_point(|bound| *bound < value);
                assert_eq!(bounds.index(value), all, "{value:e} in {values:?}");
            }
        }
    }

    #[test]
    fn names_choose_buckets() {
        let mut buckets = Buckets::default();
        buckets.set("queue.wait", &[7.0]);
        assert_eq!(*buckets.of("queue_wait").values, [7.0]);
        assert_eq!(*buckets.of("x_bytes").values, *BYTES);
        assert_eq!(*buckets.of("x_seconds").values, *SECONDS);
        assert_eq!(*buckets.of("x").values, *SECONDS);
    }

    #[test]
    fn only_ascending_finite_bounds_pass() {
        for (bounds, fine) in [
            (&[1.0][..], true),
            (&[-1.0, 0.0, 1.0], true),
            (&[], false),
            (&[1.0, 1.0], false),
            (&[2.0, 1.0], false),
            (&[f64::NAN], false),
            (&[1.0, f64::INFINITY], false),
            (&[0.0; 201], false),
        ] {
            let mut buckets = Buckets::default();
            buckets.set("x_seconds", bounds);
            assert_eq!(buckets.check().is_ok(), fine, "{bounds:?}");
        }
        assert!(problem(SECONDS).is_none() && problem(BYTES).is_none());
    }
}
