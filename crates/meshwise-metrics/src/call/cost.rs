//! What calls cost: the time that their code is polled, and the processor's time in it, by route.
//!
//! A call is metered from time to time, and then stands for those before it that were not: a clock of
//! the thread is a system call. Two routes that take as long, one of which computes while the other
//! waits, are told apart by it.

use super::label_sets::{CallLabels, LabelSets};
use crate::{
    backend::Backend,
    catalogue,
    guard::LabelGuard,
    hub::Metrics,
    key::{METADATA, label},
    names, thread_clock,
};
use metrics::{Counter, Key, Label};
use std::{
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

const MAX_ROUTES: usize = 1000;

/// Counts what calls cost. Cheap to clone.
#[derive(Clone, Debug)]
pub struct RouteCosts(Arc<RouteCostsInner>);

#[derive(Debug)]
struct RouteCostsInner {
    routes: LabelSets<Arc<str>, CostHandles>,
    known: LabelGuard,
}

/// What one call has cost so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "the layers carry it along")]
pub struct CallCost {
    /// The time that its code was polled.
    pub busy: Duration,
    /// The processor's time in it.
    pub cpu: Duration,
}

impl CallCost {
    /// Adds what another piece of the call's code has cost.
    pub fn add(&mut self, more: Self) {
        self.busy += more.busy;
        self.cpu += more.cpu;
    }
}

/// Measures one poll.
#[derive(Clone, Copy, Debug)]
pub struct CostMeter {
    began: Instant,
    cpu: Duration,
}

impl CostMeter {
    /// Begins, on the thread that polls.
    #[must_use]
    pub fn start() -> Self {
        Self { began: Instant::now(), cpu: thread_clock::thread() }
    }

    /// Ends, on the same thread.
    pub fn stop(self, cost: &mut CallCost) {
        cost.cpu += thread_clock::thread().saturating_sub(self.cpu);
        cost.busy += self.began.elapsed();
    }
}

impl RouteCosts {
    /// Resolves the instruments in `metrics`.
    #[must_use]
    pub fn new(metrics: &Metrics) -> Self {
        catalogue::describe(&**metrics.backend(), catalogue::ROUTE_COSTS);
        let (busy, labels) = (names::ROUTE_BUSY, &[names::LABEL_ROUTE]);
        Self(Arc::new(RouteCostsInner {
            routes: LabelSets::new(metrics, busy, labels),
            known: LabelGuard::new(metrics, busy, names::LABEL_ROUTE, MAX_ROUTES),
        }))
    }

    /// Counts what a call of a route (empty if it has none) has cost, for `calls` calls like it.
    pub fn count(&self, route: &str, cost: &CallCost, calls: NonZeroU32) {
        let inner = &*self.0;
        let labels = RouteLabel(route);
        let handles = inner.routes.get(&labels).unwrap_or_else(|| inner.resolve(route));
        handles.busy.add(cost.busy.saturating_mul(calls.get()));
        if let Some(cpu) = &handles.cpu {
            cpu.add(cost.cpu.saturating_mul(calls.get()));
        }
    }
}

impl RouteCostsInner {
    fn resolve(&self, route: &str) -> &CostHandles {
        let route = self.known.intern(route);
        self.routes.get_or_make(&RouteLabel(&route), |recorder, labels| CostHandles {
            busy: SecondsCounter::new(recorder, names::ROUTE_BUSY, labels.to_vec()),
            cpu: thread_clock::IS_THERE
                .then(|| SecondsCounter::new(recorder, names::ROUTE_CPU, labels.to_vec())),
        })
    }
}

#[derive(Debug)]
struct CostHandles {
    busy: SecondsCounter,
    cpu: Option<SecondsCounter>,
}

/// Counts seconds by a counter of whole numbers: what is left of one is kept for the next.
#[derive(Debug)]
struct SecondsCounter {
    counter: Counter,
    /// The nanoseconds of one step of the counter.
    step: u64,
    nanoseconds: AtomicU64,
}

impl SecondsCounter {
    fn new(recorder: &dyn Backend, name: &'static str, labels: Vec<Label>) -> Self {
        let key = Key::from_parts(name, labels);
        let (counter, step) = match recorder.register_seconds(&key) {
            Some(microseconds) => (microseconds, 1_000),
            None => (recorder.register_counter(&key, &METADATA), 1_000_000_000),
        };
        Self { counter, step, nanoseconds: AtomicU64::new(0) }
    }

    fn add(&self, time: Duration) {
        let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        // It wraps after 584 years of a processor's time.
        let before = self.nanoseconds.fetch_add(nanoseconds, Relaxed);
        let after = before.wrapping_add(nanoseconds);
        self.counter.increment((after / self.step).saturating_sub(before / self.step));
    }
}

#[derive(Clone, Copy, Hash)]
struct RouteLabel<'a>(&'a str);

