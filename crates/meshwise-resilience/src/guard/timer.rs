//! The timer that ends a call at its limit, or none.

use meshwise_core::internal::clock::instant;
use pin_project_lite::pin_project;
use std::{
    pin::{Pin, pin},
    task::{Context, Poll},
};
use tokio::{
    task::coop,
    time::{Sleep, sleep_until},
};

/// Polls a timer, setting it first if need be.
///
/// It does not take part in tokio's budget: an inner future that has used it up would otherwise keep
/// the timer from ever being seen.
pub(crate) fn poll_sleep(
    mut sleep: Pin<&mut Option<Sleep>>,
    until: u64,
    cx: &mut Context<'_>,
) -> Poll<()> {
    if sleep.is_none() {
        if until == u64::MAX {
            return Poll::Pending;
        }
        sleep.set(Some(sleep_until(instant(until).into())));
    }
    match sleep.as_pin_mut() {
        Some(sleep) => pin!(coop::unconstrained(sleep)).poll(cx),
        None => Poll::Pending,
    }
}

/// Says whether a call may be ended by a timer, which takes room in its future.
pub trait Timer: Default {
    #[doc(hidden)]
    fn poll(self: Pin<&mut Self>, until: u64, cx: &mut Context<'_>) -> Poll<()>;

    /// Forgets what it was set to.
    #[doc(hidden)]
    fn reset(self: Pin<&mut Self>);
}

/// No timer ends a call: its guards set no limits.
#[derive(Clone, Copy, Debug, Default)]
#[allow(clippy::exhaustive_structs, reason = "it has nothing in it")]
pub struct Untimed;

impl Timer for Untimed {
    #[inline]
    fn poll(self: Pin<&mut Self>, _until: u64, _cx: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }

    #[inline]
    fn reset(self: Pin<&mut Self>) {}
}

pin_project! {
    /// Ends a call at its limit.
    #[derive(Debug, Default)]
    pub struct Timed {
        #[pin]
        sleep: Option<Sleep>,
    }
}

impl Timer for Timed {
    fn poll(self: Pin<&mut Self>, until: u64, cx: &mut Context<'_>) -> Poll<()> {
        poll_sleep(self.project().sleep, until, cx)
    }

    fn reset(self: Pin<&mut Self>) {
        self.project().sleep.set(None);
    }
}
