//! Series that are not written to.

use super::*;
use crate::{backend::Own, buckets::Buckets, key::label, kind::Handle};
use meshwise_core::Signal;
use metrics::{Counter, Gauge, Histogram, Key};
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(60);

fn registry(max_label_sets: usize) -> Registry<Own> {
    let losses = Arc::new(LossCounters::new(Signal::Metrics));
    let limits = Limits {
        buckets: Buckets::default(),
        constant_labels: Vec::new(),
        max_label_sets,
        idle_timeout: Some(TIMEOUT),
    };
    Registry::new(Own::new(Arc::clone(&losses), None), losses, limits)
}

fn key(name: &'static str, id: &str) -> Key {
    Key::from_parts(name, vec![label("id", id.to_owned())])
}

impl Registry<Own> {
    fn counter(&self, id: &str) -> Counter {
        self.resolve(Kind::Counter, &key("x", id)).into_counter()
    }

    fn gauge(&self, id: &str) -> Gauge {
        self.resolve(Kind::Gauge, &key("g", id)).into_gauge()
    }

    fn histogram(&self, id: &str) -> Histogram {
        self.resolve(Kind::Histogram, &key("h", id)).into_histogram()
    }

    fn shown(&self) -> Vec<String> {
        let families = self.families();
        let shown = |family: &Arc<Family<_>>| {
            let name = Arc::clone(&family.name);
            let series = family.shown().into_iter();
            series.map(|series| format!("{name}{{{}}}", series.labels)).collect::<Vec<_>>()
        };
        families.iter().flat_map(shown).collect()
    }

    fn keys(&self) -> usize {
        self.known.len()
    }
}

#[test]
fn what_is_idle_is_hidden_and_forgotten() {
    let registry = registry(100);
    let start = Instant::now();
    registry.counter("a").increment(1);
    registry.gauge("a").set(1.0);
    registry.histogram("a").record(1.0);
    registry.sweep(start);
    registry.sweep(start + TIMEOUT);
    assert_eq!(registry.shown().len(), 3, "the first sweep saw them written to");
    registry.sweep(start + TIMEOUT * 2 - Duration::from_nanos(1));
    assert_eq!(registry.shown().len(), 3);
    registry.sweep(start + TIMEOUT * 2);
    assert_eq!(registry.shown(), [""; 0]);
    assert_eq!(registry.keys(), 0);
    // It starts anew, as a counter does after a restart.
    registry.counter("a").increment(1);
    assert_eq!(registry.shown(), ["x_total{id=\"a\"}"]);
}

#[test]
fn what_is_written_to_stays() {
    let registry = registry(100);
    let start = Instant::now();
    for round in 0..10 {
        registry.counter("a").increment(1);
        registry.gauge("a").set(7.0);
        registry.histogram("a").record(0.0);
        registry.sweep(start + TIMEOUT * round);
    }
    assert_eq!(registry.shown().len(), 3);
}

#[test]
fn a_handle_that_is_held_brings_its_series_back_as_it_was() {
    let registry = registry(100);
    let start = Instant::now();
    let held = registry.counter("a");
    held.increment(5);
    for round in 0..3 {
        registry.sweep(start + TIMEOUT * round);
    }
    assert_eq!(registry.shown(), [""; 0]);
    held.increment(1);
    registry.sweep(start + TIMEOUT * 3);
    assert_eq!(registry.shown(), ["x_total{id=\"a\"}"]);
    // A new handle leads to the same series.
    registry.counter("a").increment(1);
    held.increment(1);
    assert_eq!(registry.shown().len(), 1);
}

#[test]
fn what_is_in_flight_is_not_idle() {
    let registry = registry(100);
    let start = Instant::now();
    let gauge = registry.gauge("a");
    gauge.increment(1.0);
    drop(registry.gauge("b"));
    for round in 0..5 {
        registry.sweep(start + TIMEOUT * round);
    }
    assert_eq!(registry.shown(), ["g{id=\"a\"}"]);
    gauge.decrement(1.0);
    for round in 5..8 {
        registry.sweep(start + TIMEOUT * round);
    }
    assert_eq!(registry.shown(), [""; 0]);
}

#[test]
fn what_is_forgotten_makes_room() {
    let registry = registry(10);
    let mut now = Instant::now();
    for round in 0..5 {
        for id in 0..10 {
            registry.counter(&format!("{round}-{id}")).increment(1);
        }
        assert_eq!(registry.keys(), 10);
        for _ in 0..3 {
            registry.sweep(now);
            now += TIMEOUT;
        }
    }
    assert_eq!(registry.shown(), [""; 0], "nothing overflowed");
}

#[test]
fn keys_that_lead_to_one_series_are_bounded() {
    let registry = registry(100);
    for i in 0..1000 {
        let labels = vec![label("a", "1"), metrics::Label::new(format!("empty{i}"), "")];
        let handle = registry.resolve(Kind::Counter, &Key::from_parts("x", labels));
        assert!(matches!(handle, Handle::Counter(_)));
    }
    assert_eq!(registry.shown().len(), 1);
    assert!(registry.keys() <= 8, "{} keys", registry.keys());
}

#[test]
fn threads_that_meet_at_a_key_count_it_once() {
    let registry = registry(100);
    let key = key("x", "a");
    for _ in 0..20 {
        // As if each had found the key unknown.
        drop(registry.begin(Kind::Counter, &key, false));
    }
    assert_eq!(registry.keys(), 1);
    let alias = Key::from_parts("x", vec![label("id", "a"), label("empty", "")]);
    drop(registry.resolve(Kind::Counter, &alias));
    assert_eq!(registry.keys(), 2, "there is room for an alias");
}

#[test]
fn long_keys_lead_to_a_short_series_and_are_not_kept() {
    let registry = registry(100);
    let long = "x".repeat(1_000_000);
    let grown = allocation_counter::measure(|| {
        for _ in 0..10 {
            registry.counter(&long).increment(1);
        }
    });
    assert!(grown.bytes_current < 50_000, "{} bytes", grown.bytes_current);
    assert_eq!(registry.keys(), 0);
    assert_eq!(registry.shown().len(), 1);
}
