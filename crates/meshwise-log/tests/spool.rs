//! A spool on disk: what was reported as spooled is sent, whatever ends the process.

use meshwise_core::{DropReason, Service};
use meshwise_log::{
    Batch, Deliver, Delivery, LogConfig, LogFormat, LogHandle, LogOutput, OutputReport,
    QueuePolicy, SpoolConfig,
};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};
use tracing::{Dispatch, dispatcher::with_default};
use tracing_subscriber::layer::SubscriberExt;

const PATIENCE: Duration = Duration::from_secs(20);

/// Takes batches while it is open.
#[derive(Clone, Default)]
struct Server {
    open: Arc<AtomicBool>,
    /// By id: what came, and how often.
    batches: Arc<Mutex<Batches>>,
}

type Batches = BTreeMap<u128, (Vec<u64>, u32)>;

impl Server {
    fn open() -> Self {
        let server = Self::default();
        server.open.store(true, Relaxed);
        server
    }

    fn numbers(&self) -> Vec<u64> {
        let batches = self.batches.lock().expect("not poisoned");
        let mut all: Vec<_> = batches.values().flat_map(|(lines, _)| lines.clone()).collect();
        all.sort_unstable();
        all
    }
}

impl Deliver for Server {
    fn deliver(&mut self, batch: &Batch) -> Delivery {
        if !self.open.load(Relaxed) {
            return Delivery::refused("closed");
        }
        let number = |line: &[u8]| -> Option<u64> {
            let line: serde_json::Value = serde_json::from_slice(line).expect("whole");
            line["n"].as_u64()
        };
        let lines = batch.lines().filter_map(|line| number(line.text())).collect();
        let mut batches = self.batches.lock().expect("not poisoned");
        batches.entry(batch.id()).or_insert((lines, 0)).1 += 1;
        Delivery::Accepted
    }
}

fn logs(server: &Server, spool: SpoolConfig, policy: QueuePolicy) -> (Dispatch, LogHandle) {
    let output = LogOutput::delivery(server.clone()).with_spool(spool);
    let config = LogConfig::new(Service::new("orders", "1")).with_format(LogFormat::Json);
    let (layer, logs) =
        config.with_output(output).with_queue(1 << 20, policy).build().expect("logs");
    (Dispatch::new(tracing_subscriber::registry().with(layer)), logs)
}

fn say(dispatch: &Dispatch, numbers: impl IntoIterator<Item = u64>) {
    with_default(dispatch, || numbers.into_iter().for_each(|n| tracing::info!(n, "placed")));
}

fn main_output(logs: &LogHandle) -> OutputReport {
    logs.outputs().remove(0)
}

fn eventually(what: &str, holds: impl Fn() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < until, "{what}");
        thread::yield_now();
    }
}

#[test]
fn lines_wait_on_disk_and_are_sent_when_the_server_is_back() {
    let dir = tempfile::tempdir().expect("directory");
    let server = Server::default();
    let (dispatch, logs) = logs(&server, SpoolConfig::new(dir.path()), QueuePolicy::Drop);
    for round in 0..10 {
        say(&dispatch, round * 100..(round + 1) * 100);
        assert!(logs.flush(PATIENCE), "on disk");
    }
    let report = main_output(&logs);
    assert_eq!((report.spooled, report.lines.delivered, report.recovered), (1000, 0, 0));
    server.open.store(true, Relaxed);
    eventually("all are sent", || main_output(&logs).lines.delivered == 1000);
    assert_eq!(main_output(&logs).spooled, 0);
    assert_eq!(server.numbers(), (0..1000).collect::<Vec<_>>());
    let report = logs.shutdown(PATIENCE);
    assert_eq!((report.delivered, report.total_dropped()), (1000, 0));
}

#[test]
fn what_one_process_leaves_the_next_one_sends_once() {
    let dir = tempfile::tempdir().expect("directory");
    let closed = Server::default();
    let (dispatch, first) = logs(&closed, SpoolConfig::new(dir.path()), QueuePolicy::Drop);
    say(&dispatch, 0..500);
    let report = first.shutdown(Duration::from_millis(200));
    assert_eq!((report.delivered, report.total_dropped()), (0, 0));
    assert_eq!(main_output(&first).spooled, 500);
    let server = Server::open();
    let (dispatch, second) = logs(&server, SpoolConfig::new(dir.path()), QueuePolicy::Drop);
    assert_eq!(main_output(&second).recovered, 500);
    say(&dispatch, [500]);
    let report = second.shutdown(PATIENCE);
    assert_eq!((report.delivered, report.total_dropped()), (501, 0));
    assert_eq!(server.numbers(), (0..=500).collect::<Vec<_>>());
    let often = server.batches.lock().expect("not poisoned").values().map(|(_, n)| *n).max();
    assert_eq!(often, Some(1));
}

