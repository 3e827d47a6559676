//! What can be tried again, and when: the part of retrying that knows the protocol.

use crate::timeout::Told;
use meshwise_core::{
    CallEnd, Limits,
    outcome::{Health, RetryAfter, Retryable},
};
use std::{fmt, time::Duration};

/// Says how an attempt went, and whether another makes sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RetryVerdict {
    /// It went well (or failed by its caller's own fault): the budget grows.
    Well,
    /// It failed, and another try would not help or must not be made.
    Final,
    /// It failed in a way that another try may mend.
    Again(RetryWait),
    /// The peer never saw it: it may be sent again whatever it is, with attempts of its own for up
    /// to 1 s.
    Unsent,
    /// As [`RetryVerdict::Again`], but doing it twice could do harm.
    Unsafe,
    /// As [`RetryVerdict::Again`], but the peer asks not to be called again.
    Stop,
}

/// Says how long to wait before the next try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RetryWait {
    /// As long as the layer's [`Backoff`](super::Backoff) says.
    Backoff,
    /// As long as the peer asked for, and as the backoff says on top: all who were sent away
    /// together must not come back together.
    AtLeast(Duration),
    /// Exactly as long as the peer asked for.
    Exactly(Duration),
}

impl RetryVerdict {
    /// Decides by how an attempt ended, for a request that may be repeated or not.
    pub(super) fn of(end: &CallEnd, repeatable: bool) -> Self {
        match (end.retryable, end.retry_after) {
            (Retryable::Never, Some(RetryAfter::Stop)) if end.health() != Health::Well => {
                Self::Stop
            }
            (Retryable::Never, _) => match end.health() {
                Health::Well => Self::Well,
                _ => Self::Final,
            },
            (Retryable::Always, _) => Self::Unsent,
            (Retryable::IfRepeatable, Some(RetryAfter::Stop)) => Self::Stop,
            (Retryable::IfRepeatable, _) if !repeatable => Self::Unsafe,
            (Retryable::IfRepeatable, Some(RetryAfter::AtLeast(wait))) => {
                Self::Again(RetryWait::AtLeast(wait))
            }
            (Retryable::IfRepeatable, Some(RetryAfter::Exactly(wait))) => {
                Self::Again(RetryWait::Exactly(wait))
            }
            (Retryable::IfRepeatable, None) => Self::Again(RetryWait::Backoff),
        }
    }
}

/// Knows how requests of a kind are kept and sent again.
///
/// [`HttpRetries`](super::HttpRetries) knows HTTP and gRPC; [`AnyRetries`] serves any other service.
pub trait RetryKind<Req> {
    /// The request as the inner service takes it.
    type Request;
    /// What is kept of a request while an attempt is under way.
    type Kept;

    /// Turns a request that will not be tried again into one that can be sent.
    fn once(&self, request: Req) -> Self::Request;

    /// Keeps a request, of whose body at most `limit` bytes.
    fn keep(&self, request: Req, limit: usize) -> (Self::Request, Self::Kept);

    /// Makes the request for another attempt, of number `attempt` (1 is the first retry); it is
    /// not kept any longer if it is the `last`. `None` if the body is gone.
    fn again(&self, kept: &mut Self::Kept, attempt: u32, last: bool) -> Option<Self::Request>;

    /// Tells whether another attempt may be made while the first is under way.
    fn may_overlap(&self, _kept: &Self::Kept) -> bool {
        false
    }

    /// Returns how many times the request was tried before it came here.
    fn tried(&self, _request: &Req) -> u32 {
        0
    }

    /// Returns the deadlines that the request carries.
    #[doc(hidden)]
    fn told(&self, _request: &Req) -> Told {
        Told::default()
    }

    /// Returns the request's method and path.
    #[doc(hidden)]
    fn route<'a>(&self, _request: &'a Req) -> (&'a str, &'a str) {
        ("", "")
    }
}

/// Knows which answers call for another try. `Kept` is what a [`RetryKind`] keeps of the request.
pub trait RetryJudge<Kept, Res, E> {
    /// Judges an attempt; nothing is kept where there will be no other.
    fn judge(
        &self,
        kept: Option<&Kept>,
        result: &Result<Res, E>,
        limits: Option<&Limits>,
    ) -> RetryVerdict;
}

/// Tries requests of any kind again, as a function says; they must be [`Clone`].
pub struct AnyRetries<Res, E> {
    /// Without a function of one's own a success costs no call.
    judge: Option<Judge<Res, E>>,
}

type Judge<Res, E> = fn(&Result<Res, E>) -> RetryVerdict;

impl<Res, E> AnyRetries<Res, E> {
    /// Judges attempts with a function. All requests must be safe to repeat, or the function must
    /// know which errors mean that nothing was done.
    #[must_use]
    pub fn new(judge: fn(&Result<Res, E>) -> RetryVerdict) -> Self {
        Self { judge: Some(judge) }
    }

    #[inline]
    fn verdict(&self, result: &Result<Res, E>) -> RetryVerdict {
        match (self.judge, result) {
            (Some(judge), result) => judge(result),
            (None, Ok(_)) => RetryVerdict::Well,
            (None, Err(_)) => RetryVerdict::Again(RetryWait::Backoff),
        }
    }
}

impl<Res, E> Default for AnyRetries<Res, E> {
    /// Tries again after each error.
    fn default() -> Self {
        Self { judge: None }
    }
}

// Not derived: what it judges need not be `Clone`.
impl<Res, E> Clone for AnyRetries<Res, E> {
    fn clone(&self) -> Self {
        Self { judge: self.judge }
    }
}

impl<Res, E> fmt::Debug for AnyRetries<Res, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnyRetries").finish_non_exhaustive()
    }
}

impl<Req: Clone, Res, E> RetryKind<Req> for AnyRetries<Res, E> {
    type Request = Req;
    type Kept = Option<Req>;

    fn once(&self, request: Req) -> Req {
        request
    }

    fn keep(&self, request: Req, _limit: usize) -> (Req, Option<Req>) {
        let kept = Some(request.clone());
        (request, kept)
    }

    fn again(&self, kept: &mut Option<Req>, _attempt: u32, last: bool) -> Option<Req> {
        if last { kept.take() } else { kept.clone() }
    }

    fn may_overlap(&self, _kept: &Option<Req>) -> bool {
        true
    }
}

impl<Kept, Res, E> RetryJudge<Kept, Res, E> for AnyRetries<Res, E> {
    #[inline]
    fn judge(
        &self,
        _kept: Option<&Kept>,
        result: &Result<Res, E>,
        _limits: Option<&Limits>,
    ) -> RetryVerdict {
        self.verdict(result)
    }
}
