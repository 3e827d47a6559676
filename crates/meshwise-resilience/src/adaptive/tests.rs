//! Limits against a neighbour of known strength, and samples as they are summed up.

use super::{
    AdaptiveConfig, LimitAlgorithm,
    algorithms::{Limit, Sample},
    sampler::{ENOUGH, Sampler, Took},
};
use proptest::prelude::*;
use std::{cell::Cell, time::Duration};

const MS: u64 = 1_000_000;

/// Answers `strength` calls at a time in 10 ms; more wait for each other (Little's law). As many
/// call as are allowed.
fn time(strength: u32, in_flight: u32) -> f64 {
    10.0 * MS as f64 * (f64::from(in_flight) / f64::from(strength)).max(1.0)
}

fn run(limit: &mut Limit, from: u32, strength: u32, windows: u32) -> u32 {
    (0..windows).fold(from, |now, _| {
        limit.update(Sample { time: Some(time(strength, now)), in_flight: now, dropped: false })
    })
}

#[test]
fn a_limit_finds_what_the_neighbour_bears() {
    for (config, most) in [(AdaptiveConfig::gradient2(), 3.0), (AdaptiveConfig::vegas(), 1.5)] {
        for strength in [30, 100, 400] {
            let mut limit = Limit::new(&config, 1);
            let found = f64::from(run(&mut limit, config.initial, strength, 200));
            let share = found / f64::from(strength);
            assert!(share >= 0.9, "{config:?} holds back: {found} of {strength}");
            eprintln!("{config:?} {strength}: {found}");
            assert!(share <= most, "{config:?} piles up: {found} of {strength}");
        }
    }
}

#[test]
fn a_limit_falls_when_the_neighbour_weakens_and_rises_when_it_is_well() {
    for config in [AdaptiveConfig::gradient2(), AdaptiveConfig::vegas()] {
        let mut limit = Limit::new(&config, 1);
        let well = run(&mut limit, config.initial, 200, 200);
        let weak = run(&mut limit, well, 20, 40);
        let again = run(&mut limit, weak, 200, 200);
        assert!(weak < well / 2, "{config:?}: {well}, then {weak}");
        assert!(again > well * 8 / 10, "{config:?}: {well}, then {weak}, then {again}");
    }
}

#[test]
fn overload_lowers_the_limit_even_if_no_call_goes_well() {
    for config in [AdaptiveConfig::gradient2(), AdaptiveConfig::vegas()] {
        let config = config.with_limits(500, 10, 1000);
        let mut limit = Limit::new(&config, 1);
        let dropped = Sample { time: None, in_flight: 1, dropped: true };
        let before = limit.update(dropped);
        assert!(before < 500, "{config:?}: {before}");
        let after = (0..500).fold(before, |_, _| limit.update(dropped));
        assert_eq!(after, 10, "{config:?}: the floor");
    }
}

#[test]
fn a_limit_that_is_not_used_says_nothing() {
    for config in [AdaptiveConfig::gradient2(), AdaptiveConfig::vegas()] {
        let mut limit = Limit::new(&config, 1);
        for _ in 0..50 {
            let idle = Sample { time: Some(1e6), in_flight: 3, dropped: false };
            assert_eq!(limit.update(idle), 20, "{config:?}");
        }
    }
}

fn configs() -> impl Strategy<Value = AdaptiveConfig> {
    let algorithm = prop_oneof![
        (1.0..3.0, 0.01..=1.0, 1..20_u32, 2..1000_u32).prop_map(
            |(tolerance, smoothing, headroom, long_window)| LimitAlgorithm::Gradient2 {
                tolerance,
                smoothing,
                headroom,
                long_window
            }
        ),
        (0.01..=1.0, 2..100_u32)
            .prop_map(|(smoothing, probe_after)| LimitAlgorithm::Vegas { smoothing, probe_after }),
    ];
    (algorithm, 1..100_u32, 0..100_u32, 0..1000_u32).prop_map(|(algorithm, floor, more, span)| {
        AdaptiveConfig::new(algorithm).with_limits(floor + more.min(span), floor, floor + span)
    })
}