/// Lists the segments below a directory.
fn segments(dir: &Path) -> Vec<PathBuf> {
    let slot = fs::read_dir(dir.join("0")).expect("slot");
    let paths = slot.map(|entry| entry.expect("entry").path());
    let mut paths: Vec<_> = paths.filter(|p| p.extension().is_some_and(|e| e == "lines")).collect();
    paths.sort();
    paths
}

#[test]
fn a_torn_tail_is_left_out_and_counted() {
    let dir = tempfile::tempdir().expect("directory");
    let copy = tempfile::tempdir().expect("directory");
    let closed = Server::default();
    let (dispatch, logs_of_first) = logs(&closed, SpoolConfig::new(dir.path()), QueuePolicy::Drop);
    for n in 0..3 {
        say(&dispatch, [n]);
        assert!(logs_of_first.flush(PATIENCE));
    }
    // What a killed process leaves: its files, without the last bytes.
    let segment = segments(dir.path()).remove(0);
    let bytes = fs::read(&segment).expect("segment");
    for cut in [1, 20, bytes.len() / 3 - 1] {
        let slot = copy.path().join(cut.to_string()).join("0");
        fs::create_dir_all(&slot).expect("slot");
        let name = segment.file_name().expect("name");
        fs::write(slot.join(name), &bytes[..bytes.len() - cut]).expect("written");
        let server = Server::open();
        let spool = SpoolConfig::new(copy.path().join(cut.to_string()));
        let (dispatch, second) = logs(&server, spool, QueuePolicy::Drop);
        say(&dispatch, [9]);
        eventually("the whole ones are sent", || server.numbers().ends_with(&[9]));
        let report = second.shutdown(PATIENCE);
        assert_eq!(server.numbers(), [0, 1, 9], "cut {cut}");
        assert_eq!(report.dropped_because(DropReason::WriteFailed), 1);
        assert_eq!((report.delivered, main_output(&second).recovered), (3, 2));
    }
    let _ = logs_of_first.shutdown(Duration::ZERO);
}

#[test]
fn a_full_spool_drops_and_counts_and_goes_on_when_there_is_room() {
    let dir = tempfile::tempdir().expect("directory");
    let server = Server::default();
    let (dispatch, logs) =
        logs(&server, SpoolConfig::new(dir.path()).with_max_bytes(0), QueuePolicy::Drop);
    let filler = "x".repeat(10_000);
    let mut said = 0;
    while logs.report().dropped_because(DropReason::QueueFull) == 0 {
        with_default(&dispatch, || (0..20).for_each(|_| tracing::info!(n = 0, filler, "placed")));
        said += 20;
        assert!(logs.flush(PATIENCE));
        assert!(said < 10_000, "16 MiB are 1,600 of them");
    }
    let report = main_output(&logs);
    assert_eq!(report.spooled + report.lines.total_dropped(), said);
    server.open.store(true, Relaxed);
    eventually("all are sent", || main_output(&logs).spooled == 0);
    say(&dispatch, [7]);
    assert!(logs.flush(PATIENCE));
    let lost = main_output(&logs).lines.total_dropped();
    let _ = logs.shutdown(PATIENCE);
    let report = logs.report();
    assert_eq!((report.delivered, report.total_dropped()), (said + 1 - lost, lost));
    assert_eq!(server.numbers().last(), Some(&7));
}

#[test]
fn with_the_policy_to_wait_nothing_is_dropped() {
    let dir = tempfile::tempdir().expect("directory");
    let server = Server::default();
    let spool = SpoolConfig::new(dir.path()).with_max_bytes(0);
    let (dispatch, logs) = logs(&server, spool, QueuePolicy::Wait);
    let filler = "x".repeat(10_000);
    let logging = thread::spawn(move || {
        with_default(&dispatch, || {
            (0..2_500).for_each(|n: u64| tracing::info!(n, filler, "placed"));
        });
    });
    eventually("it is full", || main_output(&logs).spooled > 1_000);
    server.open.store(true, Relaxed);
    logging.join().expect("logged");
    let report = logs.shutdown(PATIENCE);
    assert_eq!((report.delivered, report.total_dropped()), (2_500, 0));
    assert_eq!(server.numbers(), (0..2_500).collect::<Vec<_>>());
}

