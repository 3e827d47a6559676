//! Exporting what is collected from time to time, not queued: the numbers of metrics.

use crate::{
    answer::{Answer, Done},
    export_thread,
    losses::LossLog,
    shutdown_signal::ShutdownSignal,
    sink::{Exported, Sink, Terms},
    wait::Exporting,
};
use meshwise_core::{DropReason, Signal, SignalReport, internal::LossCounters};
use std::{
    fmt, io,
    sync::Arc,
    time::{Duration, Instant as StdInstant},
};
use tokio::{
    sync::mpsc::{self, UnboundedReceiver, UnboundedSender},
    time::Instant,
};

/// How long the last records may take once no handle is left.
const ORPHAN_TIME: Duration = Duration::from_secs(5);

/// Collects records to be exported; it runs on the exporter's thread.
pub trait Collect<B>: Send + 'static {
    /// Begins a round; `false` if there is nothing to collect from any more.
    fn begin(&mut self) -> bool;

    /// Returns the next batch of the round, and how many records are in it.
    fn next(&mut self) -> Option<(B, u64)>;
}

/// Says how often there is a round, and how long it may take.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::exhaustive_structs, reason = "only this workspace makes one")]
pub struct Rounds {
    /// From the beginning of one round to that of the next.
    pub interval: Duration,
    /// All requests of one round together, retries included.
    pub timeout: Duration,
}

/// Exports what a collector has, round by round, from a thread of its own ("Periodic exporting
/// `MetricReader`"). Every record that is collected is accounted for: delivered, or dropped for a reason.
#[derive(Clone)]
pub struct Periodic {
    shared: Arc<PeriodicShared>,
    control: UnboundedSender<Order>,
}

struct PeriodicShared {
    counters: LossCounters,
    shutdown: ShutdownSignal,
    losses: LossLog,
}

/// Tells the thread what to do. An answer is given by dropping `done`.
enum Order {
    Flush { done: Done },
    Shutdown { deadline: StdInstant, done: Done },
}

impl Periodic {
    /// Starts the thread, which has this name.
    ///
    /// # Errors
    /// If the system refuses the thread or its runtime.
    pub fn start<B: Send + 'static>(
        signal: Signal,
        thread_name: &str,
        sink: Box<dyn Sink<B>>,
        source: Box<dyn Collect<B>>,
        rounds: Rounds,
    ) -> io::Result<Self> {
        let shared = Arc::new(PeriodicShared {
            counters: LossCounters::new(signal),
            shutdown: ShutdownSignal::default(),
            losses: LossLog::new(sink.destination()),
        });
        let (control, orders) = mpsc::unbounded_channel();
        // Without an interval the thread would never rest.
        let rounds = Rounds { interval: rounds.interval.max(Duration::from_millis(1)), ..rounds };
        let worker = PeriodicWorker {
            shared: Arc::clone(&shared),
            orders,
            sink,
            source,
            rounds,
            plan: RoundPlan::default(),
        };
        export_thread::spawn(thread_name, worker.run())?;
        Ok(Self { shared, control })
    }

    /// Tells how many records were delivered and dropped up to now.
    pub fn report(&self) -> SignalReport {
        self.shared.counters.report()
    }
}

impl Exporting for Periodic {
    fn begin_flush(&self) -> Answer {
        let (done, answer) = Answer::channel();
        // If the thread is gone, `done` is dropped with the order, which is an answer, too.
        let _ = self.control.send(Order::Flush { done });
        answer
    }

    fn begin_shutdown(&self, deadline: StdInstant) -> Answer {
        self.shared.shutdown.begin();
        let (done, answer) = Answer::channel();
        let _ = self.control.send(Order::Shutdown { deadline, done });
        answer
    }

    /// What is not collected is not counted; the rest the thread counts itself.
    fn end_shutdown(&self) {}
}

impl fmt::Debug for Periodic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Periodic").field("report", &self.report()).finish_non_exhaustive()
    }
}

struct PeriodicWorker<B> {
    shared: Arc<PeriodicShared>,
    orders: UnboundedReceiver<Order>,
    sink: Box<dyn Sink<B>>,
    source: Box<dyn Collect<B>>,
    rounds: Rounds,
    plan: RoundPlan,
}

