//! All interleavings of the breaker's atomics:
//! `RUSTFLAGS='--cfg loom' cargo test -p meshwise-resilience --release --lib loom`.

use super::{
    Breaker,
    config::BreakerConfig,
    state::{BreakerMode, BreakerState, Change},
};
use loom::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};
use meshwise_core::outcome::Health;
use std::{sync::Mutex, time::Duration};

const SEC: u64 = 1_000_000_000;
const START: u64 = 1000 * SEC;

fn model(check: impl Fn() + Send + Sync + 'static) {
    let mut model = loom::model::Builder::new();
    // Three threads with locks: more switches than these add nothing but time.
    model.preemption_bound = Some(3);
    // Made here: a model's own stack is too short for all the settings there are.
    std::sync::LazyLock::force(&crate::config::DEFAULTS);
    model.check(check);
}

/// What was told: from, to.
type Told = std::sync::Arc<Mutex<Vec<(BreakerState, BreakerState)>>>;

/// Opens at one failure, for a second; one trial of two at a time.
fn breaker(limit: u32) -> (Arc<Breaker>, Told) {
    let config = BreakerConfig::new()
        .with_call_window(10)
        .with_min_calls(10)
        .with_consecutive_failures(1, Duration::ZERO)
        .with_open_time(Duration::from_secs(1), Duration::from_secs(1))
        .with_open_jitter(0.0)
        .with_trials(limit, 2);
    config.check().unwrap();
    let told = Told::default();
    let note = std::sync::Arc::clone(&told);
    // Not loom's lock: the listener is no part of the model, but a point at which threads switch.
    let listener = move |change: &Change| {
        thread::yield_now();
        note.lock().unwrap().push((change.from, change.to));
    };
    (Arc::new(Breaker::telling(&"stock".into(), config, START, 1, Box::new(listener))), told)
}

fn fail(breaker: &Breaker, now: u64) {
    if let Ok(pass) = breaker.admit(|| now) {
        breaker.end(pass, Health::Failed, || now);
    }
}

/// Each change begins where the last one ended: none is lost, doubled or out of order.
fn assert_in_order(told: &Told, last: BreakerState) {
    let told = told.lock().unwrap();
    let mut state = BreakerState::Closed;
    for (from, to) in &*told {
        assert_eq!(*from, state, "{told:?}");
        assert_ne!(from, to);
        state = *to;
    }
    assert_eq!(state, last, "{told:?}");
}

#[test]
fn a_half_open_breaker_never_has_more_trials_than_its_limit() {
    model(|| {
        let (breaker, told) = breaker(1);
        fail(&breaker, START);
        let at_peer = Arc::new(AtomicUsize::new(0));
        let now = START + 2 * SEC;
        let trials: Vec<_> = [Health::Well, Health::Unknown]
            .into_iter()
            .map(|end| {
                let (breaker, at_peer) = (Arc::clone(&breaker), Arc::clone(&at_peer));
                thread::spawn(move || {
                    if let Ok(pass) = breaker.admit(|| now) {
                        assert_eq!(at_peer.fetch_add(1, Ordering::SeqCst), 0);
                        at_peer.fetch_sub(1, Ordering::SeqCst);
                        breaker.end(pass, end, || now);
                    }
                })
            })
            .collect();
        trials.into_iter().for_each(|thread| thread.join().unwrap());
        let view = breaker.snapshot(now);
        assert_eq!(
            (view.state, view.trials_in_flight),
            (BreakerState::HalfOpen, 0),
            "no slot is lost"
        );
        assert_in_order(&told, BreakerState::HalfOpen);
    });
}

#[test]
fn a_verdict_is_reached_once_and_late_trials_do_not_touch_it() {
    model(|| {
        let (breaker, told) = breaker(2);
        fail(&breaker, START);
        let now = START + 2 * SEC;
        let trials: Vec<_> = [Health::Well, Health::Failed]
            .into_iter()
            .map(|end| {
                let breaker = Arc::clone(&breaker);
                thread::spawn(move || {
                    if let Ok(pass) = breaker.admit(|| now) {
                        breaker.end(pass, end, || now);
                    }
                })
            })
            .collect();
        trials.into_iter().for_each(|thread| thread.join().unwrap());
        // Whatever the order: one failed, so it is open again, once.
        assert_eq!(breaker.snapshot(now).state, BreakerState::Open);
        assert_in_order(&told, BreakerState::Open);
        assert_eq!(told.lock().unwrap().len(), 3);
    });
}

#[test]
fn a_success_counts_in_the_generation_that_admitted_it_or_nowhere() {
    model(|| {
        let (breaker, told) = breaker(1);
        let old = breaker.admit(|| START).unwrap();
        let ends = {
            let breaker = Arc::clone(&breaker);
            thread::spawn(move || breaker.end(old, Health::Well, || START))
        };
        // Meanwhile the breaker begins anew.
        breaker.with(|machine, good| machine.reset(START, good));
        assert_eq!(breaker.snapshot(START).calls, 0);
        let new = breaker.admit(|| START).unwrap();
        breaker.end(new, Health::Well, || START);
        ends.join().unwrap();
        assert_eq!(breaker.snapshot(START).calls, 1);
        assert_in_order(&told, BreakerState::Closed);
    });
}

#[test]
fn no_success_is_lost() {
    model(|| {
        let (breaker, _) = breaker(1);
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let breaker = Arc::clone(&breaker);
                thread::spawn(move || {
                    let pass = breaker.admit(|| START).unwrap();
                    breaker.end(pass, Health::Well, || START);
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(breaker.snapshot(START).calls, 2);
    });
}

#[test]
fn every_change_is_told_once_and_in_order_by_any_thread() {
    model(|| {
        let (breaker, told) = breaker(1);
        let threads: Vec<_> = [BreakerMode::ForcedOpen, BreakerMode::Disabled]
            .into_iter()
            .map(|mode| {
                let breaker = Arc::clone(&breaker);
                thread::spawn(move || {
                    breaker.with(|machine, good| machine.set_mode(mode, START, good));
                })
            })
            .collect();
        fail(&breaker, START);
        breaker.with(|machine, good| machine.set_mode(BreakerMode::ForcedClosed, START, good));
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_in_order(&told, breaker.snapshot(START).state);
    });
}
