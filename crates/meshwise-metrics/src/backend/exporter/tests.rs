//! Upkeep: without it the exporter keeps every raw sample.

use super::*;
use crate::registry::Limits;
use allocation_counter::measure;
use meshwise_core::Signal;

const SAMPLES: usize = 20_000;
const ROUNDS: i64 = 50;

fn registry() -> Registry<Exporter> {
    let losses = Arc::new(LossCounters::new(Signal::Metrics));
    let limits = Limits {
        buckets: Buckets::default(),
        constant_labels: Vec::new(),
        max_label_sets: 100,
        idle_timeout: None,
    };
    let exporter = Exporter::new(&limits.buckets, Arc::clone(&losses)).unwrap();
    Registry::new(exporter, losses, limits)
}

#[test]
fn upkeep_frees_raw_samples_that_are_not_scraped() {
    let registry = registry();
    let key = Key::from_static_name("wait_seconds");
    let histogram = registry.resolve(Kind::Histogram, &key).into_histogram();
    let record = || (0..SAMPLES).for_each(|_| histogram.record(0.1));
    // What upkeep is there for: 16 bytes for each sample.
    let kept = measure(|| (0..ROUNDS).for_each(|_| record())).bytes_current;
    assert!(kept > 16 * ROUNDS * i64::try_from(SAMPLES).unwrap(), "{kept} bytes");
    // Memory is freed some rounds later (crossbeam's epochs), but it is.
    let grown = measure(|| {
        for _ in 0..ROUNDS {
            record();
            registry.upkeep();
        }
    });
    assert!(grown.bytes_current < kept / 10, "{} of {kept} bytes", grown.bytes_current);
    let mut page = Vec::new();
    assert!(registry.pages(Format::Text).next(&mut page));
    let text = String::from_utf8(page).unwrap();
    assert!(text.contains(&format!("wait_seconds_count {}\n", SAMPLES * 100)), "{text}");
}