impl CallLabels for RouteLabel<'_> {
    type Owned = Arc<str>;

    fn are(&self, kept: &Arc<str>) -> bool {
        *self.0 == **kept
    }

    fn keep(&self) -> Arc<str> {
        Arc::from(self.0)
    }

    fn list(&self) -> Vec<Label> {
        vec![label(names::LABEL_ROUTE, Arc::<str>::from(self.0))]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MetricsConfig;
    use meshwise_core::Service;

    fn seconds(metrics: &Metrics, series: &str) -> Option<f64> {
        let text = metrics.render_text();
        text.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok())
    }

    #[test]
    fn a_metered_call_stands_for_those_that_were_not() {
        let metrics = MetricsConfig::new(Service::new("orders", "1")).build().expect("metrics");
        let costs = RouteCosts::new(&metrics);
        let cost = CallCost { busy: Duration::from_nanos(1_500), cpu: Duration::from_nanos(700) };
        let calls = NonZeroU32::new(1_000).expect("not 0");
        costs.count("/a", &cost, calls);
        costs.count("/a", &cost, NonZeroU32::MIN);
        let busy = seconds(&metrics, r#"meshwise_route_busy_seconds_total{route="/a"}"#);
        // No half of a microsecond is lost: 1,001 times 1.5 us.
        assert_eq!(busy, Some(0.001_501));
        for _ in 0..1_000 {
            costs.count("/a", &cost, NonZeroU32::MIN);
        }
        let busy = seconds(&metrics, r#"meshwise_route_busy_seconds_total{route="/a"}"#);
        assert_eq!(busy, Some(0.003_001));
        if thread_clock::IS_THERE {
            let cpu = seconds(&metrics, r#"meshwise_route_cpu_seconds_total{route="/a"}"#);
            assert_eq!(cpu, Some(0.001_400));
        }
    }

    #[cfg(all(feature = "cpu", target_os = "linux"))]
    #[test]
    fn a_poll_that_sleeps_takes_no_processor() {
        let mut cost = CallCost::default();
        let meter = CostMeter::start();
        let until = thread_clock::thread() + Duration::from_millis(5);
        while thread_clock::thread() < until {
            std::hint::spin_loop();
        }
        meter.stop(&mut cost);
        assert!(cost.cpu >= Duration::from_millis(5) && cost.busy >= Duration::from_millis(4));
        let (mut waiting, meter) = (CallCost::default(), CostMeter::start());
        // A wait that no one ends: for its time, and not for what it waits for.
        let (_keep, nothing) = std::sync::mpsc::channel::<()>();
        let waited = nothing.recv_timeout(Duration::from_millis(20));
        meter.stop(&mut waiting);
        assert!(waited.is_err());
        assert!(waiting.busy >= Duration::from_millis(20), "{waiting:?}");
        assert!(waiting.cpu < Duration::from_millis(5), "{waiting:?}");
    }
}
