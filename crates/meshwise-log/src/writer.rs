//! The queue of lines, and those that wait for them to be written.
//!
//! Lines lie one behind the other in a block for each shard of the threads that log
//! ([`queue`](meshwise_core::internal::queue)); the [writing thread](thread) collects the blocks, and those
//! it wrote are filled again. So a line costs one copy under a short lock that hardly any other thread
//! wants, no allocation, and under load many lines share one write.

mod lines;
mod merge;
mod outlet;
mod policy;
mod queue;
mod sink;
mod thread;

use crate::{
    delivery::Shipper,
    error::LogError,
    exit,
    format::Style,
    handle::OutputReport,
    output::{Delivered, LogLines, LogOutput, Target},
};
use lines::Lines;
use meshwise_core::{
    DropReason, Redaction, Signal, SignalReport,
    internal::{
        LossCounters,
        queue::{Entry, shards},
        threads::thread_index,
    },
};
use outlet::Outlet;
pub use policy::QueuePolicy;
use queue::{LineQueue, NEVER};
use sink::Destination;
use std::{
    fmt,
    num::NonZero,
    sync::{Arc, atomic::Ordering::Relaxed},
    thread::available_parallelism,
    time::Duration,
};
use thread::WritingThread;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) bytes: usize,
    pub(crate) policy: QueuePolicy,
    /// How long a thread waits for its `ERROR` lines to be written.
    pub(crate) error_wait: Duration,
}

/// Takes lines. Shared by the layer, the handle and the writing thread.
pub(crate) struct Writer {
    name: String,
    counters: Arc<LossCounters>,
    settings: Settings,
    kind: Kind,
    #[cfg(feature = "spool")]
    spool: Option<Arc<crate::delivery::spool::SpoolState>>,
}

enum Kind {
    /// Lines are there when the thread that logged them goes on.
    Memory(LogLines),
    Thread(Arc<LineQueue>),
}

impl Writer {
    pub(crate) fn start(
        name: &str,
        output: LogOutput,
        settings: Settings,
        style: Arc<Style>,
    ) -> Result<Arc<Self>, LogError> {
        let counters = Arc::new(LossCounters::new(Signal::Logs));
        let mut writer = Self {
            name: name.to_owned(),
            counters,
            settings,
            kind: Kind::Memory(LogLines::default()),
            #[cfg(feature = "spool")]
            spool: None,
        };
        let outlet = match output.0 {
            Target::Memory(lines) => {
                writer.kind = Kind::Memory(lines);
                return Ok(Arc::new(writer));
            }
            Target::Stdout => Outlet::stream(Destination::Stdout),
            Target::Stderr => Outlet::stream(Destination::Stderr),
            Target::Writer(to) => Outlet::stream(Destination::Other(to)),
            Target::Delivery(delivered) => writer.open(delivered, &style.redaction),
        };
        let processors = available_parallelism().map_or(1, NonZero::get);
        let lines = LineQueue::new(settings.bytes, shards(processors));
        writer.kind = Kind::Thread(Arc::clone(&lines));
        let writer = Arc::new(writer);
        let counters = Arc::clone(&writer.counters);
        WritingThread::new(name, settings.policy, counters, lines, outlet, style)
            .start(Arc::clone(&writer))?;
        exit::watch(&writer);
        Ok(writer)
    }

