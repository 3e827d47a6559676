//! One check and its run: at most one at a time, shared by all probes, bounded whatever it does.
//!
//! A future that blocks cannot be timed by the runtime that polls it: on a worker it may hold up the
//! very timer. So a check is polled on a thread of its own, and a second one, which only waits for
//! the first, tells the probes when the time is over. Both end then, unless the check still blocks;
//! it is not started again before it returns. They are no threads of tokio's: a runtime that is
//! dropped waits for its own threads, and a check that blocks would hold up the program's end.

use std::{
    fmt, io,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::SeqCst},
        mpsc::{self, RecvTimeoutError},
    },
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::{Duration, Instant},
};
use tokio::{runtime::Handle, sync::watch};
use tracing::{Dispatch, dispatcher, subscriber::NoSubscriber};

/// The longest limit.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// How much later than the limit a check that does not block may say that it is over.
const GRACE: Duration = Duration::from_millis(50);
const THREAD: &str = "meshwise-health";

pub(super) type CheckFuture = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;
pub(super) type Told = watch::Receiver<Option<Done>>;

pub(super) struct Check {
    name: Arc<str>,
    timeout: Duration,
    run: Box<dyn Fn() -> CheckFuture + Send + Sync>,
    last: Mutex<Option<Run>>,
    /// Whether it is still polled, in time or not.
    busy: AtomicBool,
}

/// The last run of a check, which may be over.
struct Run {
    started: Instant,
    told: Told,
}

/// How a run ended.
#[derive(Clone, Debug)]
pub(super) struct Done {
    pub(super) error: Option<String>,
    pub(super) elapsed: Duration,
    at: Instant,
}

impl Done {
    fn new(error: Option<String>, started: Instant) -> Self {
        let at = Instant::now();
        Self { error, elapsed: at.saturating_duration_since(started), at }
    }

    pub(super) fn panicked() -> Self {
        Self::new(Some("the check panicked".to_owned()), Instant::now())
    }
}

impl Check {
    pub(super) fn new(
        name: Arc<str>,
        timeout: Duration,
        run: impl Fn() -> CheckFuture + Send + Sync + 'static,
    ) -> Self {
        Self {
            name,
            timeout: timeout.min(DAY),
            run: Box::new(run),
            last: Mutex::new(None),
            busy: AtomicBool::new(false),
        }
    }

    pub(super) fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Begins a run, unless there is one that runs or one that ended no longer than `age` ago.
    pub(super) fn join(self: &Arc<Self>, age: Duration) -> Told {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(run) = &*last {
            let (over, fresh) = match &*run.told.borrow() {
                Some(done) => (true, done.at.elapsed() < age),
                None => (run.told.has_changed().is_err(), true),
            };
            if !over || fresh {
                return run.told.clone();
            }
            if self.busy.load(SeqCst) {
                let error = format!("{}, and it still blocks its thread", self.too_late());
                return watch::channel(Some(Done::new(Some(error), run.started))).1;
            }
        }
        let (tell, told) = watch::channel(None);
        let run = Run { started: Instant::now(), told: told.clone() };
        let started = run.started;
        *last = Some(run);
        let check = Arc::clone(self);
        let place = CheckPlace::here();
        let tell = Arc::new(tell);
        let watched = spawn({
            let tell = Arc::clone(&tell);
            move || {
                tell.send_replace(Some(check.watch(started, place)));
            }
        });
        if let Err(error) = watched {
            tell.send_replace(Some(Done::new(Some(no_thread(&error)), started)));
        }
        told
    }

    /// Has the check run on another thread, and waits for it as long as it may take.
    fn watch(self: &Arc<Self>, started: Instant, place: CheckPlace) -> Done {
        let (end, ended) = mpsc::sync_channel(1);
        let check = Arc::clone(self);
        self.busy.store(true, SeqCst);
        let begun = spawn(move || {
            // Released before the end is told, so that the next probe can begin a new run.
            let busy = Busy(&check);
            let done = place.enter(|| check.poll(started));
            drop(busy);
            // The watching thread may have given up.
            let _ = end.send(done);
        });
        if let Err(error) = begun {
            self.busy.store(false, SeqCst);
            return Done::new(Some(no_thread(&error)), started);
        }
        let left = (self.timeout + GRACE).saturating_sub(started.elapsed());
        match ended.recv_timeout(left) {
            Ok(done) => done,
            Err(RecvTimeoutError::Timeout) => Done::new(Some(self.too_late()), started),
            Err(RecvTimeoutError::Disconnected) => Done::new(Done::panicked().error, started),
        }
    }

    /// Polls the check on this thread until it ends or its time is over.
    fn poll(&self, started: Instant) -> Done {
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let mut cx = Context::from_waker(&waker);
        let mut future = (self.run)();
        loop {
            let polled = future.as_mut().poll(&mut cx);
            let left = self.timeout.checked_sub(started.elapsed()).filter(|left| !left.is_zero());
            match (polled, left) {
                (Poll::Ready(Err(error)), _) => return Done::new(Some(error), started),
                (Poll::Ready(Ok(())), Some(_)) => return Done::new(None, started),
                (_, None) => return Done::new(Some(self.too_late()), started),
                (Poll::Pending, Some(left)) => thread::park_timeout(left),
            }
        }
    }

    fn too_late(&self) -> String {
        format!("no answer within {} ms", self.timeout.as_millis())
    }
}

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Check").field(&self.name).finish()
    }
}

/// Says that a check is polled, until it is dropped.
struct Busy<'a>(&'a Check);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.busy.store(false, SeqCst);
    }
}

/// What a check may expect of the thread it runs on: what the one has that asks for it.
struct CheckPlace {
    runtime: Option<Handle>,
    dispatch: Option<Dispatch>,
}

impl CheckPlace {
    fn here() -> Self {
        let some = |dispatch: &Dispatch| (!dispatch.is::<NoSubscriber>()).then(|| dispatch.clone());
        Self { runtime: Handle::try_current().ok(), dispatch: dispatcher::get_default(some) }
    }

    fn enter<T>(self, work: impl FnOnce() -> T) -> T {
        let _runtime = self.runtime.as_ref().map(Handle::enter);
        match &self.dispatch {
            Some(dispatch) => dispatcher::with_default(dispatch, work),
            None => work(),
        }
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn spawn(work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    thread::Builder::new().name(THREAD.to_owned()).spawn(work).map(drop)
}

fn no_thread(error: &io::Error) -> String {
    format!("no thread to run it on: {error}")
}
