//! Files that are rotated: no line is divided, lost or doubled.
#![cfg(unix)]

use flate2::read::GzDecoder;
use meshwise_core::Service;
use meshwise_log::{FileConfig, LogConfig, LogFormat, LogHandle, LogOutput, RotateEvery};
use std::{
    fs::{self, File},
    io::Read,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    thread,
    time::{Duration, Instant, SystemTime},
};
use tracing::{Dispatch, dispatcher::with_default};
use tracing_subscriber::layer::SubscriberExt;

const PATIENCE: Duration = Duration::from_secs(20);

fn logs(file: FileConfig) -> (Dispatch, LogHandle) {
    let config = LogConfig::new(Service::new("orders", "1")).with_format(LogFormat::Json);
    let output = LogOutput::rotated_file(file).expect("opened");
    let (layer, logs) = config.with_output(output).build().expect("logs");
    (Dispatch::new(tracing_subscriber::registry().with(layer)), logs)
}

/// Lists the directory's files, sorted.
fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).expect("directory");
    let mut files: Vec<_> = entries.map(|entry| entry.expect("entry").path()).collect();
    files.sort();
    files
}

fn text(path: &Path) -> String {
    let mut text = String::new();
    let file = File::open(path).expect("file");
    match path.extension().is_some_and(|end| end == "gz") {
        true => GzDecoder::new(file).read_to_string(&mut text),
        false => File::read_to_string(&mut { file }, &mut text),
    }
    .expect("text");
    text
}

/// Waits until the files are as wanted: older ones are looked after by a thread.
fn eventually(dir: &Path, wanted: impl Fn(&[PathBuf]) -> bool) -> Vec<PathBuf> {
    let until = Instant::now() + PATIENCE;
    loop {
        let files = files(dir);
        if wanted(&files) {
            return files;
        }
        assert!(Instant::now() < until, "{files:?}");
        thread::yield_now();
    }
}

fn numbers(text: &str) -> Vec<u64> {
    let line = |line: &str| -> serde_json::Value { serde_json::from_str(line).expect("whole") };
    text.lines().filter_map(|text| line(text)["n"].as_u64()).collect()
}

#[test]
fn files_are_rotated_by_size_compressed_and_no_line_is_lost() {
    let dir = tempfile::tempdir().expect("directory");
    let file = FileConfig::new(dir.path().join("orders.log")).with_max_bytes(64 << 10);
    let (dispatch, logs) = logs(file.with_kept(100).with_mode(0o600));
    let filler = "x".repeat(1000);
    with_default(&dispatch, || (0..400).for_each(|n: u64| tracing::info!(n, filler, "placed")));
    let report = logs.shutdown(PATIENCE);
    assert_eq!((report.delivered, report.total_dropped()), (400, 0));
    let packed = |file: &PathBuf| file.extension().is_some_and(|end| end == "gz");
    let files = eventually(dir.path(), |files| files.iter().filter(|f| !packed(f)).count() == 1);
    assert!(files.len() >= 7, "{files:?}");
    for file in &files {
        assert!(text(file).len() <= 64 << 10);
        assert_eq!(fs::metadata(file).expect("file").permissions().mode() & 0o777, 0o600);
    }
    let (current, older): (Vec<_>, Vec<_>) = files.iter().partition(|file| !packed(file));
    let all: Vec<u64> =
        older.iter().chain(&current).flat_map(|file| numbers(&text(file))).collect();
    assert_eq!(all, (0..400).collect::<Vec<_>>());
}

#[test]
fn two_that_write_to_one_file_lose_no_line() {
    const LINES: u64 = 5000;
    let dir = tempfile::tempdir().expect("directory");
    let path = dir.path().join("orders.log");
    let file = || FileConfig::new(&path).with_max_bytes(64 << 10).with_kept(1000);
    let write = |from: u64| {
        let (dispatch, logs) = logs(file());
        let filler = "x".repeat(100);
        let say = |n| tracing::info!(n, filler, "placed");
        with_default(&dispatch, || (from..from + LINES).for_each(say));
        assert_eq!(logs.shutdown(PATIENCE).delivered, LINES);
    };
    thread::scope(|scope| (0..2).for_each(|turn| drop(scope.spawn(move || write(turn * LINES)))));
    // What neither had let go of in time is compressed at the next start.
    let next = logs(file());
    let plain = |file: &&PathBuf| file.extension().is_some_and(|end| end == "log");
    let files = eventually(dir.path(), |files| files.iter().filter(plain).count() == 1);
    drop(next);
    let mut all: Vec<u64> = files.iter().flat_map(|file| numbers(&text(file))).collect();
    all.sort_unstable();
    assert_eq!(all, (0..2 * LINES).collect::<Vec<_>>());
    assert!(files.len() > 10, "{files:?}");
}

