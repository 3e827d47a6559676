//! Every line is accounted for, whatever the destination does.

mod told;

use meshwise_core::{DropReason, Service, SignalReport};
use meshwise_log::{LogConfig, LogFormat, LogHandle, LogOutput, QueuePolicy};
use std::{
    io::{self, Write},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
        mpsc,
    },
    time::{Duration, Instant},
};
use told::told_by;
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
    report.dropped_because(reason)
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
fn an_account_that_is_read_while_lines_are_written_misses_none() {
    for round in 0..100 {
        let (dispatch, logs) = logs(io::sink(), QueuePolicy::Wait);
        with_default(&dispatch, || (0..5).for_each(|n| tracing::info!(n, "a line")));
        // The thread may be anywhere in its work.
        (0..round % 3).for_each(|_| std::thread::yield_now());
        let report = logs.shutdown(Duration::ZERO);
        assert_eq!(report.delivered + report.total_dropped(), 5, "{report}");
    }
}

#[test]
fn whoever_waits_for_room_is_let_go_by_shutdown() {
    let (hold, stuck) = mpsc::channel();
    let (dispatch, logs) = logs(Stuck(stuck, Kept::default()), QueuePolicy::Wait);
    let (done, finished) = mpsc::channel();
    std::thread::spawn(move || {
        with_default(&dispatch, || (0..20_000).for_each(|n| tracing::info!(n, "a line")));
        done.send(()).expect("the test waits");
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

#[test]
fn lines_of_several_threads_stand_in_the_order_in_which_they_were_made() {
    const ROUNDS: u64 = 2_000;
    let kept = Kept::default();
    let (dispatch, logs) = logs(kept.clone(), QueuePolicy::Wait);
    // Each thread logs when the one before has.
    let (starts, turns): (Vec<_>, Vec<_>) = (0..3).map(|_| mpsc::channel::<u64>()).unzip();
    std::thread::scope(|scope| {
        for (thread, turn) in turns.into_iter().enumerate() {
            let (dispatch, next) = (&dispatch, starts[(thread + 1) % 3].clone());
            scope.spawn(move || {
                with_default(dispatch, || {
                    while let Ok(n) = turn.recv() {
                        if n < ROUNDS {
                            tracing::info!(thread, n, "a line");
                        }
                        // The others may have ended.
                        let _ = next.send(n + 1);
                        if n >= ROUNDS {
                            return;
                        }
                    }
                });
            });
        }
        starts[0].send(0).expect("it waits");
    });
    assert_eq!(logs.shutdown(PATIENCE).delivered, ROUNDS);
    let text = String::from_utf8(kept.0.lock().expect("not poisoned").clone()).expect("UTF-8");
    let numbers = text.lines().map(|line| {
        let line: serde_json::Value = serde_json::from_str(line).expect("a whole line");
        line["n"].as_u64().expect("a number")
    });
    assert!(numbers.eq(0..ROUNDS));
}

/// Keeps lines that say `mine`.
struct Mine(Kept);

impl Write for Mine {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut lines = bytes.split_inclusive(|byte| *byte == b'\n');
        let mine = |line: &&[u8]| line.windows(6).any(|text| text == b"\"mine\"");
        lines.try_for_each(|line| if mine(&line) { self.0.write_all(line) } else { Ok(()) })?;
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_flush_waits_for_what_is_there_though_others_go_on() {
    let kept = Kept::default();
    let (dispatch, logs) = logs(Mine(kept.clone()), QueuePolicy::Wait);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                with_default(&dispatch, || {
                    while !stop.load(Relaxed) {
                        tracing::info!("noise");
                    }
                });
            });
        }
        let flushed = (0..20).all(|n| {
            with_default(&dispatch, || tracing::info!(n, "mine"));
            let flushed = logs.flush(PATIENCE);
            let mine = format!("\"n\":{n}}}");
            let text = kept.0.lock().expect("not poisoned").clone();
            flushed && String::from_utf8(text).expect("UTF-8").contains(&mine)
        });
        stop.store(true, Relaxed);
        assert!(flushed);
    });
    assert_eq!(logs.shutdown(PATIENCE).total_dropped(), 0);
}

#[test]
fn a_line_larger_than_the_queue_is_counted_and_no_one_waits_for_room() {
    for policy in [QueuePolicy::Drop, QueuePolicy::Wait] {
        let kept = Kept::default();
        let (dispatch, logs) = logs(kept.clone(), policy);
        with_default(&dispatch, || {
            // Each of these bytes becomes six.
            let odd = "\u{1}".repeat(16_000);
            let text = "x".repeat(4_000);
            fn within(depth: usize, text: &str, log: &dyn Fn()) {
                match depth.checked_sub(1) {
                    Some(depth) => {
                        tracing::info_span!("span", text).in_scope(|| within(depth, text, log));
                    }
                    None => log(),
                }
            }
            let log = || tracing::info!(a = text.repeat(4), b = text.repeat(4), odd, "{odd}");
            within(20, &text, &log);
            tracing::info!("small");
        });
        let report = logs.shutdown(PATIENCE);
        assert_eq!(dropped(&report, DropReason::TooLarge), 1, "{report}");
        assert_eq!(report.total_dropped(), 1, "{report}");
        let text = String::from_utf8(kept.0.lock().expect("not poisoned").clone()).expect("UTF-8");
        assert!(text.contains("small") && text.contains("too_large: 1"), "{text}");
    }
}