    /// Opens a transport, behind a spool if there is one. A spool that cannot be used stops no service:
    /// it is told, and lines wait in memory.
    #[cfg_attr(
        not(feature = "spool"),
        allow(clippy::needless_pass_by_ref_mut, reason = "a spool reports")
    )]
    fn open(&mut self, delivered: Delivered, redaction: &Redaction) -> Outlet {
        let shipper = Shipper::new(&self.name, delivered.deliver, redaction);
        #[cfg(feature = "spool")]
        if let Some(config) = delivered.spool {
            let counters = Arc::clone(&self.counters);
            match crate::delivery::spool::start(&config, &self.name, shipper, counters) {
                Ok((appender, state)) => {
                    self.spool = Some(state);
                    return Outlet::Spool(appender);
                }
                Err(kept) => {
                    let (shipper, error) = *kept;
                    let dir = config.dir().display();
                    let what =
                        format!("cannot use the spool {dir} ({error}); lines wait in memory");
                    crate::delivery::Complaints::of(&self.name).tell(&what);
                    return Outlet::Delivery(shipper);
                }
            }
        }
        Outlet::Delivery(shipper)
    }

    /// Takes one line, its end included, that was made at this moment (nanoseconds since any other
    /// one). Tells whether it waits to be written.
    pub(crate) fn push(&self, line: &[u8], at: u64) -> bool {
        let queue = match &self.kind {
            Kind::Memory(lines) => {
                lines.push(line);
                self.counters.delivered(1);
                return false;
            }
            Kind::Thread(lines) => lines,
        };
        let lost = loop {
            let put = |block: &mut Lines| block.push(line, at);
            match queue.queue.push(thread_index(), line.len(), put) {
                Entry::Queued => return true,
                Entry::Notify => {
                    queue.wake();
                    return true;
                }
                Entry::Closed => break DropReason::Shutdown,
                Entry::Full if line.len() > self.settings.bytes => break DropReason::TooLarge,
                Entry::Full => match self.settings.policy {
                    QueuePolicy::Drop => break DropReason::QueueFull,
                    QueuePolicy::Wait => queue.wait_for_capacity(line.len()),
                },
            }
        };
        self.counters.dropped(lost, 1);
        false
    }

    /// Waits until what this thread logged is written, for as long as the settings say: nothing that
    /// ends the process afterwards can take it away.
    pub(crate) fn wait_until_written(&self) {
        self.wait_within(self.settings.error_wait);
    }

    /// Waits until all lines are written, `timeout` at most. A destination that hangs costs that once,
    /// until it takes lines again.
    pub(crate) fn wait_within(&self, timeout: Duration) {
        let Kind::Thread(lines) = &self.kind else { return };
        if timeout.is_zero() || thread::is_writing() || lines.stuck.load(Relaxed) {
            return;
        }
        if !self.flush(timeout) {
            lines.stuck.store(true, Relaxed);
        }
    }

    pub(crate) fn counters(&self) -> &LossCounters {
        &self.counters
    }

    pub(crate) fn report(&self) -> SignalReport {
        self.counters.report()
    }

    pub(crate) fn output_report(&self) -> OutputReport {
        let report = OutputReport::new(&self.name, self.report());
        #[cfg(feature = "spool")]
        let report = match &self.spool {
            None => report,
            Some(spool) => {
                report.with_spool(spool.lines.load(Relaxed), spool.recovered.load(Relaxed))
            }
        };
        report
    }

    pub(crate) fn flush(&self, timeout: Duration) -> bool {
        match &self.kind {
            Kind::Memory(_) => true,
            Kind::Thread(lines) => {
                let mut state = lines.lock();
                state.urgent = true;
                lines.work.notify_one();
                // All that is there now is collected when the thread collects lines the next time.
                let wanted = state.begun.saturating_add(1);
                lines.wait_until_done(state, wanted, timeout)
            }
        }
    }

    pub(crate) fn shutdown(&self, timeout: Duration) -> SignalReport {
        #[cfg(feature = "spool")]
        let deadline = std::time::Instant::now() + timeout;
        if let Kind::Thread(lines) = &self.kind {
            lines.queue.close();
            let mut state = lines.lock();
            state.closed = true;
            lines.work.notify_all();
            // Those that wait for capacity must learn that there will be none.
            lines.progress.notify_all();
            if !lines.wait_until_done(state, NEVER, timeout) {
                self.give_up(lines);
            }
        }
        #[cfg(feature = "spool")]
        if let Some(spool) = &self.spool {
            spool.shutdown(deadline);
        }
        self.report()
    }

    /// Counts as lost what is not written yet; the thread that writes finds out.
    fn give_up(&self, lines: &LineQueue) {
        let mut state = lines.lock();
        if state.done < NEVER && !state.given_up {
            state.given_up = true;
            self.counters.dropped(DropReason::Shutdown, lines.queue.discard());
        }
        drop(state);
        lines.progress.notify_all();
    }
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer")
            .field("settings", &self.settings)
            .field("report", &self.report())
            .finish_non_exhaustive()
    }
}
