//! The queue of lines, and the thread that writes them.
//!
//! Lines lie one behind the other in a buffer for each shard of the threads that log; the writing
//! thread takes the whole buffers and gives back those it wrote before. So a line costs one copy
//! under a short lock that hardly anybody else wants, no allocation, and under load many lines share
//! one write.

mod merge;
mod queue;
#[cfg(test)]
mod queue_tests;
mod sink;

use crate::{
    LogError, LogOutput, exit,
    format::Style,
    output::{LogLines, Target},
};
use meshwise_core::{
    DropReason, Signal, SignalReport,
    internal::{LossCounters, threads::thread_index},
};
use queue::{Entry, Lines, Queue};
use sink::{Destination, Sink};
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
/// More shards are of no use: what a thread shares with one in sixteen hardly ever makes it wait.
const MAX_SHARDS: usize = 16;

/// Says what happens to a line when the queue is full (complete by nature).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum QueuePolicy {
    /// It is dropped and counted: the service never waits for its log, but for `ERROR` lines
    /// ([`LogConfig::with_error_wait`](crate::LogConfig::with_error_wait)).
    #[default]
    Drop,
    /// The thread that logs waits for room: no line is lost, and a destination that hangs brings
    /// the service to a stop.
    Wait,
}

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
    ledger: LossCounters,
    settings: Settings,
    kind: Kind,
}

enum Kind {
    /// Lines are there when the thread that logged them goes on.
    Memory(LogLines),
    Thread(Arc<Desk>),
}

/// Where threads that log and the one that writes meet.
struct Desk {
    queue: Queue,
    state: Mutex<State>,
    /// The writing thread has something to do.
    filled: Condvar,
    /// It has taken lines, or finished writing them.
    emptied: Condvar,
    /// A wait for lines to be written was in vain; nothing was written since.
    stuck: AtomicBool,
}

#[derive(Default)]
struct State {
    /// There are lines, and the thread might not know.
    woken: bool,
    /// A thread waits for lines to be written.
    hurry: bool,
    closed: bool,
    /// How often the thread has begun to take lines, and how many of these times they are written.
    begun: u64,
    done: u64,
    /// No thread waits any more.
    abandoned: bool,
}

/// No lines will be written any more.
const NEVER: u64 = u64::MAX;

