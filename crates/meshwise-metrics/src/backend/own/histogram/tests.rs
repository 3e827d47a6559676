use super::*;
use crate::{buckets::Buckets, exemplar::ExemplarSource};
use meshwise_core::{Signal, SpanId, TraceId, internal::LossCounters};
use std::sync::{Barrier, atomic::AtomicBool};

const THREADS: u32 = 4;
const EACH: u32 = 400_000;

fn cell(exemplars: Option<ExemplarSource>) -> HistogramCell {
    let losses = Arc::new(LossCounters::new(Signal::Metrics));
    HistogramCell::new(
        Buckets::default().of("wait"),
        None,
        Arc::new(CellContext { losses, exemplars }),
    )
}

fn at_once(f: impl Fn(u32) + Sync) {
    let start = Barrier::new(THREADS as usize);
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let (f, start) = (&f, &start);
            scope.spawn(move || {
                start.wait();
                f(thread);
            });
        }
    });
}

#[test]
fn threads_lose_nothing_before_and_after_they_get_shards() {
    for many in [false, true] {
        let cell = cell(None);
        if many {
            cell.contended(CONTENDED);
            assert!(cell.more.get().is_some());
        }
        at_once(|_| (0..EACH).for_each(|_| cell.record(2.0)));
        let mut counts = Vec::new();
        let sum = cell.read(&mut counts);
        assert_eq!(counts.iter().sum::<u64>(), u64::from(THREADS * EACH));
        assert_eq!(sum, f64::from(THREADS * EACH * 2));
    }
}

#[test]
fn a_quiet_cell_stays_small() {
    let cell = cell(None);
    cell.contended(CONTENDED - 1);
    assert!(cell.more.get().is_none());
    // The sum, 14 buckets and the last one.
    assert_eq!(cell.first.lines.len(), 1);
    assert_eq!(size_of::<CachePadded<[AtomicU64; 16]>>(), 128);
}

#[test]
fn exemplars_are_never_mixed_up() {
    thread_local! {
        static CURRENT: std::cell::Cell<Option<Exemplar>> = const { std::cell::Cell::new(None) };
    }
    let cell = cell(Some(ExemplarSource::new(|| CURRENT.get())));
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut seen = 0;
            while !done.load(Relaxed) || seen == 0 {
                if let Some(kept) = cell.exemplar(0) {
                    seen += 1;
                    let id = kept.exemplar.span_id.to_int();
                    assert_eq!(kept.exemplar.trace_id.to_int(), u128::from(id));
                    assert_eq!(kept.value, -f64::from(u32::try_from(id).unwrap()));
                }
            }
        });
        at_once(|thread| {
            for i in 0..2000 {
                let id = thread * 10_000 + i + 1;
                let (trace, span) = (TraceId::from_int(id.into()), SpanId::from_int(id.into()));
                CURRENT.set(Some(Exemplar::new(trace, span)));
                cell.record(-f64::from(id));
            }
        });
        done.store(true, Relaxed);
    });
}
