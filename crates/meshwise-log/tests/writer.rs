//! Every line is accounted for, whatever the destination does.

use meshwise_core::{DropReason, Service, SignalReport};
use meshwise_log::{LogConfig, LogFormat, LogHandle, LogOutput, QueuePolicy};
use std::{
    io::{self, Write},
    sync::{Arc, Mutex, mpsc},
    time::{Duration, Instant},
};
use tracing::{Dispatch, dispatcher::with_default};
use tracing_subscriber::layer::SubscriberExt;

const PATIENCE: Duration = Duration::from_secs(20);
const QUEUE: usize = 256 << 10;

fn logs(writer: impl Write + Send + 'static, policy: QueuePolicy) -> (Dispatch, LogHandle) {
    let config = LogConfig::new(Service::new("orders", "1")).with_format(LogFormat::Json);
    let config = config.with_output(LogOutput::writer(writer)).with_queue(QUEUE, policy);
    let (layer, logs) = config.build().expect("logs");
    (Dispatch::new(tracing_subscriber::registry().with(layer)), logs)
}

fn dropped(report: &SignalReport, reason: DropReason) -> u64 {
    report.dropped.iter().find(|(r, _)| *r == reason).expect("listed").1
}

/// Keeps what is written.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("not poisoned").extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes nothing until it is let go: the sender's drop.
struct Stuck(mpsc::Receiver<()>, Kept);

impl Write for Stuck {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.0.recv();
        self.1.write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn many_threads_write_whole_lines_and_none_is_lost() {
    let kept = Kept::default();
    let (dispatch, logs) = logs(kept.clone(), QueuePolicy::Wait);
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let dispatch = &dispatch;
            scope.spawn(move || {
                with_default(dispatch, || {
                    for n in 0..2_000 {
                        tracing::info!(thread, n, "a line that has some length to it");
                    }
                });
            });
        }
    });
    let report = logs.shutdown(PATIENCE);
    assert_eq!((report.delivered, report.total_dropped()), (16_000, 0));
    let text = String::from_utf8(kept.0.lock().expect("not poisoned").clone()).expect("UTF-8");
    let mut next = [0; 8];
    for line in text.lines() {
        let line: serde_json::Value = serde_json::from_str(line).expect("a whole line");
        let thread = line["thread"].as_u64().expect("a number") as usize;
        assert_eq!(line["n"], next[thread], "in order");
        next[thread] += 1;
    }
    assert_eq!(next, [2_000; 8]);
}

#[test]
fn a_destination_that_hangs_costs_lines_but_never_time() {
    let (hold, stuck) = mpsc::channel();
    let kept = Kept::default();
    let (dispatch, logs) = logs(Stuck(stuck, kept.clone()), QueuePolicy::Drop);
    let started = Instant::now();
    with_default(&dispatch, || (0..20_000).for_each(|n| tracing::info!(n, "a line")));
    assert!(!logs.flush(Duration::from_millis(20)));
    let report = logs.shutdown(Duration::from_millis(20));
    assert!(started.elapsed() < PATIENCE, "nothing waits for it");
    assert!(dropped(&report, DropReason::QueueFull) > 10_000);
    assert!(dropped(&report, DropReason::Shutdown) > 100);
    assert_eq!(report.delivered + report.total_dropped(), 20_000, "{report}");

    with_default(&dispatch, || tracing::info!("after the end"));
    let later = logs.report();
    assert_eq!(later.total_dropped(), report.total_dropped() + 1);
    drop(hold);
    assert_eq!(logs.shutdown(PATIENCE).delivered, 0, "what was given up is not counted again");
}

#[test]
fn whoever_waits_for_room_is_let_go_by_shutdown() {
    let (hold, stuck) = mpsc::channel();
    let (dispatch, logs) = logs(Stuck(stuck, Kept::default()), QueuePolicy::Wait);
    let (done, finished) = mpsc::channel();
    std::thread::spawn(move || {
        with_default(&dispatch, || (0..20_000).for_each(|n| tracing::info!(n, "a line")));
        done.send(()).expect("somebody waits");
    });
    assert!(finished.recv_timeout(Duration::from_millis(50)).is_err(), "it waits for room");
    let report = logs.shutdown(Duration::from_millis(10));
    assert_eq!(dropped(&report, DropReason::QueueFull), 0);
    finished.recv_timeout(PATIENCE).expect("it goes on");
    let report = logs.report();
    assert_eq!(report.delivered + report.total_dropped(), 20_000, "{report}");
    drop(hold);
}

/// Fails, or panics, at every write.
struct Bad(bool);

impl Write for Bad {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        assert!(!self.0, "on purpose");
        Err(io::ErrorKind::BrokenPipe.into())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_destination_that_fails_or_panics_is_counted() {
    for panics in [false, true] {
        let (dispatch, logs) = logs(Bad(panics), QueuePolicy::Drop);
        with_default(&dispatch, || {
            for n in 0..10 {
                tracing::info!(n, "a line");
                assert!(logs.flush(PATIENCE));
            }
        });
        let report = logs.shutdown(PATIENCE);
        assert_eq!(dropped(&report, DropReason::WriteFailed), 10, "{report}");
    }
}

#[test]
fn losses_are_told_in_the_log_itself() {
    let (hold, stuck) = mpsc::channel();
    let kept = Kept::default();
    let (dispatch, logs) = logs(Stuck(stuck, kept.clone()), QueuePolicy::Drop);
    with_default(&dispatch, || (0..20_000).for_each(|n| tracing::info!(n, "a line")));
    drop(hold);
    let _ = logs.shutdown(PATIENCE);
    let text = String::from_utf8(kept.0.lock().expect("not poisoned").clone()).expect("UTF-8");
    let told = text.lines().find(|line| line.contains("meshwise::log")).expect("a word about it");
    assert!(told.contains("log lines were lost") && told.contains("queue_full"), "{told}");
}
