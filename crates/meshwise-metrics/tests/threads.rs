//! Which threads there are. Alone in its file: other tests would start some, too.

#![cfg(target_os = "linux")]

mod support;

use std::{
    fs, thread,
    time::{Duration, Instant},
};
use support::config;

fn upkeep_threads() -> usize {
    let tasks = fs::read_dir("/proc/self/task").expect("tasks").flatten();
    let names = tasks.filter_map(|task| fs::read_to_string(task.path().join("comm")).ok());
    names.filter(|name| name.trim() == "meshwise-upkeep").count()
}

/// Waits until there are so many: a thread gives itself its name a moment after it is started, and
/// is still seen a moment after it has said that it ends.
#[track_caller]
fn wait_for(count: usize) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while upkeep_threads() != count {
        assert!(Instant::now() < deadline, "there are {}, not {count}", upkeep_threads());
        thread::yield_now();
    }
}

#[test]
fn a_thread_is_there_only_while_it_is_needed() {
    let plain = config().build().expect("metrics");
    assert_eq!(upkeep_threads(), 0);
    drop(plain);

    let idle = || config().with_idle_timeout(Some(Duration::from_secs(60)));
    let metrics = idle().build().expect("metrics");
    wait_for(1);
    let again = metrics.clone();
    drop(metrics);
    assert_eq!(upkeep_threads(), 1);
    // A recorder that is installed for good is looked after for good.
    let recorder = again.recorder();
    drop(again);
    assert_eq!(upkeep_threads(), 1);
    drop(recorder);
    wait_for(0);

    let metrics = idle().build().expect("metrics");
    wait_for(1);
    metrics.shutdown();
    wait_for(0);

    #[cfg(feature = "exporter-prometheus")]
    {
        let metrics = config().with_exporter_prometheus().build().expect("metrics");
        wait_for(1);
        drop(metrics);
        wait_for(0);
    }
}
