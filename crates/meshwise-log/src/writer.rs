//! The queue of lines, and the thread that writes them.
//!
//! Lines lie one behind the other in a block for each shard of the threads that log
//! ([`queue`](meshwise_core::internal::queue)); the writing thread collects the blocks, and those it
//! wrote are filled again. So a line costs one copy under a short lock that hardly any other thread
//! wants, no allocation, and under load many lines share one write.

mod lines;
mod merge;
mod outlet;
mod policy;
mod sink;

use crate::{
    delivery::{Complaints, Shipper},
    error::LogError,
    exit,
    format::Style,
    handle::OutputReport,
    output::{Delivered, LogLines, LogOutput, Target},
};
use lines::Lines;
use meshwise_core::{
    DropReason, Signal, SignalReport,
    internal::{
        LossCounters,
        queue::{self, Block, Entry, Queue},
        threads::thread_index,
    },
};
use outlet::Outlet;
pub use policy::QueuePolicy;
use sink::Destination;
use std::{
    cell::Cell,
    fmt, io,
    io::Write,
    mem,
    num::NonZero,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

/// How often losses and errors are told.
const COMPLAIN_EVERY: Duration = Duration::from_secs(60);
/// How long the thread dozes before it looks again, while lines keep coming: no thread has to wake it
/// then, and waking a thread costs more than making a line.
const DOZE: Duration = Duration::from_millis(5);
/// Buffers that grew beyond this are not kept.
const KEEP_CAPACITY: usize = 256 << 10;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) bytes: usize,
    pub(crate) policy: QueuePolicy,
    /// How long a thread waits for its `ERROR` lines to be written.
    pub(crate) error_wait: Duration,
}