/// Knows why there is to be a round.
#[derive(Default)]
struct RoundPlan {
    /// Those who wait for a round that begins after they asked.
    flushes: Vec<Done>,
    closing: Option<LastRound>,
}

struct LastRound {
    deadline: Instant,
    done: Vec<Done>,
}

impl RoundPlan {
    fn take(&mut self, order: Option<Order>) {
        let (deadline, done) = match order {
            Some(Order::Flush { done }) => return self.flushes.push(done),
            Some(Order::Shutdown { deadline, done }) => (Instant::from_std(deadline), Some(done)),
            // No handle is left.
            None => (Instant::now() + ORPHAN_TIME, None),
        };
        let closing = self.closing.get_or_insert(LastRound { deadline, done: Vec::new() });
        closing.deadline = closing.deadline.min(deadline);
        closing.done.extend(done);
    }
}

/// Says that time is up.
struct RoundGivenUp;

impl<B: Send + 'static> PeriodicWorker<B> {
    /// Exports until shut down.
    async fn run(mut self) {
        let mut tick = Instant::now() + self.rounds.interval;
        loop {
            if self.plan.flushes.is_empty() && self.plan.closing.is_none() {
                tokio::select! {
                    order = self.orders.recv() => self.plan.take(order),
                    () = tokio::time::sleep_until(tick) => {}
                }
            }
            while let Ok(order) = self.orders.try_recv() {
                self.plan.take(Some(order));
            }
            let now = Instant::now();
            if now >= tick {
                tick = (tick + self.rounds.interval).max(now);
            }
            let answered = std::mem::take(&mut self.plan.flushes);
            let last = self.plan.closing.is_some();
            if !self.round().await || last {
                break;
            }
            drop(answered);
        }
        let left = self.plan.closing.as_ref().map(|closing| closing.deadline);
        let left = left.map_or(Duration::ZERO, |at| at.duration_since(Instant::now()));
        self.sink.close(left);
        // All that wait get the answer as this is dropped.
    }

    /// Collects and exports once; `false` if there is nothing to collect from any more.
    async fn round(&mut self) -> bool {
        if !self.source.begin() {
            return false;
        }
        let deadline = Instant::now() + self.rounds.timeout;
        while let Some((batch, records)) = self.source.next() {
            let exported = self.send(batch, deadline).await;
            let PeriodicShared { counters, losses, .. } = &*self.shared;
            match exported {
                Ok(exported) => exported.book(records, counters, losses),
                Err(RoundGivenUp) => counters.dropped(DropReason::Shutdown, records),
            }
        }
        let PeriodicShared { counters, losses, .. } = &*self.shared;
        losses.check(&counters.report(), Instant::now());
        true
    }

    /// Exports a batch, and listens to orders meanwhile.
    async fn send(&mut self, batch: B, deadline: Instant) -> Result<Exported, RoundGivenUp> {
        let now = Instant::now();
        if self.plan.closing.as_ref().is_some_and(|closing| now >= closing.deadline) {
            return Err(RoundGivenUp);
        }
        if now >= deadline {
            return Ok(Exported::timed_out(self.rounds.timeout));
        }
        let shared = Arc::clone(&self.shared);
        let terms = Terms {
            deadline,
            shutdown: &shared.shutdown,
            losses: &shared.losses,
            counters: &shared.counters,
        };
        let Self { sink, orders, plan, rounds, .. } = self;
        let mut export = sink.export(batch, terms);
        let mut listening = true;
        loop {
            let until = plan.closing.as_ref().map(|closing| closing.deadline);
            tokio::select! {
                biased;
                exported = &mut export => return Ok(exported),
                () = tokio::time::sleep_until(deadline) => {
                    return Ok(Exported::timed_out(rounds.timeout));
                }
                () = sleep_until_some(until) => return Err(RoundGivenUp),
                order = orders.recv(), if listening => {
                    listening = order.is_some();
                    plan.take(order);
                }
            }
        }
    }
}

