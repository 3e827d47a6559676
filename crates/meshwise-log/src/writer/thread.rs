//! The thread that writes lines.

use super::{
    lines::Lines,
    merge,
    outlet::Outlet,
    policy::QueuePolicy,
    queue::{LineQueue, NEVER},
};
use crate::{delivery::Complaints, error::LogError, format::Style};
use meshwise_core::{
    DropReason,
    internal::{LossCounters, queue::Block},
};
use std::{
    cell::Cell,
    io, mem,
    sync::{Arc, PoisonError, atomic::Ordering::Relaxed},
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

thread_local! {
    /// This is a writer's own thread: it must not wait for a writer.
    static WRITES: Cell<bool> = const { Cell::new(false) };
}

/// Tells whether this is a writer's own thread.
pub(super) fn is_writing() -> bool {
    WRITES.try_with(Cell::get).unwrap_or(false)
}

/// The writing thread's own part.
pub(super) struct WritingThread {
    policy: QueuePolicy,
    counters: Arc<LossCounters>,
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
    pub(super) fn new(
        name: &str,
        policy: QueuePolicy,
        counters: Arc<LossCounters>,
        lines: Arc<LineQueue>,
        outlet: Outlet,
        style: Arc<Style>,
    ) -> Self {
        Self {
            blocks: Vec::new(),
            merged: Vec::new(),
            outlet,
            complaints: Complaints::new(name, style.redaction.clone()),
            style,
            told: None,
            lost: 0,
            policy,
            counters,
            lines,
        }
    }

    /// Starts it; it keeps `writer`, which is to be there for as long as lines may come.
    pub(super) fn start(self, writer: Arc<impl Send + Sync + 'static>) -> Result<(), LogError> {
        let started = thread::Builder::new().name("meshwise-log".to_owned());
        let run = move || {
            self.run();
            drop(writer);
        };
        started.spawn(run).map(drop).map_err(LogError::Thread)
    }

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
        let all = lines as u64;
        let (delivered, error) = match result {
            Ok(()) => (all, None),
            Err((delivered, error)) => (delivered, Some(error)),
        };
        if !self.complete(lines, delivered, DropReason::WriteFailed, all - delivered) {
            return false;
        }
        self.tell(error);
        true
    }

    /// Gives batches to the transport or the spool, each until it is known what became of it.
    fn send_blocks(&mut self, blocks: &[Lines]) -> bool {
        for batch in merge::batches(blocks) {
            let lines = batch.len();
            let shared = Arc::clone(&self.lines);
            let sent = self.outlet.send(batch, self.policy, &|| shared.lock().given_up);
            if !self.complete(lines, sent.delivered, sent.reason, sent.lost) {
                return false;
            }
            if sent.spooled > 0 {
                self.lines.stuck.store(false, Relaxed);
            }
            if let Some(problem) = sent.problem {
                self.complaints.tell(&problem);
            }
        }
        true
    }

    /// Counts what became of lines, unless they were counted as lost before: then it returns `false`.
    ///
    /// Under the lock under which a shutdown counts what is left: between the queue and the counters
    /// lines would be in no account.
    fn complete(&self, lines: usize, delivered: u64, reason: DropReason, lost: u64) -> bool {
        let state = self.lines.lock();
        let open = self.lines.queue.complete(lines);
        if open {
            self.counters.delivered(delivered);
            self.counters.dropped(reason, lost);
        }
        drop(state);
        if open && delivered > 0 {
            self.lines.stuck.store(false, Relaxed);
        }
        open
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), (usize, io::Error)> {
        let lines = &self.lines;
        let Outlet::Stream(sink) = &mut self.outlet else { return Ok(()) };
        sink.write(bytes, &|| lines.lock().given_up)
    }

    /// Once a minute, says what was lost: in the log itself, and on standard error if writing fails.
    fn tell(&mut self, error: Option<io::Error>) {
        let report = self.counters.report();
        let lost = report.total_dropped();
        if lost == self.lost || self.told.is_some_and(|told| told.elapsed() < COMPLAIN_EVERY) {
            return;
        }
        self.told = Some(Instant::now());
        let since = lost - mem::replace(&mut self.lost, lost);
        match error {
            Some(error) if self.outlet.is_stderr() => drop(error),
            Some(error) => {
                self.complaints.tell(&format!("log lines cannot be written: {error}"));
            }
            None => {
                let mut line = Vec::new();
                self.style.own_line(
                    &mut line,
                    &format!("{since} log lines were lost; since the start: {report}"),
                );
                if self.write(&line).is_ok() {
                    self.counters.delivered(1);
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