#[test]
fn two_processes_share_a_directory() {
    let dir = tempfile::tempdir().expect("directory");
    let server = Server::open();
    let (one, first) = logs(&server, SpoolConfig::new(dir.path()), QueuePolicy::Drop);
    let (other, second) = logs(&server, SpoolConfig::new(dir.path()), QueuePolicy::Drop);
    say(&one, 0..10);
    say(&other, 10..20);
    let _ = (first.shutdown(PATIENCE), second.shutdown(PATIENCE));
    assert_eq!(server.numbers(), (0..20).collect::<Vec<_>>());
    assert!(dir.path().join("0").is_dir() && dir.path().join("1").is_dir());
}

#[test]
fn a_directory_that_cannot_be_used_stops_no_service() {
    let dir = tempfile::tempdir().expect("directory");
    let file = dir.path().join("file");
    fs::write(&file, "").expect("written");
    let server = Server::open();
    let (dispatch, logs) = logs(&server, SpoolConfig::new(file), QueuePolicy::Drop);
    say(&dispatch, 0..10);
    let report = logs.shutdown(PATIENCE);
    assert_eq!((report.delivered, main_output(&logs).spooled), (10, 0));
}

/// Leaves three batches of ten lines, as a process that ended before the server was back.
fn left(dir: &Path) -> PathBuf {
    let closed = Server::default();
    let (dispatch, logs) = logs(&closed, SpoolConfig::new(dir), QueuePolicy::Drop);
    for batch in 0..3 {
        say(&dispatch, batch * 10..(batch + 1) * 10);
        assert!(logs.flush(PATIENCE));
    }
    let _ = logs.shutdown(Duration::from_millis(200));
    assert_eq!(main_output(&logs).spooled, 30);
    segments(dir).remove(0)
}

#[test]
fn of_a_damaged_record_its_lines_alone_are_lost_and_counted() {
    let dir = tempfile::tempdir().expect("directory");
    let segment = left(dir.path());
    let mut bytes = fs::read(&segment).expect("segment");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&segment, bytes).expect("written");
    let server = Server::open();
    let (_dispatch, second) = logs(&server, SpoolConfig::new(dir.path()), QueuePolicy::Drop);
    assert_eq!(main_output(&second).recovered, 30);
    let report = second.shutdown(PATIENCE);
    assert_eq!(server.numbers(), (0..10).chain(20..30).collect::<Vec<_>>());
    assert_eq!((report.delivered, report.dropped_because(DropReason::WriteFailed)), (20, 10));
    assert_eq!(main_output(&second).spooled, 0);
}

#[test]
fn a_segment_that_cannot_be_read_holds_up_none_behind_it() {
    let dir = tempfile::tempdir().expect("directory");
    let segment = left(dir.path());
    // As a bad sector: it can be opened, and not be read.
    let unreadable = segment.with_file_name("0000000000000000.lines");
    fs::create_dir(&unreadable).expect("directory");
    let server = Server::open();
    let (dispatch, second) = logs(&server, SpoolConfig::new(dir.path()), QueuePolicy::Drop);
    say(&dispatch, [30]);
    let report = second.shutdown(PATIENCE);
    assert_eq!(server.numbers(), (0..=30).collect::<Vec<_>>());
    assert_eq!((report.delivered, report.dropped_because(DropReason::WriteFailed)), (31, 1));
    assert!(unreadable.with_extension("unreadable").exists());
}

#[test]
fn a_cursor_that_makes_no_sense_loses_no_line() {
    for cursor in ["9 0", "9 0\n", "18446744073709551615 0\n", "1 999999 00000000\n", "", "\u{ff}"]
    {
        let dir = tempfile::tempdir().expect("directory");
        let segment = left(dir.path());
        fs::write(segment.with_file_name("cursor"), cursor).expect("written");
        // Names that we do not write.
        fs::write(segment.with_file_name("18446744073709551615.lines"), "").expect("written");
        fs::write(segment.with_file_name("5.lines"), "").expect("written");
        let server = Server::open();
        let (dispatch, second) = logs(&server, SpoolConfig::new(dir.path()), QueuePolicy::Drop);
        say(&dispatch, [30]);
        let report = second.shutdown(PATIENCE);
        assert_eq!(server.numbers(), (0..=30).collect::<Vec<_>>(), "{cursor}");
        assert_eq!((report.delivered, report.total_dropped()), (31, 0), "{cursor}");
    }
}
