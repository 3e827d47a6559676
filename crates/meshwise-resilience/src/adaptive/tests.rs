//! Limits against a peer of known strength, and samples as they are summed up.

mod simulation;

use super::{
    AdaptiveConfig,
    algorithms::{Limit, Sample},
    sampler::{Began, ENOUGH, Sampler},
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
        limit.update(Sample { time: Some(time(strength, now)), in_flight: now, dropped: 0.0 })
    })
}

#[test]
fn a_limit_finds_what_the_peer_bears() {
    for (config, most) in [(AdaptiveConfig::gradient2(), 3.0), (AdaptiveConfig::vegas(), 1.5)] {
        for strength in [30, 100, 400] {
            let mut limit = Limit::new(&config, 1);
            let found = f64::from(run(&mut limit, config.0.initial.or_none(), strength, 200));
            let share = found / f64::from(strength);
            assert!(share >= 0.9, "{config:?} holds back: {found} of {strength}");
            assert!(share <= most, "{config:?} piles up: {found} of {strength}");
        }
    }
}

#[test]
fn a_limit_falls_when_the_peer_weakens_and_rises_when_it_is_well() {
    for config in [AdaptiveConfig::gradient2(), AdaptiveConfig::vegas()] {
        let mut limit = Limit::new(&config, 1);
        let well = run(&mut limit, config.0.initial.or_none(), 200, 200);
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
        let dropped = Sample { time: None, in_flight: 1, dropped: 1.0 };
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
            let idle = Sample { time: Some(1e6), in_flight: 3, dropped: 0.0 };
            assert_eq!(limit.update(idle), 20, "{config:?}");
        }
    }
}

fn configs() -> impl Strategy<Value = AdaptiveConfig> {
    let algorithm = prop_oneof![Just(AdaptiveConfig::gradient2()), Just(AdaptiveConfig::vegas())];
    (algorithm, 1..100_u32, 0..100_u32, 0..1000_u32).prop_map(|(config, floor, more, span)| {
        config.with_limits(floor + more.min(span), floor, floor + span)
    })
}

proptest! {
    #[test]
    fn whatever_the_samples_the_limit_stays_within_floor_and_ceiling(
        config in configs(),
        samples in prop::collection::vec(
            (prop::option::of(1.0..1e14_f64), 0..2000_u32, 0.0..=1.0), 0..200
        ),
    ) {
        prop_assert_eq!(config.check(), Ok(()));
        let mut limit = Limit::new(&config, 1);
        let (floor, ceiling) = (config.0.floor.or_none(), config.0.ceiling.or_none());
        for (time, in_flight, dropped) in samples {
            let dropped = if time.is_none() { 1.0 } else { dropped };
            let now = limit.update(Sample { time, in_flight, dropped });
            prop_assert!((floor..=ceiling).contains(&now), "{}", now);
        }
    }
}

fn sampler(config: &AdaptiveConfig) -> Sampler {
    let sampler = Sampler::default();
    sampler.set(Some(config), 1000 * MS, 7, || {});
    sampler
}

fn tick(sampler: &Sampler, now: u64) -> Option<u32> {
    let limit = Cell::new(None);
    sampler.tick(now, |new| limit.set(Some(new)));
    limit.get()
}

fn add(sampler: &Sampler, nanos: u64, in_flight: u32) {
    sampler.well(Began::at(0, 0), || nanos, in_flight);
}

#[test]
fn a_window_closes_when_it_is_over_and_has_seen_enough() {
    let config = AdaptiveConfig::gradient2().with_samples(Duration::from_secs(1), 3);
    let sampler = sampler(&config);
    let add = || add(&sampler, 5 * MS, 20);
    (0..2).for_each(|_| add());
    assert_eq!(tick(&sampler, 1999 * MS), None, "not over");
    assert_eq!(tick(&sampler, 2000 * MS), None, "not enough");
    add();
    assert_eq!(tick(&sampler, 1999 * MS), None, "not over");
    // 20 + the root of 20, a fifth of the way.
    assert_eq!(tick(&sampler, 2100 * MS), Some(21));
    assert_eq!(tick(&sampler, 3200 * MS), None, "nothing since");
    (0..2).for_each(|_| sampler.drops(20));
    assert_eq!(tick(&sampler, 3200 * MS), None, "drops have to be enough, too");
    add();
    assert_eq!(tick(&sampler, 3200 * MS), Some(20), "two of three");
    (0..3).for_each(|_| add());
    assert_eq!(tick(&sampler, 3300 * MS), None);
    // The clock goes back by an hour: the window does not last an hour longer.
    assert!(tick(&sampler, 3300 * MS - 3000 * MS).is_some());
}