/// Waits until the moment, or forever if there is none.
async fn sleep_until_some(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        answer::moment_after,
        wait::{flush, shutdown},
    };
    use futures_util::future::BoxFuture;
    use std::sync::{Mutex, mpsc as std_mpsc};

    const LONG: Duration = Duration::from_secs(20);

    /// Has three batches of ten records each round.
    struct Batches {
        left: u32,
        begun: std_mpsc::Sender<()>,
    }

    impl Collect<u32> for Batches {
        fn begin(&mut self) -> bool {
            self.left = 3;
            self.begun.send(()).is_ok()
        }

        fn next(&mut self) -> Option<(u32, u64)> {
            self.left = self.left.checked_sub(1)?;
            Some((self.left, 10))
        }
    }

    /// Answers as it is told, or not at all.
    #[derive(Debug)]
    struct Answers(Mutex<Vec<Option<Exported>>>);

    impl Sink<u32> for Answers {
        fn export<'a>(&'a mut self, _: u32, _: Terms<'a>) -> BoxFuture<'a, Exported> {
            let mut answers = self.0.lock().unwrap();
            let answer =
                if answers.is_empty() { Some(Exported::Delivered) } else { answers.remove(0) };
            Box::pin(async move {
                match answer {
                    Some(answer) => answer,
                    None => std::future::pending().await,
                }
            })
        }
    }

    fn started(
        answers: Vec<Option<Exported>>,
        rounds: Rounds,
    ) -> (Periodic, std_mpsc::Receiver<()>) {
        let (begun, rounds_begun) = std_mpsc::channel();
        let sink = Box::new(Answers(Mutex::new(answers)));
        let source = Box::new(Batches { left: 0, begun });
        let periodic = Periodic::start(Signal::Metrics, "test", sink, source, rounds).unwrap();
        (periodic, rounds_begun)
    }

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }

    const SELDOM: Rounds = Rounds { interval: LONG, timeout: LONG };

    #[test]
    fn there_is_a_round_at_each_interval_at_each_flush_and_at_the_end() {
        let often = Rounds { interval: Duration::from_millis(1), timeout: LONG };
        let (periodic, rounds) = started(Vec::new(), often);
        rounds.recv_timeout(LONG).unwrap();
        rounds.recv_timeout(LONG).unwrap();
        drop(periodic);
        let (periodic, rounds) = started(Vec::new(), SELDOM);
        assert!(block_on(flush(vec![periodic.clone()], LONG)));
        assert_eq!(periodic.report().delivered, 30);
        block_on(shutdown(vec![periodic.clone()], LONG));
        assert_eq!(periodic.report().delivered, 60);
        assert_eq!(rounds.try_iter().count(), 2);
    }

    #[test]
    fn what_is_not_delivered_is_counted_and_the_next_batch_goes_all_the_same() {
        let partly = Exported::Partly {
            refused: 3,
            reason: DropReason::ExportFailed,
            error: "too old".to_owned(),
        };
        let (periodic, _rounds) = started(vec![Some(Exported::failed("no")), Some(partly)], SELDOM);
        assert!(block_on(flush(vec![periodic.clone()], LONG)));
        let report = periodic.report();
        assert_eq!((report.delivered, report.dropped_because(DropReason::ExportFailed)), (17, 13));
    }

    #[test]
    fn a_round_ends_at_its_timeout_and_what_is_left_is_counted() {
        let hasty = Rounds { interval: LONG, timeout: Duration::from_millis(50) };
        let (periodic, _rounds) = started(vec![Some(Exported::Delivered), None], hasty);
        assert!(block_on(flush(vec![periodic.clone()], LONG)));
        let report = periodic.report();
        assert_eq!((report.delivered, report.dropped_because(DropReason::ExportTimeout)), (10, 20));
    }

    #[test]
    fn shutdown_returns_in_time_whatever_hangs_and_counts_what_is_lost() {
        let (periodic, rounds) = started(vec![None], SELDOM);
        let asked = periodic.begin_flush();
        rounds.recv_timeout(LONG).unwrap();
        let start = StdInstant::now();
        block_on(shutdown(vec![periodic.clone()], Duration::from_millis(200)));
        assert!(start.elapsed() < LONG / 4, "{:?}", start.elapsed());
        assert!(asked.wait(moment_after(LONG)));
        // The round that hung, and the last one, which had no time left.
        let report = periodic.report();
        assert_eq!(report.dropped_because(DropReason::Shutdown), 60, "{report}");
    }
}
