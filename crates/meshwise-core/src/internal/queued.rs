//! The calls that wait in a guard's queue, told to those who show what calls wait for.
//!
//! A guard stands around the layers that observe a call, and knows nothing of who shows it. So it says here
//! that a call waits, and the layer that serves calls says which of them the code belongs to that runs now.
//! Calls that need not wait never come here.

use crate::outcome::Side;
use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Instant,
};

/// How many calls are listed at the same time; of the rest nothing is said.
const MAX_LISTED: usize = 16_384;

static QUEUED: Mutex<Queued> = Mutex::new(Queued { next: 0, calls: BTreeMap::new() });
static SERVED: OnceLock<fn() -> Option<ServedCall>> = OnceLock::new();

struct Queued {
    next: u64,
    calls: BTreeMap<u64, QueuedCall>,
}

/// A call that waits.
#[derive(Clone, Debug)]
#[allow(clippy::exhaustive_structs, reason = "only this workspace makes one")]
pub struct QueuedCall {
    /// The peer that it goes to; this service, for a guard of its own.
    pub peer: Arc<str>,
    /// What it waits for: `bulkhead`, `rate`.
    pub guard: &'static str,
    /// Which side the guard is on.
    pub side: Side,
    /// Since when it waits.
    pub since: Instant,
    /// The served call that it belongs to.
    pub within: Option<ServedCall>,
}

/// Names a served call of some telemetry, in that telemetry's own numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_structs, reason = "only this workspace makes one")]
pub struct ServedCall {
    /// The telemetry that observes it.
    pub telemetry: usize,
    /// Which of its calls it is.
    pub call: u64,
}

/// Keeps a call in the list until it is dropped.
#[must_use]
pub struct InQueue(Option<u64>);

/// Lists a call that begins to wait, by the code of the call that it belongs to.
pub fn enter(peer: &Arc<str>, guard: &'static str, side: Side) -> InQueue {
    let within = SERVED.get().and_then(|find| find());
    let call = QueuedCall { peer: Arc::clone(peer), guard, side, since: Instant::now(), within };
    let mut queued = lock();
    if queued.calls.len() >= MAX_LISTED {
        return InQueue(None);
    }
    let number = queued.next;
    queued.next += 1;
    queued.calls.insert(number, call);
    InQueue(Some(number))
}

/// Lists the calls that wait, in the order in which they came.
#[must_use]
pub fn list() -> Vec<QueuedCall> {
    lock().calls.values().cloned().collect()
}

/// Says how to find the served call that the code belongs to that runs now. The first one counts: there is
/// one layer that serves calls.
pub fn found_by(find: fn() -> Option<ServedCall>) {
    let _known = SERVED.set(find);
}

impl Drop for InQueue {
    fn drop(&mut self) {
        if let Some(number) = self.0 {
            let _left = lock().calls.remove(&number);
        }
    }
}

impl fmt::Debug for InQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("InQueue").field(&self.0).finish()
    }
}

fn lock() -> MutexGuard<'static, Queued> {
    QUEUED.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_listed_while_it_waits() {
        let peer: Arc<str> = "queued-tests".into();
        let mine = || list().into_iter().filter(|call| call.peer == peer).collect::<Vec<_>>();
        let first = enter(&peer, "bulkhead", Side::Client);
        let second = enter(&peer, "rate", Side::Server);
        let guards: Vec<_> = mine().iter().map(|call| (call.guard, call.side)).collect();
        assert_eq!(guards, [("bulkhead", Side::Client), ("rate", Side::Server)]);
        drop(first);
        assert_eq!(mine().len(), 1);
        let many: Vec<_> = (0..MAX_LISTED).map(|_| enter(&peer, "rate", Side::Client)).collect();
        assert!(list().len() <= MAX_LISTED);
        drop((second, many));
        assert!(mine().is_empty());
    }
}
