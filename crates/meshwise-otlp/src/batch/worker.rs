//! The side of the queue that exports: one task on a thread of its own.

use super::{backlog::Backlog, batcher::Shared, config::Sizes, items::Items};
use crate::{
    answer::Done,
    sink::{Exported, Sink, Terms},
};
use meshwise_core::{DropReason, internal::queue::Queue};
use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};
use tokio::{sync::mpsc::UnboundedReceiver, time::Instant};

/// Tells the worker what to do. An answer is given by dropping `done`.
#[derive(Debug)]
pub(super) enum Control {
    Flush { done: Done },
    Shutdown { deadline: std::time::Instant, done: Done },
}

/// How long records may still be sent once no handle is left.
const ORPHAN_TIME: Duration = Duration::from_secs(5);

pub(super) struct Worker<B: Items> {
    shared: Arc<Shared<B>>,
    control: UnboundedReceiver<Control>,
    sink: Box<dyn Sink<B>>,
    plan: Plan<B>,
}

/// Knows what is to be exported, and why.
struct Plan<B> {
    sizes: Sizes,
    backlog: Backlog<B>,
    /// When to export whatever is there.
    tick: Instant,
    /// How many queued records are to be exported now, as their time has come.
    due: usize,
    /// How many records are being exported right now.
    in_flight: usize,
    /// For each flush, how many records it still waits for.
    flushes: Vec<(usize, Done)>,
    closing: Option<Closing>,
}

struct Closing {
    deadline: Instant,
    done: Vec<Done>,
}

/// Says that time is up: for so long a batch had been on its way, if one was.
struct GivenUp(Option<Duration>);

impl<B: Items> Worker<B> {
    pub(super) fn new(
        shared: Arc<Shared<B>>,
        control: UnboundedReceiver<Control>,
        sink: Box<dyn Sink<B>>,
        sizes: Sizes,
    ) -> Self {
        // Without a delay the worker would never rest.
        let sizes = Sizes { delay: sizes.delay.max(Duration::from_millis(1)), ..sizes };
        let plan = Plan {
            sizes,
            backlog: Backlog::new(),
            // Replaced as soon as it runs: tokio's clock is not there yet.
            tick: Instant::from_std(std::time::Instant::now()),
            due: 0,
            in_flight: 0,
            flushes: Vec::new(),
            closing: None,
        };
        Self { shared, control, sink, plan }
    }

    /// Exports until shut down.
    pub(super) async fn run(mut self) {
        // Dropped last, also by a panic: what is open would never be counted otherwise.
        let _guard = WriteOffOnDrop(Arc::clone(&self.shared));
        self.plan.tick = Instant::now() + self.plan.sizes.delay;
        loop {
            let queued = self.look_around();
            let n = self.plan.next_batch(queued);
            let step = if n > 0 {
                self.export(n).await
            } else if self.plan.closing.is_some() {
                break;
            } else {
                self.rest().await;
                Ok(())
            };
            if let Err(GivenUp(waited)) = step {
                self.shared.write_off(DropReason::Shutdown);
                let error = match waited {
                    Some(waited) => format!("no answer from the exporter after {waited:.1?}"),
                    None => "no time was left".to_owned(),
                };
                self.shared.losses.note(format!("{error}; the process shuts down"));
                break;
            }
            self.shared.losses.check(&self.shared.counters.report(), Instant::now());
        }
        self.shared.losses.check(&self.shared.counters.report(), Instant::now());
        let left = self.plan.closing.as_ref().map(|closing| closing.deadline);
        let left = left.map_or(Duration::ZERO, |at| at.duration_since(Instant::now()));
        self.sink.close(left);
        // All that wait get the answer as `plan` is dropped.
    }

    /// Takes the orders that are there, without waiting; returns how many records are queued.
    fn look_around(&mut self) -> usize {
        while let Ok(order) = self.control.try_recv() {
            self.plan.take(order, &self.shared.queue);
        }
        // After the orders: what ended before a shutdown is to be seen with it.
        let queued = self.plan.backlog.gather(&self.shared.queue);
        self.plan.mark_time(Instant::now(), queued);
        queued
    }

    /// Waits for something to do.
    async fn rest(&mut self) {
        tokio::select! {
            order = self.control.recv() => match order {
                Some(order) => self.plan.take(order, &self.shared.queue),
                None => self.plan.orphaned(),
            },
            () = self.shared.wake.notified() => {}
            () = tokio::time::sleep_until(self.plan.tick) => {}
        }
    }

