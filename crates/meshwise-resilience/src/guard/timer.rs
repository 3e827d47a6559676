//! The timer of a call, which is made once the call makes its caller wait.

use meshwise_core::internal::{clock::instant, spares};
use std::{
    cell::RefCell,
    pin::{Pin, pin},
    task::{Context, Poll},
};
use tokio::{
    task::coop,
    time::{Sleep, sleep_until},
};

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
        match self.0.as_mut().and_then(|place| place.as_mut().as_pin_mut()) {
            Some(sleep) => pin!(coop::unconstrained(sleep)).poll(cx),
            None => Poll::Pending,
        }
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
    spares::keep(&SPARE, place);
}

impl Drop for Timer {
    #[inline]
    fn drop(&mut self) {
        self.clear();
    }
}
