use super::*;
use proptest::{
    collection::vec,
    prelude::{Strategy, any, prop_oneof, proptest},
    test_runner::Config,
};
use std::{
    collections::BTreeMap,
    sync::{Barrier, atomic::AtomicBool},
    thread,
};

fn read(shards: &[Native]) -> Reading {
    let mut reading = Reading::default();
    reading.read(shards.iter());
    reading
}

fn buckets(side: &Side) -> BTreeMap<i32, u64> {
    let counts = side.counts.iter().zip(side.low..);
    counts.filter(|(count, _)| **count > 0).map(|(count, index)| (index, *count)).collect()
}

/// What buckets of this schema would hold, had they been there from the start.
fn expected(values: &[f64], schema: i8, sign: f64) -> BTreeMap<i32, u64> {
    let mut buckets = BTreeMap::new();
    for value in values.iter().map(|value| value * sign).filter(|value| *value > ZERO_THRESHOLD) {
        *buckets.entry(fold(finest(value), (FINEST - schema) as u8)).or_default() += 1;
    }
    buckets
}

fn width(buckets: &BTreeMap<i32, u64>) -> i32 {
    let ends = buckets.first_key_value().zip(buckets.last_key_value());
    ends.map_or(0, |((low, _), (high, _))| high - low + 1)
}

fn values() -> impl Strategy<Value = Vec<f64>> {
    let any_finite = any::<f64>().prop_filter("finite", |value| value.is_finite());
    let usual = (-20.0..10.0_f64).prop_map(f64::exp2);
    let value = prop_oneof![5 => usual, 1 => any_finite, 1 => -1.0..1.0_f64];
    vec(value, 0..200)
}

proptest! {
    #![proptest_config(Config { failure_persistence: None, ..Config::default() })]

    #[test]
    fn every_value_is_in_its_bucket(values in values(), schema in COARSEST..=FINEST, shards in 1..3_usize) {
        let natives: Vec<_> = (0..shards).map(|_| Native::new(schema)).collect();
        for (i, value) in values.iter().enumerate() {
            natives[i % shards].add(*value, 1);
        }
        let reading = read(&natives);
        let found = reading.schema();
        assert!((COARSEST..=schema).contains(&found));
        assert_eq!(reading.count(), values.len() as u64);
        let zeros = values.iter().filter(|value| value.abs() <= ZERO_THRESHOLD).count();
        assert_eq!(reading.zero, zeros as u64);
        for (side, sign) in [(&reading.positive, 1.0), (&reading.negative, -1.0)] {
            assert_eq!(buckets(side), expected(&values, found, sign));
            assert!(side.counts.len() <= MAX_BUCKETS);
        }
        // It is no coarser than it must be.
        let fits = |schema| {
            [1.0, -1.0].iter().all(|sign| {
                width(&expected(&values, schema, *sign)) <= MAX_BUCKETS as i32
            })
        };
        assert!(found == schema || !fits(found + 1), "{found} of {schema}");
    }

    #[test]
    fn ranges_come_back(low in -300_000..300_000_i32, width in 0..160_i32, closed: bool) {
        let range = Range { low, high: low + width, closed };
        assert_eq!(Range::unpacked(range.packed()), range);
    }
}

#[test]
fn nothing_is_a_reading_too() {
    let reading = read(&[Native::new(5)]);
    assert_eq!((reading.count(), reading.schema()), (0, 5));
    assert_eq!(Range::unpacked(Range::NOTHING.packed()), Range::NOTHING);
}

#[test]
fn a_reading_is_used_again() {
    let mut reading = Reading::default();
    for value in [1e300, -1e-30, 0.0, 1.0] {
        let native = Native::new(3);
        native.add(value, 7);
        native.add(value, 1);
        reading.read([&native].into_iter());
        assert_eq!((reading.count(), reading.schema()), (8, 3), "{value}");
    }
}

#[test]
fn all_numbers_fit() {
    let native = Native::new(FINEST);
    for exponent in -1074..1024_i32 {
        let value = f64::from(exponent).exp2();
        native.add(value, 1);
        native.add(-value, 1);
    }
    native.add(f64::MAX, 1);
    let reading = read(&[native]);
    assert_eq!(reading.schema(), -3);
    assert_eq!(reading.count(), 2 * (1074 + 1024) + 1);
}

#[test]
fn its_memory_has_a_bound() {
    let native = Native::new(FINEST);
    let info = allocation_counter::measure(|| {
        for i in 0..2_000_000_u64 {
            // Every exponent and both signs, in an order without order.
            let value = f64::from_bits(i.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            if value.is_finite() {
                native.add(value, 1);
            }
        }
    });
    let levels = 2 * u64::from((FINEST - COARSEST).unsigned_abs());
    assert!(info.count_total <= levels, "{} allocations", info.count_total);
    assert!(info.bytes_total <= levels * size_of::<Level>() as u64);
    assert!(size_of::<Level>() <= MAX_BUCKETS * 8 + 64);
}

/// Sets a flag when it goes, also because an assertion failed: who waits for it shall end then.
struct AtEnd<'a>(&'a AtomicBool);

impl Drop for AtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

/// Threads record ever wider ranges, so that resolutions halve under their hands.
#[test]
fn nothing_is_lost_while_resolutions_halve() {
    const THREADS: u32 = 4;
    const EACH: i32 = 20_000;
    for round in 0..20 {
        let native = Native::new(FINEST);
        let (start, done) = (Barrier::new(THREADS as usize + 1), AtomicBool::new(false));
        thread::scope(|scope| {
            let recorders: Vec<_> = (0..THREADS)
                .map(|thread| {
                    let (native, start) = (&native, &start);
                    scope.spawn(move || {
                        start.wait();
                        for i in 0..EACH {
                            // From 2^0 outwards, each thread its own way.
                            let far = f64::from(i) / f64::from(EACH) * 100.0;
                            let exponent = if (thread + round) % 2 == 0 { far } else { -far };
                            native.add(exponent.exp2(), 1);
                        }
                    })
                })
                .collect();
            scope.spawn(|| {
                start.wait();
                let (mut count, mut schema) = (0, FINEST);
                while !done.load(Relaxed) {
                    let reading = read(std::slice::from_ref(&native));
                    assert!(reading.count() >= count && reading.schema() <= schema);
                    (count, schema) = (reading.count(), reading.schema());
                }
            });
            let _at_end = AtEnd(&done);
            for recorder in recorders {
                recorder.join().unwrap();
            }
        });
        let reading = read(&[native]);
        assert_eq!(reading.count(), u64::from(THREADS) * EACH as u64);
        // 100 powers of two on each side.
        assert_eq!(reading.schema(), -1);
        assert!(reading.positive.counts.len() <= MAX_BUCKETS);
    }
}
