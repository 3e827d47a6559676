use super::*;
use std::{
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
        mpsc,
    },
    thread,
    time::Instant,
};
use tokio::sync::{Notify, Semaphore};

const SOON: Duration = Duration::from_millis(20);
const LONG: Duration = Duration::from_secs(20);

/// Counts how many threads of checks there are.
#[cfg(target_os = "linux")]
fn threads() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let names =
        tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|name| name.trim() == "meshwise-health").count()
}

#[tokio::test]
async fn a_check_that_hangs_or_panics_has_failed() {
    let health = Health::new();
    health.add_check("fine", || async { Ok(()) });
    health.add_check_within(SOON, "hangs", std::future::pending);
    health.add_check("panics", || async { panic!("on purpose") });
    health.add_check("panics at once", || -> std::future::Ready<_> { panic!("on purpose") });
    let report = health.check().await;
    assert_eq!(
        report.to_string(),
        "not ready: hangs: no answer within 20 ms; panics: the check panicked; \
         panics at once: the check panicked"
    );
    assert!(report.checks[1].elapsed >= SOON);
}

#[tokio::test]
async fn draining_is_not_ready_and_a_name_is_checked_once() {
    let health = Health::new();
    health.add_check("db", || async { Err("down".to_owned()) });
    health.add_check("db", || async { Ok(()) });
    assert!(health.check().await.is_ready());
    let drained = health.drained();
    health.drain();
    drained.await;
    health.drained().await;
    assert_eq!(health.check().await.to_string(), "not ready: shutting down");
}

/// On one thread that has nothing else to do, a check that blocks would hold up its own timer.
#[tokio::test]
async fn a_check_that_blocks_its_thread_has_failed_in_time_and_is_not_started_again() {
    let health = Health::new();
    let (release, hang) = mpsc::channel::<()>();
    let hang = Mutex::new(hang);
    let runs = Arc::new(AtomicUsize::new(0));
    health.add_check_within(SOON, "blocks", {
        let runs = Arc::clone(&runs);
        move || {
            runs.fetch_add(1, SeqCst);
            let _ = hang.lock().unwrap().recv_timeout(LONG);
            async { Ok(()) }
        }
    });
    let asked = Instant::now();
    assert_eq!(health.check().await.to_string(), "not ready: blocks: no answer within 20 ms");
    for _ in 0..100 {
        assert_eq!(
            health.check().await.to_string(),
            "not ready: blocks: no answer within 20 ms, and it still blocks its thread"
        );
    }
    assert!(asked.elapsed() < LONG / 4, "{:?}", asked.elapsed());
    assert_eq!(runs.load(SeqCst), 1);
    // Once it returns, it is asked again.
    release.send(()).unwrap();
    drop(release);
    while !health.check().await.is_ready() {
        assert!(asked.elapsed() < LONG);
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn what_came_too_late_is_no_answer() {
    let health = Health::new();
    health.add_check_within(SOON, "late", || async {
        let begun = Instant::now();
        while begun.elapsed() < SOON {
            thread::yield_now();
        }
        Ok(())
    });
    let report = health.check().await;
    assert_eq!(report.to_string(), "not ready: late: no answer within 20 ms");
}

#[tokio::test]
async fn probes_at_the_same_time_share_one_run() {
    let health = Health::new();
    let (runs, go) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
    health.add_check_within(LONG, "db", {
        let (runs, go) = (Arc::clone(&runs), Arc::clone(&go));
        move || {
            runs.fetch_add(1, SeqCst);
            let go = Arc::clone(&go);
            async move {
                go.acquire().await.unwrap().forget();
                Ok(())
            }
        }
    });
    let begun = Arc::new(AtomicUsize::new(0));
    let probe = || {
        let (health, begun) = (health.clone(), Arc::clone(&begun));
        tokio::spawn(async move {
            begun.fetch_add(1, SeqCst);
            health.check().await.is_ready()
        })
    };
    let all_have_begun = async |count| {
        while begun.load(SeqCst) < count {
            tokio::task::yield_now().await;
        }
    };
    let probes: Vec<_> = (0..200).map(|_| probe()).collect();
    all_have_begun(200).await;
    // A check that is added meanwhile is asked by the next probe, which joins the other's run.
    health.add_check("new", || async { Err("down".to_owned()) });
    let after = probe();
    all_have_begun(201).await;
    go.add_permits(1);
    for probe in probes {
        assert!(probe.await.unwrap());
    }
    assert!(!after.await.unwrap());
    assert_eq!(runs.load(SeqCst), 1);
    go.add_permits(1);
    health.add_check("new", || async { Ok(()) });
    assert!(health.check().await.is_ready());
    assert_eq!(runs.load(SeqCst), 2, "an answer is not kept");
    // Unless one asks for that.
    assert!(health.check_within_age(LONG).await.is_ready());
    assert_eq!(runs.load(SeqCst), 2);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn probes_that_give_up_leave_nothing_behind() {
    let health = Health::new();
    let dropped = Arc::new(Notify::new());
    struct Tell(Arc<Notify>);
    impl Drop for Tell {
        fn drop(&mut self) {
            self.0.notify_one();
        }
    }
    health.add_check_within(SOON, "hangs", {
        let dropped = Arc::clone(&dropped);
        move || {
            let tell = Tell(Arc::clone(&dropped));
            async move {
                let _tell = tell;
                std::future::pending().await
            }
        }
    });
    let before = threads();
    for _ in 0..100 {
        let probe = health.check();
        futures_now_or_never(probe);
    }
    assert!(threads() <= before + 2 + 16, "other tests have theirs");
    // The future is dropped when its time is over, though no probe waits.
    tokio::time::timeout(LONG, dropped.notified()).await.unwrap();
}

/// Polls a future once, and drops it.
fn futures_now_or_never<T>(future: impl Future<Output = T>) {
    let mut future = std::pin::pin!(future);
    let _ = future.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop()));
}

/// Checks may use tokio's timers and tasks, and a probe needs no runtime.
#[test]
fn checks_run_inside_and_outside_of_a_runtime() {
    let health = Health::new();
    health.add_check("sleeps", || async {
        // Real time: a check on a thread of its own uses the runtime's timer.
        tokio::time::sleep(Duration::from_millis(1)).await;
        tokio::spawn(async { Ok(()) }).await.unwrap()
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    assert!(runtime.block_on(health.check()).is_ready());
    drop(runtime);
    health.add_check("sleeps", || async { Ok(()) });
    let mut check = std::pin::pin!(health.check());
    let begun = Instant::now();
    let report = loop {
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        if let std::task::Poll::Ready(report) = check.as_mut().poll(&mut cx) {
            break report;
        }
        assert!(begun.elapsed() < LONG);
        thread::yield_now();
    };
    assert!(report.is_ready());
}

/// Dropping a runtime waits for its own threads, but not for a check that blocks for ever.
#[test]
fn a_check_that_never_returns_does_not_hold_up_the_program_s_end() {
    let (ended, has_ended) = mpsc::channel();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let health = Health::new();
        health.add_check_within(SOON, "blocks", || async {
            thread::park_timeout(LONG * 10);
            thread::park_timeout(LONG * 10);
            Ok(())
        });
        let ready = runtime.unwrap().block_on(health.check()).is_ready();
        ended.send(ready).unwrap();
    });
    assert!(!has_ended.recv_timeout(LONG).unwrap());
}
