//! The side of the queue on which records come.

use super::{
    backlog,
    config::Sizes,
    items::Items,
    worker::{Control, Worker},
};
use crate::{
    answer::Answer, export_thread, losses::LossLog, shutdown_signal::ShutdownSignal, sink::Sink,
};
use meshwise_core::{
    DropReason, Signal, SignalReport,
    internal::{
        LossCounters,
        queue::{self, Entry, Queue},
        threads::thread_index,
    },
};
use std::{
    fmt, io,
    num::NonZero,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};
use tokio::sync::{Notify, mpsc};

/// Queues records and exports them in batches from a thread of its own.
///
/// Entering a record never waits for the exporter and never allocates: it moves the record into a
/// bounded queue, or drops and counts it if the queue is full. Threads that enter records at the same
/// time have a shard of the queue each, and so do not wait for each other. The exporter runs on a thread
/// with a runtime of its own, so it works whatever runtime the app has, and a slow or hanging collector
/// holds up no caller. Every record is accounted for: once a shutdown is over, those delivered and
/// those dropped add up to those entered.
pub struct Batcher<B: Items> {
    handle: Arc<Handle<B>>,
}

/// What only the side that enters records holds: once it is gone, the worker ends.
struct Handle<B> {
    shared: Arc<Shared<B>>,
    control: mpsc::UnboundedSender<Control>,
    sizes: Sizes,
}

/// What both sides hold.
#[derive(Debug)]
pub(super) struct Shared<B> {
    pub(super) queue: Queue<B>,
    pub(super) counters: LossCounters,
    pub(super) wake: Notify,
    pub(super) shutdown: ShutdownSignal,
    pub(super) losses: LossLog,
    /// Held from when records leave the queue until they are counted: who counts after that misses none.
    pub(super) counting: Mutex<()>,
}

impl<B: Items> Shared<B> {
    fn heed(&self, entry: Entry) {
        match entry {
            Entry::Queued => {}
            Entry::Notify => self.wake.notify_one(),
            Entry::Full => self.counters.dropped(DropReason::QueueFull, 1),
            Entry::Closed => self.counters.dropped(DropReason::Shutdown, 1),
        }
    }

    /// Counts all that is still open as lost.
    pub(super) fn write_off(&self, reason: DropReason) {
        let _counting = self.counting.lock().unwrap_or_else(PoisonError::into_inner);
        self.counters.dropped(reason, self.queue.discard());
    }
}

impl<B: Items> Batcher<B> {
    /// Starts the exporter's thread, which has this name.
    ///
    /// # Errors
    /// If the system refuses the thread or its runtime.
    pub fn start(
        signal: Signal,
        thread_name: &str,
        sink: Box<dyn Sink<B>>,
        sizes: Sizes,
    ) -> io::Result<Self> {
        let shards = queue::shards(thread::available_parallelism().map_or(1, NonZero::get));
        let shape = backlog::shape(sizes.queue, sizes.batch, shards);
        let shared = Arc::new(Shared {
            queue: Queue::new(shape, backlog::empty_block),
            counters: LossCounters::new(signal),
            wake: Notify::new(),
            shutdown: ShutdownSignal::default(),
            losses: LossLog::new(sink.destination()),
            counting: Mutex::new(()),
        });
        let (control, orders) = mpsc::unbounded_channel();
        let worker = Worker::new(Arc::clone(&shared), orders, sink, sizes);
        export_thread::spawn(thread_name, worker.run())?;
        Ok(Self { handle: Arc::new(Handle { shared, control, sizes }) })
    }

    /// Tells how many records were delivered and dropped up to now.
    pub fn report(&self) -> SignalReport {
        self.handle.shared.counters.report()
    }

    /// Counts records that were lost before they could be entered.
    pub fn dropped(&self, reason: DropReason, records: u64) {
        self.handle.shared.counters.dropped(reason, records);
    }

    /// Returns how long the export of one batch may take.
    #[must_use]
    pub fn export_timeout(&self) -> Duration {
        self.handle.sizes.timeout
    }

    /// Returns how many records wait or are being exported.
    #[must_use]
    pub fn open(&self) -> usize {
        self.handle.shared.queue.open()
    }

    /// Asks for all that has come to be exported; the answer comes once it is.
    #[must_use]
    pub fn begin_flush(&self) -> Answer {
        let (done, answer) = Answer::channel();
        // If the worker is gone, `done` is dropped with the order, which is an answer, too.
        let _ = self.handle.control.send(Control::Flush { done });
        answer
    }

    /// Waits for no retry from now on, as no time is left for a collector that does not answer.
    pub fn expect_shutdown(&self) {
        self.handle.shared.shutdown.begin();
    }

    /// Accepts no more records and asks for the rest to be exported until `deadline`.
    #[must_use]
    pub fn begin_shutdown(&self, deadline: Instant) -> Answer {
        let shared = &self.handle.shared;
        shared.queue.close();
        shared.shutdown.begin();
        let (done, answer) = Answer::channel();
        let _ = self.handle.control.send(Control::Shutdown { deadline, done });
        answer
    }

    /// Counts as lost what a shutdown has not delivered.
    pub fn end_shutdown(&self) {
        self.handle.shared.write_off(DropReason::Shutdown);
    }

    /// Enters one record; `put` appends it to a block.
    #[inline]
    pub fn push(&self, put: impl FnOnce(&mut B)) {
        let shared = &self.handle.shared;
        let entry = shared.queue.push(thread_index(), 1, put);
        if entry != Entry::Queued {
            shared.heed(entry);
        }
    }
}

impl<B: Items> Clone for Batcher<B> {
    fn clone(&self) -> Self {
        Self { handle: Arc::clone(&self.handle) }
    }
}

impl<B: Items> fmt::Debug for Batcher<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batcher")
            .field("report", &self.report())
            .field("open", &self.open())
            .finish_non_exhaustive()
    }
}
