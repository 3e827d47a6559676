//! The queue of lines, and the thread that writes them.
//!
//! Lines lie one behind the other in one buffer; the thread takes the whole buffer and gives back
//! the one it wrote before. So a line costs one copy under a short lock, no allocation, and under
//! load many lines share one write.

use crate::{
    LogError, LogOutput,
    format::Style,
    output::{LogLines, Target},
};
use meshwise_core::{DropReason, Ledger, Signal, SignalReport};
use std::{
    fmt, io,
    io::Write,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

/// How often losses and errors are told.
const COMPLAIN_EVERY: Duration = Duration::from_secs(60);
/// How long the thread dozes before it looks again, while lines keep coming: nobody has to wake it
/// then, and waking a thread costs more than making a line.
const DOZE: Duration = Duration::from_millis(5);
/// A buffer that grew beyond this is not kept.
const KEEP_CAPACITY: usize = 1 << 20;

/// Says what happens to a line when the queue is full (complete by nature).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum QueuePolicy {
    /// It is dropped and counted: the service never waits for its log.
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
}

/// Takes lines. Shared by the layer, the handle and the writing thread.
pub(crate) struct Writer {
    ledger: Ledger,
    settings: Settings,
    kind: Kind,
}

enum Kind {
    /// Lines are seen by whoever logs, at once.
    Memory(LogLines),
    Thread(Arc<Queue>),
}

/// The standard library's mutex, because it never hands the lock to a thread that waits for it:
/// on a busy machine the writing thread may not run for long, and whoever logs would wait with it.
struct Queue {
    state: Mutex<State>,
    /// Lines came, or the end did.
    filled: Condvar,
    /// The thread took the lines, or finished writing them.
    emptied: Condvar,
}

#[derive(Default)]
struct State {
    bytes: Vec<u8>,
    lines: u64,
    /// How many lines the thread is writing now.
    writing: u64,
    /// The thread sleeps until it is woken; otherwise it looks by itself before long.
    asleep: bool,
    /// Somebody waits for the lines to be written.
    hurry: bool,
    closed: bool,
    /// Nobody waits any more: what is left was counted as lost.
    abandoned: bool,
}

impl Writer {
    pub(crate) fn start(
        output: LogOutput,
        settings: Settings,
        style: Arc<Style>,
    ) -> Result<Arc<Self>, LogError> {
        let ledger = Ledger::new(Signal::Logs);
        let (complain, sink): (bool, Box<dyn Write + Send>) = match output.0 {
            Target::Memory(lines) => {
                return Ok(Arc::new(Self { ledger, settings, kind: Kind::Memory(lines) }));
            }
            Target::Stdout => (true, Box::new(io::stdout())),
            Target::Stderr => (false, Box::new(io::stderr())),
            Target::Writer(writer) => (true, writer),
        };
        let queue = Arc::new(Queue {
            state: Mutex::new(State::default()),
            filled: Condvar::new(),
            emptied: Condvar::new(),
        });
        let writer = Arc::new(Self { ledger, settings, kind: Kind::Thread(Arc::clone(&queue)) });
        let thread = Thread {
            writer: Arc::clone(&writer),
            queue,
            sink,
            style,
            complain,
            told: None,
            lost: 0,
        };
        thread::Builder::new()
            .name("meshwise-log".to_owned())
            .spawn(move || thread.run())
            .map_err(LogError::Thread)?;
        Ok(writer)
    }

