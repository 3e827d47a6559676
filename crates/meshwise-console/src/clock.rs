//! The console's clock: the machine's, or that of a session which is replayed.
//!
//! A replayed session is seen as it was when it ended, for as long as nothing else comes: rates, the map
//! and what was wrong are all of the last minutes, and would be gone by the time they are read.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

/// Tells the time in milliseconds of Unix time.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    /// Where it stands; 0 while it goes with the machine's.
    stands_at: AtomicU64,
    replaying: AtomicBool,
}

impl Clock {
    /// Starts with a session to be replayed, or with the machine's time.
    pub(crate) fn new(replaying: bool) -> Self {
        Self { stands_at: AtomicU64::new(0), replaying: AtomicBool::new(replaying) }
    }

    pub(crate) fn now(&self) -> u64 {
        self.stands_at().unwrap_or_else(machine)
    }

    /// Returns where it stands; none while it goes.
    pub(crate) fn stands_at(&self) -> Option<u64> {
        Some(self.stands_at.load(Ordering::Relaxed)).filter(|at| *at > 0)
    }

    /// Goes on to when a line of the session was heard; never back, and never past the machine's time.
    pub(crate) fn replay(&self, heard: u64) -> u64 {
        // The machine's may have been set back since.
        let at = heard.min(machine()).max(self.stands_at().unwrap_or(1));
        self.stands_at.store(at, Ordering::Relaxed);
        at
    }

    /// Ends the session; the clock stands at its end until something comes.
    pub(crate) fn end_replay(&self) {
        self.replaying.store(false, Ordering::Relaxed);
    }

    /// Tells whether no session is being read.
    pub(crate) fn has_replayed(&self) -> bool {
        !self.replaying.load(Ordering::Relaxed)
    }

    /// Goes with the machine's time again, once the session is read: something came.
    pub(crate) fn go(&self) {
        if self.has_replayed() {
            self.stands_at.store(0, Ordering::Relaxed);
        }
    }
}

/// Returns the machine's time in milliseconds of Unix time.
pub(crate) fn machine() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_s_clock_only_goes_on_and_stands_at_its_end_until_something_comes() {
        let clock = Clock::new(true);
        assert_eq!((clock.replay(5_000), clock.replay(4_000), clock.now()), (5_000, 5_000, 5_000));
        clock.go();
        assert_eq!(clock.now(), 5_000, "what comes meanwhile waits");
        clock.end_replay();
        assert_eq!(clock.now(), 5_000);
        clock.go();
        assert!(clock.now() > 1_000_000 && clock.stands_at().is_none());
        let clock = Clock::new(true);
        assert!(clock.replay(u64::MAX) <= machine());
        // The machine's clock was set back.
        let ahead = machine() + 1_000_000;
        clock.stands_at.store(ahead, Ordering::Relaxed);
        assert_eq!((clock.replay(5_000), clock.replay(u64::MAX)), (ahead, ahead));
        assert_eq!(Clock::new(true).replay(0), 1);
    }
}