#[test]
fn what_a_process_left_half_compressed_is_removed_at_the_next_start() {
    for gzip in [true, false] {
        let dir = tempfile::tempdir().expect("directory");
        let path = |name: &str| dir.path().join(name);
        let older = path("orders-20261128T160000Z.log");
        fs::write(&older, "{\"n\":1}\n").expect("written");
        for name in ["orders-20261128T160000Z.log.gz.new", "orders-20261128T150000Z.log.gz.new"] {
            fs::write(path(name), "half").expect("written");
        }
        let stranger = path("orders-1.log.gz.new");
        fs::write(&stranger, "not ours").expect("written");
        let _logs = logs(FileConfig::new(path("orders.log")).with_gzip(gzip));
        let older = if gzip { path("orders-20261128T160000Z.log.gz") } else { older };
        let wanted = [stranger, older.clone(), path("orders.log")];
        let _files = eventually(dir.path(), |files| files == wanted);
        assert_eq!(numbers(&text(&older)), [1]);
    }
}

#[test]
fn only_so_many_older_files_are_kept_and_strangers_are_left_alone() {
    let dir = tempfile::tempdir().expect("directory");
    let stranger = dir.path().join("orders-backup.log");
    fs::write(&stranger, "not ours").expect("written");
    let file = FileConfig::new(dir.path().join("orders.log")).with_max_bytes(64 << 10);
    let (dispatch, logs) = logs(file.with_kept(2).with_gzip(false));
    let filler = "x".repeat(1000);
    with_default(&dispatch, || (0..400).for_each(|n: u64| tracing::info!(n, filler, "placed")));
    let _ = logs.shutdown(PATIENCE);
    let files = eventually(dir.path(), |files| files.len() == 4);
    assert!(files.contains(&stranger), "{files:?}");
}

/// A clock that goes back by a second each time that it is looked at.
fn backwards() -> SystemTime {
    static AGO: AtomicU64 = AtomicU64::new(0);
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_824_000 - AGO.fetch_add(1, Relaxed))
}

#[test]
fn the_last_files_are_kept_whatever_the_clock_says() {
    let still: fn() -> SystemTime = || SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_824_000);
    for clock in [still, backwards] {
        let dir = tempfile::tempdir().expect("directory");
        let file = FileConfig::new(dir.path().join("orders.log")).with_max_bytes(64 << 10);
        let (dispatch, logs) = logs(file.with_kept(2).with_gzip(false).with_clock(clock));
        let filler = "x".repeat(1000);
        let mut say = (0_u64..).inspect(|&n| {
            with_default(&dispatch, || tracing::info!(n, filler, "placed"));
            assert!(logs.flush(PATIENCE));
        });
        // What is deleted in between must not be named once more.
        let mut last = 0;
        for _ in 0..6 {
            last = say.by_ref().nth(99).expect("a number");
            let _tidied = eventually(dir.path(), |files| files.len() <= 3);
        }
        let files = files(dir.path());
        let mut kept: Vec<u64> = files.iter().flat_map(|file| numbers(&text(file))).collect();
        kept.sort_unstable();
        let first = *kept.first().expect("lines");
        assert!(kept.len() > 120, "{files:?}");
        assert_eq!(kept, (first..=last).collect::<Vec<_>>(), "{files:?}");
    }
}

#[test]
fn files_that_others_name_by_the_day_are_left_alone() {
    let dir = tempfile::tempdir().expect("directory");
    let strangers = ["orders-20261127.log", "orders-20261127_1.log", "orders-1.log.gz"];
    strangers.iter().for_each(|name| fs::write(dir.path().join(name), "").expect("written"));
    let file = FileConfig::new(dir.path().join("orders.log")).with_max_bytes(64 << 10);
    let (dispatch, logs) = logs(file.with_kept(0).with_gzip(false));
    let filler = "x".repeat(1000);
    with_default(&dispatch, || (0..200).for_each(|n: u64| tracing::info!(n, filler, "placed")));
    let _ = logs.shutdown(PATIENCE);
    let files = eventually(dir.path(), |files| files.len() <= strangers.len() + 1);
    assert!(strangers.iter().all(|name| files.contains(&dir.path().join(name))), "{files:?}");
}

#[test]
fn the_file_behind_a_link_is_rotated_and_the_link_stays() {
    let dir = tempfile::tempdir().expect("directory");
    let (real, link) = (dir.path().join("disk"), dir.path().join("orders.log"));
    fs::create_dir(&real).expect("directory");
    std::os::unix::fs::symlink("disk/all.log", &link).expect("link");
    let file = FileConfig::new(&link).with_max_bytes(64 << 10).with_gzip(false);
    let (dispatch, logs) = logs(file);
    let filler = "x".repeat(1000);
    with_default(&dispatch, || (0..200).for_each(|n: u64| tracing::info!(n, filler, "placed")));
    let _ = logs.shutdown(PATIENCE);
    assert!(fs::symlink_metadata(&link).expect("link").is_symlink());
    assert_eq!(files(dir.path()), [real.clone(), link]);
    let mut all: Vec<u64> = files(&real).iter().flat_map(|file| numbers(&text(file))).collect();
    all.sort_unstable();
    assert_eq!(all, (0..200).collect::<Vec<_>>());
    assert!(files(&real).len() > 3, "{:?}", files(&real));
}

