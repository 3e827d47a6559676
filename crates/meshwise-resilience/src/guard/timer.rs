//! The timer of a call, which is made once the call makes its caller wait.

use meshwise_core::internal::{clock::instant, spares};
use std::{
    cell::RefCell,
    pin::{Pin, pin},
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    task::coop,
    time::{Instant, Sleep, sleep_until},
};

/// How many boxes a thread keeps.
const KEPT: usize = 64;
/// So late is no timer of a process that runs.
const LATE: Duration = Duration::from_millis(20);
/// Long enough to read what the system has for this process.
const GRACE: Duration = Duration::from_millis(50);

type Place = Pin<Box<Option<Sleep>>>;

thread_local! {
    static SPARE: RefCell<Vec<Place>> = const { RefCell::new(Vec::new()) };
}

/// A timer, or none.
///
/// It has 112 bytes, which each call would carry and few set. So it lies in a box, which the thread
/// keeps for its next one: setting it allocates nothing.
#[derive(Debug, Default)]
pub struct Timer(Option<Place>);

impl Timer {
    /// Waits until a moment (`u64::MAX`: for ever), or until the one that it was set to before.
    ///
    /// It does not take part in tokio's budget: an inner future that has used it up would otherwise keep
    /// the timer from ever being seen.
    pub(crate) fn poll(&mut self, until: u64, cx: &mut Context<'_>) -> Poll<()> {
        if self.0.is_none() {
            if until == u64::MAX {
                return Poll::Pending;
            }
            let mut place = spares::take(&SPARE).unwrap_or_else(|| Box::pin(None));
            place.set(Some(sleep_until(instant(until).into())));
            self.0 = Some(place);
        }
        match self.sleep() {
            Some(sleep) => pin!(coop::unconstrained(sleep)).poll(cx),
            None => Poll::Pending,
        }
    }

    /// Waits as [`poll`](Self::poll) does for the end of what another may take. A timer that fires late tells
    /// that this process stood still: there is a moment more then, once, as what the other has sent meanwhile
    /// has not been read yet.
    pub(crate) fn poll_limit(&mut self, until: u64, cx: &mut Context<'_>) -> Poll<()> {
        ready!(self.poll(until, cx));
        let Some(sleep) = self.sleep() else { return Poll::Ready(()) };
        let (set, now) = (sleep.deadline(), Instant::now());
        if now.saturating_duration_since(set) < LATE || set > instant(until).into() {
            return Poll::Ready(());
        }
        sleep.reset(now + GRACE);
        self.poll(until, cx)
    }

    fn sleep(&mut self) -> Option<Pin<&mut Sleep>> {
        self.0.as_mut().and_then(|place| place.as_mut().as_pin_mut())
    }

    /// Stops it.
    #[inline]
    pub(crate) fn clear(&mut self) {
        if let Some(place) = self.0.take() {
            keep(place);
        }
    }
}

#[inline(never)]
fn keep(mut place: Place) {
    place.set(None);
    spares::keep(&SPARE, KEPT, place);
}

impl Drop for Timer {
    #[inline]
    fn drop(&mut self) {
        self.clear();
    }
}
