//! A spool on disk, between the writer and a transport: what waits survives the process.
//!
//! ```text
//! <directory>/<0 to 15>/lock                    held by the process that uses the slot
//!                       0000000000000001.lines  records, one behind the other
//!                       0000000000000002.lines  the last one grows
//!                       cursor                  up to where the other side has accepted
//! ```
//!
//! The writing thread appends; once that is done, lines are counted as spooled. A thread of the spool
//! reads records from the cursor on, sends each until it is known what became of it, moves the cursor
//! on, and deletes segments that are done. What a process leaves behind is sent by the next one that
//! is given the same directory; a record that was sent and not yet noted is sent again, with its id.

mod append;
mod cursor;
mod files;
mod read;
mod record;

pub(crate) use append::Appender;

use super::{Complaints, Shipper};
use files::{make_private, private};
use meshwise_core::{DropReason, internal::LossCounters};
use read::{Next, Reader};
use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

/// So many processes can share a directory.
const SLOTS: u32 = 16;
const MAX_BYTES: u64 = 256 << 20;
const MIN_BYTES: u64 = 16 << 20;
/// A segment is closed once it has so many bytes.
const SEGMENT_BYTES: u64 = 4 << 20;
/// How long the sending thread may take to notice that it is to end.
const LAST_MOMENT: Duration = Duration::from_millis(100);
/// How often, and after which wait, a segment that cannot be read is tried: too many open files are waited
/// for, a bad sector is not.
const READS: u32 = 10;
const READ_AGAIN: Duration = Duration::from_millis(100);

/// Describes a spool on disk.
///
/// | if | lines |
/// |---|---|
/// | the process is killed | that were spooled are sent by the next process with this directory |
/// | the machine loses power | that the system had not written yet are lost, unless [`with_sync`](Self::with_sync) |
/// | the spool is full | are dropped and counted as `queue_full`, or wait, by [`QueuePolicy`](crate::QueuePolicy) |
/// | the disk is full, or fails | are dropped and counted as `write_failed`; standard error is told once a minute |
/// | a segment cannot be read | of it are set aside as `.unreadable` after a second, counted as one `write_failed` |
/// | a record is damaged | of it are lost, and counted as `write_failed`, as one if it cannot be told how many; those behind it are sent |
#[derive(Clone, Debug)]
#[must_use]
pub struct SpoolConfig {
    dir: PathBuf,
    max_bytes: u64,
    sync: bool,
}

impl SpoolConfig {
    /// Describes a spool of at most 256 MiB in a directory, made if it is not there. Up to 16 processes
    /// can share it; files are readable by their owner only.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into(), max_bytes: MAX_BYTES, sync: false }
    }

    /// Sets how many bytes a process may spool: 16 MiB at least.
    pub fn with_max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = bytes.max(MIN_BYTES);
        self
    }

    /// Sets whether each batch is written through to the disk before it counts as spooled; it is not
    /// by default.
    pub fn with_sync(mut self, sync: bool) -> Self {
        self.sync = sync;
        self
    }
}

impl SpoolConfig {
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }
}

/// What the appender, the sending thread and the writer share.
#[derive(Debug)]
pub(crate) struct SpoolState {
    /// On disk, sent or not.
    bytes: AtomicU64,
    /// Lines on disk that are not sent yet.
    pub(crate) lines: AtomicU64,
    /// Lines that an earlier process left.
    pub(crate) recovered: AtomicU64,
    phase: Mutex<Phase>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Phase {
    /// The segment that grows, and how much of it is whole.
    tail: (u64, u64),
    /// Nothing more is appended.
    closed: bool,
    /// What is not sent stays for the next process.
    stopped: bool,
    /// The sending thread has ended.
    ended: bool,
}

impl SpoolState {
    fn lock(&self) -> MutexGuard<'_, Phase> {
        self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Phase)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }

    /// Sends what is there until `deadline`, and ends the sending thread. The rest stays on disk.
    pub(crate) fn shutdown(&self, deadline: Instant) {
        self.change(|phase| phase.closed = true);
        self.wait_for_end(deadline.saturating_duration_since(Instant::now()));
        self.change(|phase| phase.stopped = true);
        self.wait_for_end(LAST_MOMENT);
    }

    fn wait_for_end(&self, most: Duration) {
        drop(self.changed.wait_timeout_while(self.lock(), most, |phase| !phase.ended));
    }
}

/// The shipper of a spool that could not be opened, and the reason.
pub(crate) type Unopened = Box<(Shipper, io::Error)>;

/// Opens a spool, and starts the thread that sends what is in it.
///
/// # Errors
/// If the directory cannot be used, or all of its slots are taken; the shipper comes back.
pub(crate) fn start(
    config: &SpoolConfig,
    name: &str,
    shipper: Shipper,
    counters: Arc<LossCounters>,
) -> Result<(Appender, Arc<SpoolState>), Unopened> {
    let opened = take_slot(&config.dir).and_then(|(lock, slot)| Reader::open(slot, lock));
    let own = match opened {
        Ok(own) => own,
        Err(error) => return Err(Box::new((shipper, error))),
    };
    let orphans = orphans(&config.dir);
    let first = own.last_segment().map_or(1, |last| last.saturating_add(1));
    let all = || orphans.iter().chain([&own]);
    let lines = all().map(Reader::count_lines).sum();
    let state = Arc::new(SpoolState {
        bytes: AtomicU64::new(all().map(Reader::bytes).sum()),
        lines: AtomicU64::new(lines),
        recovered: AtomicU64::new(lines),
        phase: Mutex::new(Phase { tail: (first, 0), ..Phase::default() }),
        changed: Condvar::new(),
    });
    let appender = Appender::new(config, own.slot().to_owned(), first, Arc::clone(&state));
    // The thread takes the shipper once it runs: if there is none, it is still here.
    let shipper = Arc::new(Mutex::new(Some(shipper)));
    let (taken, state_of_sender) = (Arc::clone(&shipper), Arc::clone(&state));
    let complaints = Complaints::of(name);
    let thread = thread::Builder::new().name("meshwise-spool".to_owned());
    let started = thread.spawn(move || {
        let shipper = taken.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(shipper) = shipper {
            let state = state_of_sender;
            Sender { state, shipper, counters, complaints, unread: 0 }.run(orphans, own);
        }
    });
    match started {
        Ok(_) => Ok((appender, state)),
        Err(error) => {
            match shipper.lock().unwrap_or_else(PoisonError::into_inner).take() {
                Some(shipper) => Err(Box::new((shipper, error))),
                // (No thread has taken it.)
                None => Ok((appender, state)),
            }
        }
    }
}