#[test]
fn an_error_is_written_before_its_thread_goes_on() {
    let kept = Kept::default();
    let (dispatch, logs) = logs(kept.clone(), QueuePolicy::Drop);
    with_default(&dispatch, || {
        for n in 0..100 {
            tracing::info!(n, "before");
            tracing::error!(n, "broken");
            let text = String::from_utf8(kept.0.lock().expect("not poisoned").clone());
            assert_eq!(text.expect("UTF-8").lines().count(), 2 * (n + 1));
        }
    });
    assert_eq!(logs.shutdown(PATIENCE).delivered, 200);
}

#[test]
fn a_destination_that_hangs_holds_up_one_error_and_only_until_the_wait_is_over() {
    let (hold, stuck) = mpsc::channel();
    let kept = Kept::default();
    let config = LogConfig::new(Service::new("orders", "1")).with_format(LogFormat::Json);
    let config = config.with_output(LogOutput::writer(Stuck(stuck, kept.clone())));
    let wait = Duration::from_millis(500);
    let (layer, logs) = config.with_error_wait(wait).build().expect("logs");
    let dispatch = Dispatch::new(tracing_subscriber::registry().with(layer));
    with_default(&dispatch, || {
        let started = Instant::now();
        tracing::error!("first");
        assert!(started.elapsed() >= wait);
        for _ in 0..PATIENCE.as_millis() / wait.as_millis() {
            tracing::error!("more");
        }
        assert!(started.elapsed() < PATIENCE, "they did not wait");
        // It takes lines again: errors are waited for again.
        drop(hold);
        assert!(logs.flush(PATIENCE));
        tracing::error!("last");
        let text = kept.0.lock().expect("not poisoned").clone();
        assert!(String::from_utf8(text).expect("UTF-8").contains("last"));
    });
}

/// Logs an error of its own, into the log that it writes, when it writes for the first time.
struct Complaining(Arc<Mutex<Option<Dispatch>>>, Kept);

impl Write for Complaining {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let dispatch = self.0.lock().expect("not poisoned").take();
        if let Some(dispatch) = dispatch {
            with_default(&dispatch, || tracing::error!("it was slow"));
        }
        self.1.write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_destination_that_logs_errors_does_not_wait_for_itself() {
    let (own, kept) = (Arc::default(), Kept::default());
    let writer = LogOutput::writer(Complaining(Arc::clone(&own), kept.clone()));
    let config = LogConfig::new(Service::new("orders", "1")).with_output(writer);
    let (layer, logs) = config.with_error_wait(PATIENCE).build().expect("logs");
    let dispatch = Dispatch::new(tracing_subscriber::registry().with(layer));
    *own.lock().expect("not poisoned") = Some(dispatch.clone());
    let started = Instant::now();
    with_default(&dispatch, || tracing::error!("broken"));
    assert!(started.elapsed() < PATIENCE / 2);
    assert_eq!(logs.shutdown(PATIENCE).delivered, 2);
}

/// Takes so many bytes, then is full until it is let go.
struct Full(Kept, usize, Arc<AtomicBool>);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.1.min(bytes.len()) {
            0 if self.2.load(Relaxed) => self.0.write(bytes),
            0 => Err(io::ErrorKind::StorageFull.into()),
            room => {
                self.1 -= room;
                self.0.write(&bytes[..room])
            }
        }
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn what_a_destination_took_before_it_failed_is_counted_line_by_line() {
    let kept = Kept::default();
    let free = Arc::new(AtomicBool::new(false));
    let (dispatch, logs) = logs(Full(kept.clone(), 1_000, Arc::clone(&free)), QueuePolicy::Drop);
    with_default(&dispatch, || {
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    with_default(&dispatch, || (0..50).for_each(|n| tracing::info!(n, "a line")));
                });
            }
        });
        assert!(logs.flush(PATIENCE));
        free.store(true, Relaxed);
        tracing::info!("later");
    });
    let report = logs.shutdown(PATIENCE);
    let text = String::from_utf8(kept.0.lock().expect("not poisoned").clone()).expect("UTF-8");
    let whole = text.lines().filter(|line| line.ends_with('}')).count() as u64;
    assert_eq!(report.delivered, whole, "{report}");
    assert_eq!(text.lines().count() as u64, whole + 1, "one line is torn: {text}");
    assert!(dropped(&report, DropReason::WriteFailed) > 100, "{report}");
    assert_eq!(report.delivered + report.total_dropped(), 201, "{report}");
    assert!(text.contains("later"));
}

/// Refuses all lines, and quotes a secret.
struct Indiscreet;

impl Write for Indiscreet {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::Error::other("login with password=hunter2 refused"))
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn what_cannot_be_written_is_told_with_its_output_and_without_secrets() {
    let test = "what_cannot_be_written_is_told_with_its_output_and_without_secrets";
    let Some(told) = told_by(test) else {
        let (dispatch, logs) = logs(Indiscreet, QueuePolicy::Drop);
        with_default(&dispatch, || tracing::info!("a line"));
        assert_eq!(dropped(&logs.shutdown(PATIENCE), DropReason::WriteFailed), 1);
        return;
    };
    assert!(told.contains("log output main: log lines cannot be written: login"), "{told}");
    assert!(told.contains("password=") && !told.contains("hunter2"), "{told}");
}
