//! All interleavings of calls that pass a gate, wait at it and are given up:
//! `RUSTFLAGS='--cfg loom' cargo test -p meshwise-resilience --release --lib loom`.

use super::{Gate, Ticket, gate::Queued};
use crate::bulkhead::{Bulkhead, BulkheadConfig};
use loom::{future::block_on, thread};
use meshwise_core::internal::Limits;
use std::{future::poll_fn, sync::Arc, time::Duration};

fn model(check: impl Fn() + Send + Sync + 'static) {
    let mut model = loom::model::Builder::new();
    // The permits alone are looked at with three; a third switch takes minutes here.
    model.preemption_bound = Some(2);
    // Made here: a model's own stack is too short for all the settings there are.
    std::sync::LazyLock::force(&crate::config::DEFAULTS);
    model.check(check);
}

fn gate() -> Arc<Gate> {
    let config = BulkheadConfig::new().with_limit(1).with_queue(2, Duration::from_secs(1));
    let bulkhead = Bulkhead::new(&"stock".into(), config).unwrap();
    Arc::new(Gate { bulkhead: Some(bulkhead), ..Gate::new("stock".into()) })
}

fn ask(gate: &Arc<Gate>) -> (Ticket<Bulkhead>, Option<Box<Queued>>) {
    // As a call asks: at once first.
    if let Some(held) = gate.pass::<Bulkhead>() {
        return (Ticket::with(Arc::clone(gate), Limits::NONE, held), None);
    }
    let mut ticket = Ticket::new(Arc::clone(gate), Limits::NONE);
    match gate.admit(&mut ticket, || None, || "") {
        Ok(queued) => (ticket, queued),
        Err(refused) => unreachable!("there is room for two: {refused}"),
    }
}

#[test]
fn a_permit_goes_from_call_to_call_and_past_one_that_is_given_up() {
    model(|| {
        let gate = gate();
        let callers: Vec<_> = (0..2)
            .map(|_| {
                let gate = Arc::clone(&gate);
                thread::spawn(move || {
                    let (mut ticket, queued) = ask(&gate);
                    if let Some(queued) = queued {
                        // Hangs, and loom says so, if no one wakes it.
                        let passed = block_on(poll_fn(|cx| {
                            gate.poll_queued(&mut ticket, &queued, cx, false)
                        }));
                        assert!(matches!(passed, Ok(None)));
                    }
                    ticket.well();
                })
            })
            .collect();
        // Given up at once, with a permit or in the queue.
        drop(ask(&gate));
        callers.into_iter().for_each(|caller| caller.join().unwrap());
        let usage = gate.bulkhead.as_ref().unwrap().permits.usage();
        assert_eq!((usage.in_use, usage.waiting), (0, 0));
    });
}