thread_local! {
    /// This is a writer's own thread: it must not wait for a writer.
    static WRITES: Cell<bool> = const { Cell::new(false) };
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

/// What threads that log and the one that writes share.
struct LineQueue {
    queue: Queue<Lines>,
    state: Mutex<QueueState>,
    /// The writing thread has something to do.
    work: Condvar,
    /// It has collected lines, or finished writing them.
    progress: Condvar,
    /// A wait for lines to be written was in vain; nothing was written since.
    stuck: AtomicBool,
}

#[derive(Default)]
struct QueueState {
    /// There are lines, and the thread might not know.
    woken: bool,
    /// A thread waits for lines to be written.
    urgent: bool,
    closed: bool,
    /// How often the thread has begun to collect lines, and how many of these times they are written.
    begun: u64,
    done: u64,
    /// No thread waits any more, and what was left is counted as lost.
    given_up: bool,
}

/// No lines will be written any more.
const NEVER: u64 = u64::MAX;

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
            Target::Delivery(delivered) => writer.open(delivered),
        };
        let shards = queue::shards(thread::available_parallelism().map_or(1, NonZero::get));
        let lines = Arc::new(LineQueue {
            queue: Queue::new(lines::shape(settings.bytes, shards), Lines::default),
            state: Mutex::new(QueueState::default()),
            work: Condvar::new(),
            progress: Condvar::new(),
            stuck: AtomicBool::new(false),
        });
        writer.kind = Kind::Thread(Arc::clone(&lines));
        let writer = Arc::new(writer);
        let thread = WritingThread {
            writer: Arc::clone(&writer),
            lines,
            blocks: Vec::with_capacity(shards),
            merged: Vec::new(),
            outlet,
            style,
            complaints: Complaints::of(name),
            told: None,
            lost: 0,
        };
        thread::Builder::new()
            .name("meshwise-log".to_owned())
            .spawn(move || thread.run())
            .map_err(LogError::Thread)?;
        exit::watch(&writer);
        Ok(writer)
    }

    /// Opens a transport, behind a spool if there is one. A spool that cannot be used stops no service:
    /// it is told, and lines wait in memory.
    #[cfg_attr(
        not(feature = "spool"),
        allow(clippy::needless_pass_by_ref_mut, reason = "a spool reports")
    )]
    fn open(&mut self, delivered: Delivered) -> Outlet {
        let shipper = Shipper::new(&self.name, delivered.deliver);
        #[cfg(feature = "spool")]
        if let Some(config) = delivered.spool {
            let counters = Arc::clone(&self.counters);
            match crate::delivery::spool::start(&config, &self.name, shipper, counters) {
                Ok((appender, state)) => {
                    self.spool = Some(state);
                    return Outlet::Spool(appender);
                }
                Err((shipper, error)) => {
                    let what = format!("cannot use the spool ({error}); lines wait in memory");
                    Complaints::of(&self.name).tell(&what);
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
    #[cold]
    pub(crate) fn wait_until_written(&self) {
        self.wait_within(self.settings.error_wait);
    }

    /// Waits until all lines are written, `timeout` at most. A destination that hangs costs that once,
    /// until it takes lines again.
    pub(crate) fn wait_within(&self, timeout: Duration) {
        let Kind::Thread(lines) = &self.kind else { return };
        let writes = WRITES.try_with(Cell::get).unwrap_or(false);
        if timeout.is_zero() || writes || lines.stuck.load(Relaxed) {
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
        let deadline = Instant::now() + timeout;
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

impl LineQueue {
    /// Locks the state; nothing that is done under the lock leaves it half done.
    fn lock(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the thread that there are lines.
    #[cold]
    fn wake(&self) {
        self.queue.awake();
        if !mem::replace(&mut self.lock().woken, true) {
            self.work.notify_one();
        }
    }

    /// Waits until so many bytes may fit in, or the queue is closed.
    fn wait_for_capacity(&self, bytes: usize) {
        let mut state = self.lock();
        while !state.closed && !self.queue.may_fit(bytes) {
            state.urgent = true;
            self.work.notify_one();
            state = self.progress.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits, `timeout` at most, until what was collected up to then is written; returns whether it is.
    fn wait_until_done(
        &self,
        state: MutexGuard<'_, QueueState>,
        wanted: u64,
        timeout: Duration,
    ) -> bool {
        let busy = |state: &mut QueueState| state.done < wanted && !state.given_up;
        let waited = self.progress.wait_timeout_while(state, timeout, busy);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.done >= wanted && !state.given_up
    }
}

impl QueueState {
    fn is_calm(&self) -> bool {
        !self.woken && !self.urgent && !self.closed
    }
}

/// The writing thread's own part.
struct WritingThread {
    writer: Arc<Writer>,
    lines: Arc<LineQueue>,
    /// What it writes now: a block of each shard that has lines.
    blocks: Vec<Lines>,
    merged: Vec<u8>,
    outlet: Outlet,
    style: Arc<Style>,
    complaints: Complaints,
    told: Option<Instant>,
    /// How many lost lines were told of.
    lost: u64,
}

impl WritingThread {
    fn run(mut self) {
        WRITES.set(true);
        let mut wrote = false;
        loop {
            self.rest(wrote);
            let mut state = self.lines.lock();
            state.woken = false;
            state.urgent = false;
            // What was there before a thread asked for it is collected after this.
            state.begun += 1;
            let (round, closed) = (state.begun, state.closed);
            drop(state);

            let lines = self.collect();
            wrote = lines > 0;
            self.notify_waiting(None);
            if wrote && !self.write_all(lines) {
                return self.notify_waiting(Some(NEVER));
            }
            // Once closed, nothing more comes.
            self.notify_waiting(Some(if closed && !wrote { NEVER } else { round }));
            if closed && !wrote {
                return;
            }
        }
    }

    /// Collects all lines; others fit in while they are written.
    fn collect(&mut self) -> usize {
        let count = self.lines.queue.collect(&mut self.blocks);
        self.lines.queue.release(self.blocks.iter().map(Block::size).sum(), []);
        count
    }

    /// Waits for lines; for a moment longer if some came just now, so that more are gathered for
    /// one write.
    fn rest(&self, wrote: bool) {
        let LineQueue { queue, work, .. } = &*self.lines;
        let mut state = self.lines.lock();
        if wrote && state.is_calm() {
            let dozed = work.wait_timeout(state, DOZE);
            state = dozed.unwrap_or_else(PoisonError::into_inner).0;
        }
        if !state.is_calm() {
            return;
        }
        drop(state);
        if queue.sleep() {
            let waited = work.wait_while(self.lines.lock(), |state| state.is_calm());
            drop(waited);
        }
        queue.awake();
    }

    /// Says that there is free capacity, and what is written.
    fn notify_waiting(&self, done: Option<u64>) {
        let mut state = self.lines.lock();
        state.done = done.unwrap_or(state.done);
        drop(state);
        self.lines.progress.notify_all();
    }

    /// Hands on what was collected, and counts it; returns `false` if no thread waits for it any more.
    fn write_all(&mut self, lines: usize) -> bool {
        let mut blocks = mem::take(&mut self.blocks);
        let goes_on = if matches!(self.outlet, Outlet::Stream(_)) {
            self.write_blocks(&blocks, lines)
        } else {
            self.send_blocks(&blocks)
        };
        self.lines.queue.release(0, blocks.drain(..).map(emptied));
        self.blocks = blocks;
        goes_on
    }

    fn write_blocks(&mut self, blocks: &[Lines], lines: usize) -> bool {
        let mut buffer = mem::take(&mut self.merged);
        let result = self.write(merge::merged(blocks, &mut buffer));
        let result = result.map_err(|(written, error)| (merge::whole(blocks, written), error));
        if buffer.capacity() <= 4 * KEEP_CAPACITY {
            self.merged = buffer;
        }
        if !self.lines.queue.complete(lines) {
            return false;
        }
        let lines = lines as u64;
        let (delivered, error) = match result {
            Ok(()) => (lines, None),
            Err((delivered, error)) => (delivered, Some(error)),
        };
        self.count(delivered, DropReason::WriteFailed, lines - delivered);
        self.tell(error);
        true
    }

    /// Gives batches to the transport or the spool, each until it is known what became of it.
    fn send_blocks(&mut self, blocks: &[Lines]) -> bool {
        for batch in merge::batches(blocks) {
            let lines = batch.len();
            let shared = Arc::clone(&self.lines);
            let sent =
                self.outlet.send(batch, self.writer.settings.policy, &|| shared.lock().given_up);
            if !self.lines.queue.complete(lines) {
                return false;
            }
            if sent.spooled > 0 {
                self.lines.stuck.store(false, Relaxed);
            }
            self.count(sent.delivered, sent.reason, sent.lost);
            if let Some(problem) = sent.problem {
                self.complaints.tell(&problem);
            }
        }
        true
    }

    fn count(&self, delivered: u64, reason: DropReason, lost: u64) {
        self.writer.counters.delivered(delivered);
        self.writer.counters.dropped(reason, lost);
        if delivered > 0 {
            self.lines.stuck.store(false, Relaxed);
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), (usize, io::Error)> {
        let lines = &self.lines;
        let Outlet::Stream(sink) = &mut self.outlet else { return Ok(()) };
        sink.write(bytes, &|| lines.lock().given_up)
    }

    /// Once a minute, says what was lost: in the log itself, and on standard error if writing fails.
    fn tell(&mut self, error: Option<io::Error>) {
        let report = self.writer.report();
        let lost = report.total_dropped();
        if lost == self.lost || self.told.is_some_and(|told| told.elapsed() < COMPLAIN_EVERY) {
            return;
        }
        self.told = Some(Instant::now());
        let since = lost - mem::replace(&mut self.lost, lost);
        match error {
            Some(error) if self.outlet.is_stderr() => drop(error),
            // Standard error may be closed too; then there is no way to tell.
            Some(error) => {
                let _ = writeln!(io::stderr(), "meshwise: log lines cannot be written: {error}");
            }
            None => {
                let mut line = Vec::new();
                self.style.own_line(
                    &mut line,
                    &format!("{since} log lines were lost; since the start: {report}"),
                );
                if self.write(&line).is_ok() {
                    self.writer.counters.delivered(1);
                }
            }
        }
    }
}

/// Makes a block that was written ready to be filled again.
fn emptied(mut block: Lines) -> Lines {
    if block.bytes.capacity() > KEEP_CAPACITY {
        return Lines::default();
    }
    block.clear();
    block
}