proptest! {
    #[test]
    fn whatever_the_samples_the_limit_stays_within_floor_and_ceiling(
        config in configs(),
        samples in prop::collection::vec(
            (prop::option::of(1.0..1e14_f64), 0..2000_u32, any::<bool>()), 0..200
        ),
    ) {
        prop_assert_eq!(config.check(), Ok(()));
        let mut limit = Limit::new(&config, 1);
        for (time, in_flight, dropped) in samples {
            let dropped = dropped || time.is_none();
            let now = limit.update(Sample { time, in_flight, dropped });
            prop_assert!((config.floor..=config.ceiling).contains(&now), "{}", now);
        }
    }
}

fn sampler(config: &AdaptiveConfig) -> Sampler {
    let sampler = Sampler::new();
    sampler.set(Some(config), 1000 * MS, || {});
    sampler
}

fn tick(sampler: &Sampler, now: u64) -> Option<u32> {
    let limit = Cell::new(None);
    sampler.tick(now, |new| limit.set(Some(new)));
    limit.get()
}

#[test]
fn a_window_closes_when_it_is_over_and_has_seen_enough() {
    let config = AdaptiveConfig::gradient2().with_samples(Duration::from_secs(1), 3);
    let sampler = sampler(&config);
    let add = || sampler.add(Took::Nanos(5 * MS), 20);
    (0..2).for_each(|_| add());
    assert_eq!(tick(&sampler, 1999 * MS), None, "not over");
    assert_eq!(tick(&sampler, 2000 * MS), None, "not enough");
    add();
    assert_eq!(tick(&sampler, 1999 * MS), None, "not over");
    // 20 + the root of 20, a fifth of the way.
    assert_eq!(tick(&sampler, 2100 * MS), Some(21));
    assert_eq!(tick(&sampler, 3200 * MS), None, "nothing since");
    sampler.add(Took::Dropped, 20);
    assert_eq!(tick(&sampler, 3200 * MS), Some(20), "overload needs no number");
    (0..3).for_each(|_| add());
    assert_eq!(tick(&sampler, 3300 * MS), None);
    // The clock goes back by an hour: the window does not last an hour longer.
    assert!(tick(&sampler, 3300 * MS - 3000 * MS).is_some());
}

#[test]
fn more_calls_than_enough_are_neither_measured_nor_summed() {
    let sampler = sampler(&AdaptiveConfig::gradient2());
    for _ in 0..ENOUGH {
        assert!(sampler.wants());
        sampler.add(Took::Nanos(u64::MAX), 1);
    }
    assert!(!sampler.wants());
    // As many as would overflow it, had they all begun while more were wanted.
    for _ in 0..1_100_000 {
        sampler.add(Took::Nanos(u64::MAX), 1);
        assert!(!sampler.wants());
    }
    assert_eq!(tick(&sampler, 9000 * MS), Some(20));
    assert!(sampler.wants());
}

#[test]
fn a_sampler_that_was_stopped_applies_nothing() {
    let sampler = sampler(&AdaptiveConfig::gradient2());
    (0..20).for_each(|_| sampler.add(Took::Nanos(MS), 20));
    let applied = Cell::new(false);
    sampler.set(None, 0, || applied.set(true));
    assert!(applied.get() && !sampler.active());
    assert_eq!(tick(&sampler, u64::MAX), None);
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let vegas = AdaptiveConfig::vegas;
    for (config, message) in [
        (vegas().with_limits(5, 10, 20), "adaptive.initial is 5: set it to 10 to 20"),
        (vegas().with_limits(5, 0, 20), "adaptive.floor is 0: set it to 1 to 1000000"),
        (vegas().with_limits(20, 20, 10), "adaptive.ceiling is 10: set it to 20 to 1000000"),
        (
            vegas().with_samples(Duration::from_secs(1), 1000),
            "adaptive.min_samples is 1000: set it to 1 to 256",
        ),
        (
            AdaptiveConfig::new(LimitAlgorithm::Vegas { smoothing: 0.0, probe_after: 60 }),
            "adaptive.smoothing is 0: set it to more than 0 and at most 1",
        ),
        (
            AdaptiveConfig::new(LimitAlgorithm::Gradient2 {
                tolerance: f64::NAN,
                smoothing: 1.0,
                headroom: 4,
                long_window: 600,
            }),
            "adaptive.tolerance is NaN: set it to 1 to 100",
        ),
    ] {
        assert_eq!(config.check().unwrap_err().to_string(), message);
    }
}
