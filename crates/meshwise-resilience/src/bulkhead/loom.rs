//! All interleavings of the bulkhead's permits and queue:
//! `RUSTFLAGS='--cfg loom' cargo test -p meshwise-resilience --release --lib loom`.

use super::permits::{Permits, Place, Use};
use loom::{
    future::block_on,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};
use std::future::poll_fn;

const NONE: Use = Use { in_use: 0, waiting: 0 };

fn model(check: impl Fn() + Send + Sync + 'static) {
    let mut model = loom::model::Builder::new();
    // Three threads with locks: more switches than these add nothing but time.
    model.preemption_bound = Some(3);
    model.check(check);
}

/// Holds a permit: counts who else does.
fn work(in_flight: &AtomicUsize, limit: usize) {
    assert!(in_flight.fetch_add(1, Ordering::SeqCst) < limit);
    in_flight.fetch_sub(1, Ordering::SeqCst);
}

#[test]
fn who_waits_is_woken_and_no_permit_is_lost() {
    model(|| {
        let (permits, in_flight) = (Arc::new(Permits::new(1, 2)), Arc::new(AtomicUsize::new(0)));
        let callers: Vec<_> = (0..2)
            .map(|_| {
                let (permits, in_flight) = (Arc::clone(&permits), Arc::clone(&in_flight));
                thread::spawn(move || {
                    match permits.take_or_queue() {
                        Place::Permit => {}
                        // Hangs, and loom says so, if no one wakes it.
                        Place::Queued(number) => block_on(poll_fn(|cx| permits.poll(number, cx))),
                        Place::Full => unreachable!("there is room for two"),
                    }
                    work(&in_flight, 1);
                    permits.release();
                })
            })
            .collect();
        if permits.try_take() {
            work(&in_flight, 1);
            permits.release();
        }
        callers.into_iter().for_each(|caller| caller.join().unwrap());
        assert_eq!(permits.usage(), NONE);
    });
}

#[test]
fn who_leaves_takes_no_permit_along() {
    model(|| {
        let permits = Arc::new(Permits::new(1, 2));
        assert!(permits.try_take());
        let Place::Queued(first) = permits.take_or_queue() else { panic!() };
        let leaves = {
            let permits = Arc::clone(&permits);
            thread::spawn(move || {
                if permits.leave(first) {
                    permits.release();
                }
            })
        };
        let waits = {
            let permits = Arc::clone(&permits);
            thread::spawn(move || match permits.take_or_queue() {
                Place::Permit => permits.release(),
                Place::Queued(number) => {
                    block_on(poll_fn(|cx| permits.poll(number, cx)));
                    permits.release();
                }
                Place::Full => unreachable!("there is room for two"),
            })
        };
        permits.release();
        leaves.join().unwrap();
        waits.join().unwrap();
        assert_eq!(permits.usage(), NONE);
    });
}

#[test]
fn a_limit_that_changes_wakes_those_it_has_room_for() {
    model(|| {
        let permits = Arc::new(Permits::new(1, 2));
        assert!(permits.try_take());
        let waits = {
            let permits = Arc::clone(&permits);
            thread::spawn(move || {
                match permits.take_or_queue() {
                    Place::Permit => {}
                    // The one permit that is out does not come back before: only the higher limit
                    // can wake it.
                    Place::Queued(number) => block_on(poll_fn(|cx| permits.poll(number, cx))),
                    Place::Full => unreachable!("there is room for two"),
                }
                permits.release();
            })
        };
        permits.set_limit(2);
        waits.join().unwrap();
        permits.set_limit(1);
        permits.release();
        assert_eq!(permits.usage(), NONE);
    });
}

#[test]
fn a_lower_limit_holds_once_its_permits_are_back() {
    model(|| {
        let (permits, in_flight) = (Arc::new(Permits::new(2, 2)), Arc::new(AtomicUsize::new(0)));
        assert!(permits.try_take() && permits.try_take());
        permits.set_limit(1);
        let callers: Vec<_> = (0..2)
            .map(|_| {
                let (permits, in_flight) = (Arc::clone(&permits), Arc::clone(&in_flight));
                thread::spawn(move || {
                    match permits.take_or_queue() {
                        Place::Permit => {}
                        Place::Queued(number) => block_on(poll_fn(|cx| permits.poll(number, cx))),
                        Place::Full => unreachable!("there is room for two"),
                    }
                    work(&in_flight, 1);
                    permits.release();
                })
            })
            .collect();
        permits.release();
        permits.release();
        callers.into_iter().for_each(|caller| caller.join().unwrap());
        assert_eq!(permits.usage(), NONE);
    });
}

#[test]
fn no_one_gets_past_the_queue() {
    model(|| {
        let permits = Arc::new(Permits::new(1, 1));
        assert!(permits.try_take());
        let Place::Queued(first) = permits.take_or_queue() else { panic!() };
        let passes = {
            let permits = Arc::clone(&permits);
            thread::spawn(move || assert!(!permits.try_take()))
        };
        permits.release();
        passes.join().unwrap();
        block_on(poll_fn(|cx| permits.poll(first, cx)));
        permits.release();
        assert_eq!(permits.usage(), NONE);
    });
}

#[test]
fn who_takes_at_once_keeps_to_the_limit() {
    model(|| {
        let (permits, in_flight) = (Arc::new(Permits::new(2, 0)), Arc::new(AtomicUsize::new(0)));
        let call = move || {
            // Of two permits the first is taken by adding, and who comes too late for it gives it
            // back: no one else may lose one by that, or get one too many.
            if permits.try_take() {
                assert!(permits.usage().in_use >= 1);
                work(&in_flight, 2);
                permits.release();
            }
            Arc::clone(&permits)
        };
        let callers: Vec<_> = (0..2).map(|_| thread::spawn(call.clone())).collect();
        let permits = call();
        callers.into_iter().for_each(|caller| _ = caller.join().unwrap());
        assert_eq!(permits.usage(), NONE);
        assert!(permits.try_take() && permits.try_take());
    });
}

#[test]
fn who_waits_gets_what_others_have_by_mistake() {
    model(|| {
        let (permits, in_flight) = (Arc::new(Permits::new(2, 1)), Arc::new(AtomicUsize::new(0)));
        let tries = {
            let (permits, in_flight) = (Arc::clone(&permits), Arc::clone(&in_flight));
            move || {
                if permits.try_take() {
                    work(&in_flight, 2);
                    permits.release();
                }
            }
        };
        let tries = [thread::spawn(tries.clone()), thread::spawn(tries)];
        match permits.take_or_queue() {
            Place::Permit => {}
            Place::Queued(number) => block_on(poll_fn(|cx| permits.poll(number, cx))),
            Place::Full => unreachable!("there is room for one"),
        }
        work(&in_flight, 2);
        permits.release();
        tries.into_iter().for_each(|caller| caller.join().unwrap());
        assert_eq!(permits.usage(), NONE);
    });
}