#[test]
fn what_is_no_file_is_written_to_and_never_renamed() {
    let dir = tempfile::tempdir().expect("directory");
    let pipe = dir.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status().expect("mkfifo");
    assert!(made.success());
    let reader = thread::spawn({
        let pipe = pipe.clone();
        move || numbers(&text(&pipe))
    });
    // Opens once the reader is there.
    let read = File::options().write(true).open(&pipe).expect("a pipe");
    let (dispatch, logs) = logs(FileConfig::new(&pipe).with_max_bytes(64 << 10));
    drop(read);
    let filler = "x".repeat(1000);
    with_default(&dispatch, || (0..200).for_each(|n: u64| tracing::info!(n, filler, "placed")));
    let report = logs.shutdown(PATIENCE);
    drop((dispatch, logs));
    assert_eq!((report.delivered, report.total_dropped()), (200, 0));
    assert_eq!(files(dir.path()), [pipe]);
    assert_eq!(reader.join().expect("read"), (0..200).collect::<Vec<_>>());
}

#[cfg(target_os = "linux")]
#[test]
fn what_the_process_was_given_is_never_renamed_though_it_be_a_file() {
    use std::os::fd::AsRawFd as _;
    let dir = tempfile::tempdir().expect("directory");
    let (out, link) = (dir.path().join("out.log"), dir.path().join("stdout"));
    let given = File::options().create(true).append(true).open(&out).expect("file");
    let path = format!("/proc/self/fd/{}", given.as_raw_fd());
    std::os::unix::fs::symlink(path, &link).expect("link");
    let (dispatch, logs) = logs(FileConfig::new(&link).with_max_bytes(64 << 10));
    let filler = "x".repeat(1000);
    with_default(&dispatch, || (0..200).for_each(|n: u64| tracing::info!(n, filler, "placed")));
    let report = logs.shutdown(PATIENCE);
    assert_eq!((report.delivered, report.total_dropped()), (200, 0));
    assert_eq!(files(dir.path()), [out.clone(), link]);
    assert_eq!(numbers(&text(&out)), (0..200).collect::<Vec<_>>());
}

static NOW: AtomicU64 = AtomicU64::new(1_795_823_999); // 2026-11-27T23:59:59Z

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(NOW.load(Relaxed))
}

#[test]
fn a_new_day_begins_a_new_file() {
    let dir = tempfile::tempdir().expect("directory");
    let file = FileConfig::new(dir.path().join("orders")).with_gzip(false).with_clock(now);
    let (dispatch, logs) = logs(file.with_rotation(RotateEvery::Day));
    let say = |n: u64| {
        with_default(&dispatch, || tracing::info!(n, "placed"));
        assert!(logs.flush(PATIENCE));
    };
    say(1);
    NOW.fetch_add(1, Relaxed);
    say(2);
    say(3);
    let files = files(dir.path());
    let names: Vec<_> = files.iter().filter_map(|file| file.file_name()?.to_str()).collect();
    assert_eq!(names, ["orders", "orders-20261128T000000Z"]);
    assert_eq!([numbers(&text(&files[0])), numbers(&text(&files[1]))], [vec![2, 3], vec![1]]);
}

#[test]
fn a_file_that_was_taken_away_is_opened_anew() {
    let dir = tempfile::tempdir().expect("directory");
    let path = dir.path().join("orders.log");
    let (dispatch, logs) = logs(FileConfig::new(&path));
    let say = |n: u64| {
        with_default(&dispatch, || tracing::info!(n, "placed"));
        assert!(logs.flush(PATIENCE));
    };
    say(0);
    fs::rename(&path, dir.path().join("orders.log.1")).expect("renamed");
    // It is looked after once a second.
    let until = Instant::now() + PATIENCE;
    let mut n = 0;
    while !path.exists() {
        assert!(Instant::now() < until, "not opened anew");
        n += 1;
        say(n);
    }
    let (moved, new) = (numbers(&text(&dir.path().join("orders.log.1"))), numbers(&text(&path)));
    assert_eq!([moved, new].concat(), (0..=n).collect::<Vec<_>>());
}

#[test]
fn sighup_opens_the_file_anew_at_once() {
    let dir = tempfile::tempdir().expect("directory");
    let path = dir.path().join("orders.log");
    let (dispatch, logs) = logs(FileConfig::new(&path));
    let say = |n: u64| {
        with_default(&dispatch, || tracing::info!(n, "placed"));
        assert!(logs.flush(PATIENCE));
    };
    say(0);
    fs::rename(&path, dir.path().join("orders.log.1")).expect("renamed");
    signal_hook::low_level::raise(signal_hook::consts::SIGHUP).expect("raised");
    say(1);
    assert_eq!(numbers(&text(&path)), [1]);
}
