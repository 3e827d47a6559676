//! Histories that went wrong once, or that no model tells.

use super::*;

#[test]
fn a_clock_that_went_back_does_not_keep_old_failures() {
    let (breaker, told) = breaker(&BreakerConfig::new().with_min_calls(2));
    let hour = 3_600_000 * MS;
    let fail = |now| breaker.end(breaker.admit(|| now).unwrap(), Health::Failed, || now);
    fail(START);
    // An hour back, and on from there: eleven seconds later the failure is as old as that.
    for second in 0..12 {
        let now = START - hour + second * 1000 * MS;
        breaker.end(breaker.admit(|| now).unwrap(), Health::Well, || now);
    }
    let now = START - hour + 11_000 * MS;
    assert_eq!(breaker.snapshot(now).failed, 0);
    fail(now);
    assert!(told.lock().unwrap().is_empty());
}

#[test]
fn the_open_time_doubles_up_to_its_limit_and_jitters_within_its_share() {
    let secs = Duration::from_secs;
    let config = BreakerConfig::new()
        .with_consecutive_failures(1, Duration::ZERO)
        .with_open_time(secs(5), secs(60))
        .with_open_jitter(0.2);
    let mut spread = std::collections::BTreeSet::new();
    for seed in 0..50 {
        let breaker =
            Breaker::telling(&"stock".into(), config.clone(), START, seed, Box::new(|_| {}));
        let mut now = START;
        breaker.end(breaker.admit(|| now).unwrap(), Health::Failed, || now);
        for expected in [5, 10, 20, 40, 60, 60, 60] {
            let left = breaker.admit(|| now).unwrap_err().unwrap();
            let expected = expected * 1000 * MS;
            assert!((expected..=expected + expected / 5).contains(&left), "{left}");
            spread.insert(left);
            // Not a nanosecond too early.
            assert!(breaker.admit(|| now + left - 1).is_err());
            now += left;
            breaker.end(breaker.admit(|| now).unwrap(), Health::Failed, || now);
        }
    }
    assert!(spread.len() > 300, "jitter differs: {}", spread.len());
}

#[test]
fn a_listener_may_call_the_breaker_and_may_panic() {
    use std::sync::OnceLock;
    static BREAKER: OnceLock<Breaker> = OnceLock::new();
    static TOLD: Mutex<Vec<BreakerState>> = Mutex::new(Vec::new());
    let listener = |change: &Change| {
        // Loses its own call, as a log exporter behind this breaker would.
        let breaker = BREAKER.get().unwrap();
        assert_eq!(breaker.admit(|| START).is_err(), change.to == BreakerState::ForcedOpen);
        if change.to == BreakerState::ForcedOpen {
            breaker.with(|machine, good| machine.set_mode(BreakerMode::Disabled, START, good));
        }
        TOLD.lock().unwrap().push(change.to);
        assert_ne!(change.to, BreakerState::ForcedClosed, "a listener that panics");
    };
    let breaker = BREAKER.get_or_init(|| {
        Breaker::telling(&"stock".into(), BreakerConfig::new(), START, 1, Box::new(listener))
    });
    breaker.with(|machine, good| machine.set_mode(BreakerMode::ForcedOpen, START, good));
    let panics =
        || breaker.with(|machine, good| machine.set_mode(BreakerMode::ForcedClosed, START, good));
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(panics)).is_err());
    breaker.with(|machine, good| machine.set_mode(BreakerMode::Automatic, START, good));
    assert_eq!(
        *TOLD.lock().unwrap(),
        [
            BreakerState::ForcedOpen,
            BreakerState::Disabled,
            BreakerState::ForcedClosed,
            BreakerState::Closed
        ]
    );
}

/// Ends `calls` calls, `every` so many milliseconds; returns after how many it opened, and when.
fn opened_after(
    config: &BreakerConfig,
    calls: u32,
    every: u64,
    end: fn(u32) -> Health,
) -> Option<u32> {
    let (breaker, _) = breaker(config);
    (1..=calls).find(|call| {
        let now = START + u64::from(*call) * every * MS;
        breaker.end(breaker.admit(|| now).unwrap(), end(*call), || now);
        breaker.snapshot(now).state == BreakerState::Open
    })
}

#[test]
fn a_peer_that_is_seldom_called_is_cut_off_too() {
    let (config, fails) = (BreakerConfig::new(), |_| Health::Failed);
    // Once a minute, 110 times a minute, and so that ten take just a second, or not.
    for every in [60_000, 60_000 / 110, 1000, 112] {
        assert_eq!(opened_after(&config, 100, every, fails), Some(10), "every {every} ms");
    }
    assert_eq!(opened_after(&config, 100, 100, fails), Some(11), "the eleventh spans a second");
    // Ten within 200 ms, and no more: a hiccup that calls in flight at once see alike.
    assert_eq!(opened_after(&config, 10, 20, fails), None);
    assert_eq!(opened_after(&config, 100, 20, fails), Some(20), "by the rate");
    // Any success between ends the row; a call that its caller gave up does not.
    let mends = |call: u32| if call.is_multiple_of(10) { Health::Well } else { Health::Failed };
    assert_eq!(opened_after(&config, 100, 1000, mends), None);
    let leaves = |call: u32| if call.is_multiple_of(10) { Health::Unknown } else { Health::Failed };
    assert_eq!(opened_after(&config, 100, 1000, leaves), Some(11));
    let off = config.clone().with_consecutive_failures(0, Duration::ZERO);
    assert_eq!(opened_after(&off, 100, 60_000, fails), None);
    let other = config.with_consecutive_failures(3, Duration::ZERO);
    assert_eq!(opened_after(&other, 100, 0, fails), Some(3));
}

#[test]
fn a_row_of_failures_outlives_a_clock_that_went_back() {
    let (breaker, _) = breaker(&BreakerConfig::new());
    for call in 0..10 {
        // An hour back after the fifth; the row began then, at the earliest.
        let now = START + call * 300 * MS - if call < 5 { 0 } else { 3_600_000 * MS };
        assert_eq!(breaker.snapshot(now).state, BreakerState::Closed);
        breaker.end(breaker.admit(|| now).unwrap(), Health::Failed, || now);
    }
    let now = START - 3_600_000 * MS + 3000 * MS;
    assert_eq!(breaker.snapshot(now).state, BreakerState::Open);
}
