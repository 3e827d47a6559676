//! The last lines of a process that ends without `shutdown`.
//!
//! Lines are written by a thread, and a process that exits does not wait for its threads. `ERROR`
//! lines are waited for when they are logged; for the others, a destructor of the thread that set up
//! the log, `main`'s as a rule, waits. The C library runs it when that thread ends, and when it
//! returns from `main` or calls `exit` (glibc; others run it when a thread ends only).

use crate::writer::Writer;
use std::{
    sync::{Arc, Mutex, PoisonError, Weak},
    time::{Duration, Instant},
};

/// How long the end of a process is held up, at most.
const PATIENCE: Duration = Duration::from_secs(1);

/// All writers that may have lines.
static WRITERS: Mutex<Vec<Weak<Writer>>> = Mutex::new(Vec::new());

thread_local! {
    static AT_END: AtEnd = const { AtEnd };
}

struct AtEnd;

impl Drop for AtEnd {
    fn drop(&mut self) {
        let writers = WRITERS.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let deadline = Instant::now() + PATIENCE;
        for writer in writers.iter().filter_map(Weak::upgrade) {
            writer.wait_within(deadline.saturating_duration_since(Instant::now()));
        }
    }
}

/// Sees to it that this thread's end waits for the writer's lines.
pub(crate) fn watch(writer: &Arc<Writer>) {
    let mut writers = WRITERS.lock().unwrap_or_else(PoisonError::into_inner);
    writers.retain(|writer| writer.strong_count() > 0);
    writers.push(Arc::downgrade(writer));
    drop(writers);
    // The first look makes it, and so its destructor known. A thread that is at its end needs none.
    let _ = AT_END.try_with(|_| ());
}