    async fn export(&mut self, n: usize) -> Result<(), GivenUp> {
        if self.shared.queue.is_discarded() {
            return Err(GivenUp(None)); // Shutdown ran out of time, and has counted them as lost.
        }
        let batch = self.plan.backlog.take(n, &self.shared.queue);
        let n = batch.items();
        self.plan.in_flight = n;
        let exported = self.send(batch).await?;
        let shared = Arc::clone(&self.shared);
        let counting = shared.counting.lock().unwrap_or_else(PoisonError::into_inner);
        if shared.queue.complete(n) {
            self.book(n as u64, exported);
        }
        drop(counting);
        self.plan.exported();
        Ok(())
    }

    /// Exports a batch, and listens to orders meanwhile.
    async fn send(&mut self, batch: B) -> Result<Exported, GivenUp> {
        let Self { shared, control, sink, plan, .. } = self;
        let began = Instant::now();
        let deadline = began + plan.sizes.timeout;
        let terms = Terms {
            deadline,
            shutdown: &shared.shutdown,
            losses: &shared.losses,
            counters: &shared.counters,
        };
        let mut export = sink.export(batch, terms);
        let mut listening = true;
        loop {
            let closing = plan.closing.as_ref().map(|closing| closing.deadline);
            tokio::select! {
                biased;
                exported = &mut export => return Ok(exported),
                () = tokio::time::sleep_until(deadline) => return Ok(Exported::timed_out(plan.sizes.timeout)),
                () = sleep_until_some(closing) => return Err(GivenUp(Some(began.elapsed()))),
                order = control.recv(), if listening => match order {
                    Some(order) => plan.take(order, &shared.queue),
                    None => {
                        listening = false;
                        plan.orphaned();
                    }
                },
            }
        }
    }

    fn book(&self, n: u64, exported: Exported) {
        exported.book(n, &self.shared.counters, &self.shared.losses);
    }
}

impl<B: Items> Plan<B> {
    fn take(&mut self, order: Control, queue: &Queue<B>) {
        match order {
            // Counted now that the order is here, and gathered so that nothing that ends later goes
            // first. What is being exported has ended before, too.
            Control::Flush { done } => {
                let open = self.backlog.gather(queue) + self.in_flight;
                self.flushes.push((open, done));
            }
            Control::Shutdown { deadline, done } => {
                let deadline = Instant::from_std(deadline);
                let closing =
                    self.closing.get_or_insert_with(|| Closing { deadline, done: Vec::new() });
                closing.deadline = closing.deadline.min(deadline);
                closing.done.push(done);
            }
        }
        self.answer_flushes();
    }

    /// No handle is left that could enter a record or give an order.
    fn orphaned(&mut self) {
        let deadline = Instant::now() + ORPHAN_TIME;
        self.closing.get_or_insert(Closing { deadline, done: Vec::new() });
    }

    fn mark_time(&mut self, now: Instant, queued: usize) {
        if now >= self.tick {
            self.due = queued;
            self.tick = now + self.sizes.delay;
        }
    }

    /// Returns how many records to export now.
    fn next_batch(&self, queued: usize) -> usize {
        let flushed = self.flushes.iter().map(|(n, _)| *n).max().unwrap_or(0);
        let wanted = if self.closing.is_some() || queued >= self.sizes.batch {
            queued
        } else {
            self.due.max(flushed).min(queued)
        };
        wanted.min(self.sizes.batch)
    }

    /// What was in flight has arrived or is lost.
    fn exported(&mut self) {
        let n = std::mem::take(&mut self.in_flight);
        self.due = self.due.saturating_sub(n);
        for (waiting, _) in &mut self.flushes {
            *waiting = waiting.saturating_sub(n);
        }
        self.answer_flushes();
    }

    /// Answers those flushes that wait for nothing more, by letting go of them.
    fn answer_flushes(&mut self) {
        self.flushes.retain(|(waiting, _)| *waiting > 0);
    }
}

/// Waits until the moment, or forever if there is none.
async fn sleep_until_some(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

struct WriteOffOnDrop<B: Items>(Arc<Shared<B>>);

impl<B: Items> Drop for WriteOffOnDrop<B> {
    fn drop(&mut self) {
        self.0.write_off(DropReason::ExportFailed);
    }
}
