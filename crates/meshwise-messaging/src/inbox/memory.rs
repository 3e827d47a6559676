//! An inbox in memory, for tests and for effects that die with the process.

use super::begun::Begun;
use parking_lot::Mutex;
use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

/// Remembers in memory which messages were handled: the last so many.
///
/// A process that ends forgets, so this is **no** exactly-once: it keeps a message from taking effect
/// twice within one process, no more.
///
/// ```
/// use meshwise_messaging::{Begun, MemoryInbox};
/// let inbox = MemoryInbox::new(1000);
/// let Begun::New(guard) = inbox.begin("order-7") else { panic!("it is new") };
/// assert!(matches!(inbox.begin("order-7"), Begun::InFlight));
/// guard.done();
/// assert!(matches!(inbox.begin("order-7"), Begun::Done));
/// ```
#[derive(Clone, Debug)]
pub struct MemoryInbox(Arc<MemoryKeys>);

#[derive(Debug)]
struct MemoryKeys {
    limit: usize,
    keys: Mutex<Keys>,
}

#[derive(Debug, Default)]
struct Keys {
    states: HashMap<Arc<str>, State>,
    /// Those that are done, the oldest first.
    done: VecDeque<Arc<str>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    InFlight,
    Done,
}

impl MemoryInbox {
    /// Remembers the last `limit` messages that were handled (at least one), beside those in hand.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self(Arc::new(MemoryKeys { limit: limit.max(1), keys: Mutex::default() }))
    }

    /// Begins to handle the message of this key.
    pub fn begin(&self, key: &str) -> Begun<MemoryGuard> {
        let mut keys = self.0.keys.lock();
        match keys.states.get(key) {
            Some(State::Done) => Begun::Done,
            Some(State::InFlight) => Begun::InFlight,
            None => {
                let key: Arc<str> = key.into();
                keys.states.insert(Arc::clone(&key), State::InFlight);
                Begun::New(MemoryGuard { inbox: self.clone(), key: Some(key) })
            }
        }
    }
}

/// Holds a message in hand. Dropping it lets the message be handled again.
#[derive(Debug)]
#[must_use = "dropping it lets the message be handled again"]
pub struct MemoryGuard {
    inbox: MemoryInbox,
    key: Option<Arc<str>>,
}

impl MemoryGuard {
    /// The message was handled.
    pub fn done(mut self) {
        let Some(key) = self.key.take() else { return };
        let shared = &*self.inbox.0;
        let mut keys = shared.keys.lock();
        keys.states.insert(Arc::clone(&key), State::Done);
        keys.done.push_back(key);
        while keys.done.len() > shared.limit {
            let oldest = keys.done.pop_front();
            oldest.map(|oldest| keys.states.remove(&oldest));
        }
    }
}

impl Drop for MemoryGuard {
    fn drop(&mut self) {
        if let Some(key) = self.key.take() {
            self.inbox.0.keys.lock().states.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_that_was_given_up_is_new_again() {
        let inbox = MemoryInbox::new(2);
        drop(inbox.begin("a"));
        assert!(inbox.begin("a").into_new().is_some());
    }

    #[test]
    fn the_oldest_is_forgotten_and_nothing_grows() {
        let inbox = MemoryInbox::new(2);
        for i in 0..100 {
            inbox.begin(&i.to_string()).into_new().unwrap().done();
        }
        assert!(matches!(inbox.begin("99"), Begun::Done));
        assert!(matches!(inbox.begin("97"), Begun::New(_)));
        let keys = inbox.0.keys.lock();
        assert_eq!((keys.states.len(), keys.done.len()), (2, 2));
    }

    #[test]
    fn one_of_many_threads_gets_it() {
        let inbox = MemoryInbox::new(10);
        let threads = (0..8).map(|_| {
            let inbox = inbox.clone();
            std::thread::spawn(move || inbox.begin("a").into_new().map(MemoryGuard::done).is_some())
        });
        let threads: Vec<_> = threads.collect();
        let won = threads.into_iter().filter_map(|thread| thread.join().ok()).filter(|won| *won);
        assert_eq!(won.count(), 1);
    }
}
