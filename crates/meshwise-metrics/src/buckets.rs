//! Upper bounds of histograms' buckets.

use crate::MetricsError;
use std::{collections::BTreeMap, sync::Arc};

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

/// Knows which histogram has which buckets.
#[derive(Clone, Debug)]
pub(crate) struct Buckets {
    seconds: Arc<[f64]>,
    bytes: Arc<[f64]>,
    named: BTreeMap<String, Arc<[f64]>>,
}

impl Default for Buckets {
    fn default() -> Self {
        Self { seconds: SECONDS.into(), bytes: BYTES.into(), named: BTreeMap::new() }
    }
}

impl Buckets {
    pub(crate) fn set_seconds(&mut self, bounds: &[f64]) {
        self.seconds = bounds.into();
    }

    pub(crate) fn set_bytes(&mut self, bounds: &[f64]) {
        self.bytes = bounds.into();
    }

    pub(crate) fn set(&mut self, metric: String, bounds: &[f64]) {
        self.named.insert(metric, bounds.into());
    }

    pub(crate) fn seconds(&self) -> &[f64] {
        &self.seconds
    }

    pub(crate) fn bytes(&self) -> &[f64] {
        &self.bytes
    }

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
        Ok(())
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
            buckets.set("x_seconds".to_owned(), bounds);
            assert_eq!(buckets.check().is_ok(), fine, "{bounds:?}");
        }
        assert!(problem(SECONDS).is_none() && problem(BYTES).is_none());
    }
}