impl Writer {
    pub(crate) fn start(
        output: LogOutput,
        settings: Settings,
        style: Arc<Style>,
    ) -> Result<Arc<Self>, LogError> {
        let ledger = LossCounters::new(Signal::Logs);
        let (complain, destination) = match output.0 {
            Target::Memory(lines) => {
                return Ok(Arc::new(Self { ledger, settings, kind: Kind::Memory(lines) }));
            }
            Target::Stdout => (true, Destination::Stdout),
            Target::Stderr => (false, Destination::Stderr),
            Target::Writer(writer) => (true, Destination::Other(writer)),
        };
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        // Threads are spread over the shards as they come, so that some share one by chance.
        let shards = (2 * cores).next_power_of_two().min(MAX_SHARDS);
        let desk = Arc::new(Desk {
            queue: Queue::new(settings.bytes, shards),
            state: Mutex::new(State::default()),
            filled: Condvar::new(),
            emptied: Condvar::new(),
            stuck: AtomicBool::new(false),
        });
        let writer = Arc::new(Self { ledger, settings, kind: Kind::Thread(Arc::clone(&desk)) });
        let thread = Thread {
            writer: Arc::clone(&writer),
            desk,
            taken: (0..shards).map(|_| Lines::default()).collect(),
            merged: Vec::new(),
            sink: Sink::new(destination),
            style,
            complain,
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

    /// Takes one line, its end included, that was made at this moment (nanoseconds since any other
    /// one). Tells whether it waits to be written.
    pub(crate) fn push(&self, line: &[u8], at: u64) -> bool {
        let desk = match &self.kind {
            Kind::Memory(lines) => {
                lines.push(line);
                self.ledger.delivered(1);
                return false;
            }
            Kind::Thread(desk) => desk,
        };
        let lost = loop {
            match desk.queue.push(thread_index(), line, at) {
                Entry::Queued => return true,
                Entry::Wake => {
                    desk.wake();
                    return true;
                }
                Entry::Closed => break DropReason::Shutdown,
                Entry::Full if line.len() > self.settings.bytes => break DropReason::TooLarge,
                Entry::Full => match self.settings.policy {
                    QueuePolicy::Drop => break DropReason::QueueFull,
                    QueuePolicy::Wait => desk.wait_for_room(line.len()),
                },
            }
        };
        self.ledger.dropped(lost, 1);
        false
    }

    /// Waits until what this thread logged is written, for as long as the settings say: nothing that
    /// ends the process afterwards can take it away.
    #[cold]
    pub(crate) fn settle(&self) {
        self.settle_within(self.settings.error_wait);
    }

    /// Waits until all lines are written, `timeout` at most. A destination that hangs costs that once,
    /// until it takes lines again.
    pub(crate) fn settle_within(&self, timeout: Duration) {
        let Kind::Thread(desk) = &self.kind else { return };
        let writes = WRITES.try_with(Cell::get).unwrap_or(false);
        if timeout.is_zero() || writes || desk.stuck.load(Relaxed) {
            return;
        }
        if !self.flush(timeout) {
            desk.stuck.store(true, Relaxed);
        }
    }

    pub(crate) fn ledger(&self) -> &LossCounters {
        &self.ledger
    }

    pub(crate) fn report(&self) -> SignalReport {
        self.ledger.report()
    }

    pub(crate) fn flush(&self, timeout: Duration) -> bool {
        match &self.kind {
            Kind::Memory(_) => true,
            Kind::Thread(desk) => {
                let mut state = desk.lock();
                state.hurry = true;
                desk.filled.notify_one();
                // All that is there now is taken when the thread takes lines the next time.
                let wanted = state.begun.saturating_add(1);
                desk.wait_until_done(state, wanted, timeout)
            }
        }
    }

    pub(crate) fn shutdown(&self, timeout: Duration) -> SignalReport {
        if let Kind::Thread(desk) = &self.kind {
            desk.queue.close();
            let mut state = desk.lock();
            state.closed = true;
            desk.filled.notify_all();
            // Those who wait for room must learn that there will be none.
            desk.emptied.notify_all();
            if !desk.wait_until_done(state, NEVER, timeout) {
                self.give_up(desk);
            }
        }
        self.report()
    }

    /// Counts as lost what is not written yet; the thread that writes finds out.
    fn give_up(&self, desk: &Desk) {
        let mut state = desk.lock();
        if state.done < NEVER && !state.abandoned {
            state.abandoned = true;
            self.ledger.dropped(DropReason::Shutdown, desk.queue.abandon());
        }
        drop(state);
        desk.emptied.notify_all();
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

impl Desk {
    /// Locks the state; nothing that is done under the lock leaves it half done.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the thread that there are lines.
    #[cold]
    fn wake(&self) {
        self.queue.awake();
        if !mem::replace(&mut self.lock().woken, true) {
            self.filled.notify_one();
        }
    }

    /// Waits until there may be room for so many bytes, or none will ever be needed.
    fn wait_for_room(&self, bytes: usize) {
        let mut state = self.lock();
        while !state.closed && !self.queue.may_take(bytes) {
            state.hurry = true;
            self.filled.notify_one();
            state = self.emptied.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits, `timeout` at most, until what was taken up to then is written; tells whether it is.
    fn wait_until_done(
        &self,
        state: MutexGuard<'_, State>,
        wanted: u64,
        timeout: Duration,
    ) -> bool {
        let busy = |state: &mut State| state.done < wanted && !state.abandoned;
        let waited = self.emptied.wait_timeout_while(state, timeout, busy);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.done >= wanted && !state.abandoned
    }
}

impl State {
    fn is_calm(&self) -> bool {
        !self.woken && !self.hurry && !self.closed
    }
}

/// The writing thread's own part.
struct Thread {
    writer: Arc<Writer>,
    desk: Arc<Desk>,
    /// What it writes now, for each shard; the buffers are given back when it takes the next.
    taken: Box<[Lines]>,
    merged: Vec<u8>,
    sink: Sink,
    style: Arc<Style>,
    /// Whether standard error may be told about errors: it is not the destination itself.
    complain: bool,
    told: Option<Instant>,
    /// How many lost lines were told of.
    lost: u64,
}

impl Thread {
    fn run(mut self) {
        WRITES.set(true);
        let mut wrote = false;
        loop {
            self.rest(wrote);
            let mut state = self.desk.lock();
            state.woken = false;
            state.hurry = false;
            // What was there before a thread asked for it is taken after this.
            state.begun += 1;
            let (round, closed) = (state.begun, state.closed);
            drop(state);

            let lines = self.desk.queue.take(&mut self.taken);
            wrote = lines > 0;
            self.tell_who_waits(None);
            if wrote && !self.write_all(lines) {
                return self.tell_who_waits(Some(NEVER));
            }
            // Once closed, nothing more comes.
            self.tell_who_waits(Some(if closed && !wrote { NEVER } else { round }));
            if closed && !wrote {
                return;
            }
        }
    }

    /// Waits for lines; for a moment longer if some came just now, so that more are gathered for
    /// one write.
    fn rest(&self, wrote: bool) {
        let Desk { queue, filled, .. } = &*self.desk;
        let mut state = self.desk.lock();
        if wrote && state.is_calm() {
            let dozed = filled.wait_timeout(state, DOZE);
            state = dozed.unwrap_or_else(PoisonError::into_inner).0;
        }
        if !state.is_calm() {
            return;
        }
        drop(state);
        if queue.may_sleep() {
            let waited = filled.wait_while(self.desk.lock(), |state| state.is_calm());
            drop(waited);
        }
        queue.awake();
    }

    /// Says that there is room, and what is written.
    fn tell_who_waits(&self, done: Option<u64>) {
        let mut state = self.desk.lock();
        state.done = done.unwrap_or(state.done);
        drop(state);
        self.desk.emptied.notify_all();
    }

    /// Writes what was taken, and counts it; `false` if no thread waits for it any more.
    fn write_all(&mut self, lines: u64) -> bool {
        let mut buffer = mem::take(&mut self.merged);
        let taken = mem::take(&mut self.taken);
        let result = self.write(merge::merged(&taken, &mut buffer));
        let result = result.map_err(|(written, error)| (merge::whole(&taken, written), error));
        self.taken = taken;
        self.merged = buffer;
        if !self.desk.queue.settle() {
            return false;
        }
        let (delivered, error) = match result {
            Ok(()) => (lines, None),
            Err((delivered, error)) => (delivered, Some(error)),
        };
        self.writer.ledger.delivered(delivered);
        self.writer.ledger.dropped(DropReason::WriteFailed, lines - delivered);
        if delivered > 0 {
            self.desk.stuck.store(false, Relaxed);
        }
        if self.merged.capacity() > 4 * KEEP_CAPACITY {
            self.merged = Vec::new();
        }
        for lines in &mut self.taken {
            if lines.bytes.capacity() > KEEP_CAPACITY {
                *lines = Lines::default();
            }
        }
        self.tell(error);
        true
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), (usize, io::Error)> {
        let desk = &self.desk;
        self.sink.write(bytes, &|| desk.lock().abandoned)
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
            Some(error) if self.complain => {
                // Standard error may be closed too; then there is no way to tell.
                let _ = writeln!(io::stderr(), "meshwise: log lines can't be written: {error}");
            }
            Some(_) => {}
            None => {
                let mut line = Vec::new();
                self.style.own_line(
                    &mut line,
                    &format!("{since} log lines were lost; since the start: {report}"),
                );
                if self.write(&line).is_ok() {
                    self.writer.ledger.delivered(1);
                }
            }
        }
    }
}