/// Begins and ends so many calls within a window; returns how many of them were measured.
fn measured(sampler: &Sampler, calls: u32) -> u32 {
    let began = (0..calls).map(|_| sampler.wants(|| MS));
    let measured = began.inspect(|began| sampler.well(*began, || 3 * MS, 1));
    measured.filter(|began| *began != Began::default()).count() as u32
}

#[test]
fn of_many_calls_one_in_so_many_is_measured() {
    let sampler = sampler(&AdaptiveConfig::gradient2());
    let mut now = 1000 * MS;
    for (calls, least, most) in [
        (ENOUGH, ENOUGH, ENOUGH),
        (2 * ENOUGH, 2 * ENOUGH, 2 * ENOUGH),
        // All at first, fewer as they come.
        (100_000, 1024, 10_000),
        (100_000, ENOUGH, 2 * ENOUGH),
        (1_000_000, 1024, 10_000),
        (1_000_000, ENOUGH, 2 * ENOUGH),
        (ENOUGH * 64, 1, 10),
        (ENOUGH * 64, ENOUGH, 2 * ENOUGH),
    ] {
        let counted = measured(&sampler, calls);
        assert!((least..=most).contains(&counted), "{counted} of {calls}");
        if counted < 10 {
            now += 1001 * MS;
            assert_eq!(sampler.sample(now, 10), None);
            assert_eq!(measured(&sampler, 20), 20, "too few: from here on all");
        }
        now += 1001 * MS;
        let sample = sampler.sample(now, 10).unwrap();
        let time = sample.time.unwrap();
        assert!((time / (2 * MS) as f64 - 1.0).abs() < 1e-3, "{time}");
    }
}

#[test]
fn a_drop_counts_against_all_calls_not_only_the_measured() {
    let sampler = sampler(&AdaptiveConfig::gradient2());
    let mut now = 1000 * MS;
    for _ in 0..3 {
        measured(&sampler, 9_900);
        (0..100).for_each(|_| sampler.drops(1));
        now += 1001 * MS;
        let dropped = sampler.sample(now, 10).unwrap().dropped;
        assert!((dropped / 0.01 - 1.0).abs() < 0.05, "{dropped}");
    }
}

#[test]
fn a_call_counts_in_the_window_that_it_ends_in_for_as_many_as_when_it_began() {
    let sampler = sampler(&AdaptiveConfig::gradient2());
    let mut now = 2001 * MS;
    measured(&sampler, 130_000);
    sampler.sample(now, 10).unwrap();
    // Begun while one in 256 was measured, ended while each is.
    let began: Vec<_> = (0..256 * 100).map(|_| sampler.wants(|| now)).collect();
    let chosen = began.iter().filter(|began| **began != Began::default()).count();
    assert!((99..=101).contains(&chosen), "{chosen}");
    now += 1001 * MS;
    assert_eq!(sampler.sample(now, 10), None);
    began.into_iter().for_each(|began| sampler.well(began, || now, 1));
    (0..256 * 100).for_each(|_| add(&sampler, 2 * MS, 1));
    // Half of them lasted 2 ms, and half 1001 ms.
    let time = sampler.sample(now, 10).unwrap().time.unwrap() / MS as f64;
    assert!((time / 501.5 - 1.0).abs() < 0.02, "{time}");
}

#[test]
fn no_time_overflows_the_sum() {
    let sampler = sampler(&AdaptiveConfig::gradient2());
    for _ in 0..100_000 {
        sampler.well(Began::at(0, 10), || u64::MAX, 1);
    }
    assert_eq!(sampler.sample(2001 * MS, 10).unwrap().time, Some(6e10), "a minute");
    // A clock that goes back while a call is in flight.
    (0..10).for_each(|_| sampler.well(Began::at(5000 * MS, 0), || MS, 1));
    assert_eq!(sampler.sample(3002 * MS, 10).unwrap().time, Some(64.0), "as little as there is");
}

#[test]
fn a_sampler_that_was_stopped_applies_nothing() {
    let sampler = sampler(&AdaptiveConfig::gradient2());
    (0..20).for_each(|_| add(&sampler, MS, 20));
    let applied = Cell::new(false);
    sampler.set(None, 0, 7, || applied.set(true));
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
    ] {
        assert_eq!(config.check().unwrap_err().to_string(), message);
    }
}