/// Takes something off a count.
fn lessen(count: &AtomicU64, n: u64) {
    let less = |all: u64| Some(all.saturating_sub(n));
    let _before = count.fetch_update(Relaxed, Relaxed, less);
}

/// Takes the first slot that no process uses.
fn take_slot(dir: &Path) -> io::Result<(File, PathBuf)> {
    make_private(dir)?;
    for slot in 0..SLOTS {
        let slot = dir.join(slot.to_string());
        make_private(&slot)?;
        if let Some(lock) = lock(&slot)? {
            return Ok((lock, slot));
        }
    }
    Err(io::Error::other(format!("{SLOTS} processes use {} already", dir.display())))
}

/// Finds slots that no process uses any more.
fn orphans(dir: &Path) -> Vec<Reader> {
    let slots = (0..SLOTS).map(|slot| dir.join(slot.to_string())).filter(|slot| slot.is_dir());
    let free = slots.filter_map(|slot| Some((lock(&slot).ok()??, slot)));
    free.filter_map(|(lock, slot)| Reader::open(slot, lock).ok()).collect()
}

fn lock(slot: &Path) -> io::Result<Option<File>> {
    let file = private().create(true).truncate(false).write(true).open(slot.join("lock"))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(fs::TryLockError::WouldBlock) => Ok(None),
        Err(fs::TryLockError::Error(error)) => Err(error),
    }
}

/// Sends what is spooled: first what other processes left (`orphans`), then what is in our slot.
struct Sender {
    state: Arc<SpoolState>,
    shipper: Shipper,
    counters: Arc<LossCounters>,
    complaints: Complaints,
    /// How often in a row the next record could not be read.
    unread: u32,
}

impl Sender {
    fn run(mut self, orphans: Vec<Reader>, mut own: Reader) {
        for mut reader in orphans {
            while !self.is_stopped() && self.send(&mut reader, (u64::MAX, 0)) {}
        }
        loop {
            let (tail, closed) = {
                let phase = self.state.lock();
                (phase.tail, phase.closed)
            };
            let sent = !self.is_stopped() && self.send(&mut own, tail);
            if self.is_stopped() || (!sent && closed) {
                break;
            }
            if !sent {
                let busy = |phase: &mut Phase| {
                    phase.tail == tail && phase.closed == closed && !phase.stopped
                };
                drop(self.state.changed.wait_while(self.state.lock(), busy));
            }
        }
        // The slot is free then.
        drop(own);
        self.state.change(|phase| phase.ended = true);
    }

    fn is_stopped(&self) -> bool {
        self.state.lock().stopped
    }

    /// Sends the next record before `tail`; `false` if there is none.
    fn send(&mut self, reader: &mut Reader, tail: (u64, u64)) -> bool {
        let (batch, end) = match reader.next(tail) {
            Ok(Next::Record(batch, end)) => {
                self.unread = 0;
                (batch, end)
            }
            Ok(Next::Damaged(lines)) => {
                lessen(&self.state.lines, u64::from(lines.unwrap_or(0)));
                self.counters.dropped(DropReason::WriteFailed, u64::from(lines.unwrap_or(1)));
                self.complaints
                    .tell("a spooled segment is damaged; what cannot be read is left out");
                return true;
            }
            Ok(Next::Segment(bytes)) => {
                lessen(&self.state.bytes, bytes);
                // A thread may wait for the room.
                self.state.changed.notify_all();
                return true;
            }
            Ok(Next::Nothing) => return false,
            Err(error) => {
                self.complaints.tell(&format!("the spool cannot be read: {error}"));
                return self.read_again(reader);
            }
        };
        let lines = batch.len() as u64;
        let shipped = self.shipper.ship(batch, &|| self.state.lock().stopped);
        if shipped.open > 0 {
            return false;
        }
        self.counters.delivered(shipped.delivered);
        self.counters.dropped(DropReason::ExportFailed, shipped.lost);
        lessen(&self.state.lines, lines);
        if let Err(error) = reader.advance(end) {
            self.complaints.tell(&format!("the spool's cursor cannot be written: {error}"));
        }
        true
    }

    /// Waits before what cannot be read is tried again; in the end sets its segment aside, so that those
    /// behind it have their turn. `false` if that cannot be done.
    fn read_again(&mut self, reader: &mut Reader) -> bool {
        self.unread += 1;
        if self.unread < READS {
            let open = |phase: &mut Phase| !phase.stopped;
            drop(self.state.changed.wait_timeout_while(self.state.lock(), READ_AGAIN, open));
            return true;
        }
        self.unread = 0;
        let Ok(bytes) = reader.set_aside() else { return false };
        lessen(&self.state.bytes, bytes);
        self.state.changed.notify_all();
        self.counters.dropped(DropReason::WriteFailed, 1);
        true
    }
}