    /// Takes one line, its end included.
    pub(crate) fn push(&self, line: &[u8]) {
        let queue = match &self.kind {
            Kind::Memory(lines) => {
                lines.push(line);
                return self.ledger.delivered(1);
            }
            Kind::Thread(queue) => queue,
        };
        let mut state = queue.lock();
        while !state.closed && state.bytes.len() + line.len() > self.settings.bytes {
            if self.settings.policy == QueuePolicy::Drop {
                return self.ledger.dropped(DropReason::QueueFull, 1);
            }
            state.hurry = true;
            queue.filled.notify_one();
            state = queue.emptied.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.closed {
            return self.ledger.dropped(DropReason::Shutdown, 1);
        }
        state.bytes.extend_from_slice(line);
        state.lines += 1;
        let half_full = state.bytes.len() * 2 > self.settings.bytes;
        if state.asleep || half_full {
            state.asleep = false;
            drop(state);
            queue.filled.notify_one();
        }
    }

    pub(crate) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    pub(crate) fn report(&self) -> SignalReport {
        self.ledger.report()
    }

    pub(crate) fn flush(&self, timeout: Duration) -> bool {
        match &self.kind {
            Kind::Memory(_) => true,
            Kind::Thread(queue) => queue.wait_until_empty(queue.lock(), timeout).0,
        }
    }

    pub(crate) fn shutdown(&self, timeout: Duration) -> SignalReport {
        if let Kind::Thread(queue) = &self.kind {
            let mut state = queue.lock();
            state.closed = true;
            queue.filled.notify_all();
            // Those who wait for room must learn that there will be none.
            queue.emptied.notify_all();
            let (empty, mut state) = queue.wait_until_empty(state, timeout);
            if !empty && !state.abandoned {
                state.abandoned = true;
                self.ledger.dropped(DropReason::Shutdown, state.lines + state.writing);
            }
        }
        self.report()
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

impl Queue {
    /// Locks the state; nothing that is done under the lock leaves it half done.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits, `timeout` at most; tells whether all lines are written, and returns the lock.
    fn wait_until_empty<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        timeout: Duration,
    ) -> (bool, MutexGuard<'a, State>) {
        state.hurry = true;
        self.filled.notify_one();
        let busy = |state: &mut State| state.lines + state.writing > 0 && !state.abandoned;
        let (state, _) = self
            .emptied
            .wait_timeout_while(state, timeout, busy)
            .unwrap_or_else(PoisonError::into_inner);
        (state.lines + state.writing == 0 && !state.abandoned, state)
    }
}

/// The writing thread's own part.
struct Thread {
    writer: Arc<Writer>,
    queue: Arc<Queue>,
    sink: Box<dyn Write + Send>,
    style: Arc<Style>,
    /// Whether standard error may be told about errors: it is not the destination itself.
    complain: bool,
    told: Option<Instant>,
    /// How many lost lines were told of.
    lost: u64,
}

impl Thread {
    fn run(mut self) {
        let mut batch = Vec::new();
        loop {
            let mut state = self.queue.lock();
            if !batch.is_empty() && !state.hurry && !state.closed {
                // Lines came a moment ago, so more will; they are gathered for one write.
                let dozed = self.queue.filled.wait_timeout(state, DOZE);
                state = dozed.unwrap_or_else(PoisonError::into_inner).0;
            }
            while state.lines == 0 && !state.closed {
                state.asleep = true;
                state = self.queue.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            state.asleep = false;
            state.hurry = false;
            if state.lines == 0 || state.abandoned {
                return;
            }
            batch.clear();
            std::mem::swap(&mut batch, &mut state.bytes);
            let lines = std::mem::take(&mut state.lines);
            state.writing = lines;
            self.queue.emptied.notify_all();
            drop(state);

            let result = self.write(&batch);
            let mut state = self.queue.lock();
            state.writing = 0;
            if !state.abandoned {
                match &result {
                    Ok(()) => self.writer.ledger.delivered(lines),
                    Err(_) => self.writer.ledger.dropped(DropReason::WriteFailed, lines),
                }
            }
            let abandoned = state.abandoned;
            drop(state);
            if batch.capacity() > KEEP_CAPACITY {
                batch = Vec::new();
            }
            if !abandoned {
                self.tell(result.err());
            }
            self.queue.emptied.notify_all();
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let sink = &mut self.sink;
        let written = catch_unwind(AssertUnwindSafe(|| {
            sink.write_all(bytes)?;
            sink.flush()
        }));
        written.unwrap_or_else(|_| Err(io::Error::other("the writer panicked")))
    }

    /// Once a minute, says what was lost: in the log itself, and on standard error if writing fails.
    fn tell(&mut self, error: Option<io::Error>) {
        let report = self.writer.report();
        let lost = report.total_dropped();
        if lost == self.lost || self.told.is_some_and(|told| told.elapsed() < COMPLAIN_EVERY) {
            return;
        }
        self.told = Some(Instant::now());
        let since = lost - std::mem::replace(&mut self.lost, lost);
        match error {
            Some(error) if self.complain => {
                // Standard error may be closed too; then nobody is left to be told.
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
