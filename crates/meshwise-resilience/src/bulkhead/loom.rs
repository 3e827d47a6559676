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
fn work(under_way: &AtomicUsize, limit: usize) {
    assert!(under_way.fetch_add(1, Ordering::SeqCst) < limit);
    under_way.fetch_sub(1, Ordering::SeqCst);
}

#[test]
fn who_waits_is_woken_and_no_permit_is_lost() {
    model(|| {
        let (permits, under_way) = (Arc::new(Permits::new(1, 2)), Arc::new(AtomicUsize::new(0)));
        let callers: Vec<_> = (0..2)
            .map(|_| {
                let (permits, under_way) = (Arc::clone(&permits), Arc::clone(&under_way));
                thread::spawn(move || {
                    match permits.take_or_queue() {
                        Place::Permit => {}
                        // Hangs, and loom says so, if nobody wakes it.
                        Place::Queued(number) => block_on(poll_fn(|cx| permits.poll(number, cx))),
                        Place::Full => unreachable!("there is room for two"),
                    }
                    work(&under_way, 1);
                    permits.give_back();
                })
            })
            .collect();
        if permits.try_take().is_some() {
            work(&under_way, 1);
            permits.give_back();
        }
        callers.into_iter().for_each(|caller| caller.join().unwrap());
        assert_eq!(permits.usage(), NONE);
    });
}

#[test]
fn who_leaves_takes_no_permit_along() {
    model(|| {
        let permits = Arc::new(Permits::new(1, 2));
        assert!(permits.try_take().is_some());
        let Place::Queued(first) = permits.take_or_queue() else { panic!() };
        let leaves = {
            let permits = Arc::clone(&permits);
            thread::spawn(move || {
                if permits.leave(first) {
                    permits.give_back();
                }
            })
        };
        let waits = {
            let permits = Arc::clone(&permits);
            thread::spawn(move || match permits.take_or_queue() {
                Place::Permit => _ = permits.give_back(),
                Place::Queued(number) => {
                    block_on(poll_fn(|cx| permits.poll(number, cx)));
                    permits.give_back();
                }
                Place::Full => unreachable!("there is room for two"),
            })
        };
        permits.give_back();
        leaves.join().unwrap();
        waits.join().unwrap();
        assert_eq!(permits.usage(), NONE);
    });
}

#[test]
fn a_limit_that_changes_wakes_those_it_has_room_for() {
    model(|| {
        let permits = Arc::new(Permits::new(1, 2));
        assert!(permits.try_take().is_some());
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
                permits.give_back();
            })
        };
        permits.set_limit(2);
        waits.join().unwrap();
        permits.set_limit(1);
        permits.give_back();
        assert_eq!(permits.usage(), NONE);
    });
}

#[test]
fn a_lower_limit_holds_once_its_permits_are_back() {
    model(|| {
        let (permits, under_way) = (Arc::new(Permits::new(2, 2)), Arc::new(AtomicUsize::new(0)));
        assert!(permits.try_take().is_some() && permits.try_take().is_some());
        permits.set_limit(1);
        let callers: Vec<_> = (0..2)
            .map(|_| {
                let (permits, under_way) = (Arc::clone(&permits), Arc::clone(&under_way));
                thread::spawn(move || {
                    match permits.take_or_queue() {
                        Place::Permit => {}
                        Place::Queued(number) => block_on(poll_fn(|cx| permits.poll(number, cx))),
                        Place::Full => unreachable!("there is room for two"),
                    }
                    work(&under_way, 1);
                    permits.give_back();
                })
            })
            .collect();
        permits.give_back();
        permits.give_back();
        callers.into_iter().for_each(|caller| caller.join().unwrap());
        assert_eq!(permits.usage(), NONE);
    });
}

#[test]
fn nobody_gets_past_the_queue() {
    model(|| {
        let permits = Arc::new(Permits::new(1, 1));
        assert!(permits.try_take().is_some());
        let Place::Queued(first) = permits.take_or_queue() else { panic!() };
        let passes = {
            let permits = Arc::clone(&permits);
            thread::spawn(move || assert!(permits.try_take().is_none()))
        };
        permits.give_back();
        passes.join().unwrap();
        block_on(poll_fn(|cx| permits.poll(first, cx)));
        permits.give_back();
        assert_eq!(permits.usage(), NONE);
    });
}

#[test]
fn whoever_takes_at_once_keeps_to_the_limit() {
    model(|| {
        let (permits, under_way) = (Arc::new(Permits::new(2, 0)), Arc::new(AtomicUsize::new(0)));
        let call = move || {
            // Of two permits the first is taken by adding, and who comes too late for it gives it
            // back: nobody else may lose one by that, or get one too many.
            if let Some(out) = permits.try_take() {
                assert!((1..=2).contains(&out));
                work(&under_way, 2);
                permits.give_back();
            }
            Arc::clone(&permits)
        };
        let callers: Vec<_> = (0..2).map(|_| thread::spawn(call.clone())).collect();
        let permits = call();
        callers.into_iter().for_each(|caller| _ = caller.join().unwrap());
        assert_eq!(permits.usage(), NONE);
        assert!(permits.try_take().is_some() && permits.try_take().is_some());
    });
}

#[test]
fn who_waits_gets_what_others_took_by_mistake() {
    model(|| {
        let (permits, under_way) = (Arc::new(Permits::new(2, 1)), Arc::new(AtomicUsize::new(0)));
        let tries = {
            let (permits, under_way) = (Arc::clone(&permits), Arc::clone(&under_way));
            move || {
                if permits.try_take().is_some() {
                    work(&under_way, 2);
                    permits.give_back();
                }
            }
        };
        let tries = [thread::spawn(tries.clone()), thread::spawn(tries)];
        match permits.take_or_queue() {
            Place::Permit => {}
            Place::Queued(number) => block_on(poll_fn(|cx| permits.poll(number, cx))),
            Place::Full => unreachable!("there is room for one"),
        }
        work(&under_way, 2);
        permits.give_back();
        tries.into_iter().for_each(|caller| caller.join().unwrap());
        assert_eq!(permits.usage(), NONE);
    });
}
