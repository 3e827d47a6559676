//! What can be tried again, and when: the part of retrying that knows the protocol.

use super::Tries;
use crate::guard::{CallKind, Gate, OnFailure, RequestKind, Ticket, failed};
use meshwise_core::{
    CallEnd,
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
    pub(crate) fn of(end: &CallEnd, repeatable: bool) -> Self {
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
        *self
    }
}

impl<Res, E> Copy for AnyRetries<Res, E> {}

impl<Res, E> fmt::Debug for AnyRetries<Res, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnyRetries").finish_non_exhaustive()
    }
}

impl<Req: Clone, Res, E> RequestKind<Req> for AnyRetries<Res, E> {
    type Request = Req;
    type Pending = (Self, Option<(Req, Tries)>);

    #[inline(always)]
    fn keep(&self, request: &Req, _: &Gate, tries: Option<Tries>) -> Self::Pending {
        (*self, tries.map(|tries| (request.clone(), tries)))
    }

    #[inline(always)]
    fn send(request: Req, _: &mut Self::Pending) -> Req {
        request
    }

    fn tries((_, kept): &mut Self::Pending) -> Option<&mut Tries> {
        kept.as_mut().map(|(_, tries)| tries)
    }

    fn again((_, kept): &mut Self::Pending, _: u32) -> Option<Req> {
        kept.as_ref().map(|(request, _)| request.clone())
    }

    fn repeatable(_: &Self::Pending) -> bool {
        true
    }

    fn may_overlap((_, kept): &Self::Pending) -> bool {
        kept.as_ref().is_some_and(|(_, tries)| tries.keep.is_some())
    }
}

impl<Req: Clone, Res, E> CallKind<Req, Res, E> for AnyRetries<Res, E> {
    type Response = Res;

    #[inline(always)]
    fn answered(
        (kind, _): &Self::Pending,
        result: &Result<Res, E>,
        ticket: &mut Ticket,
    ) -> RetryVerdict
    where
        E: 'static,
    {
        match result {
            Ok(_) => ticket.well(),
            Err(error) => {
                failed(error, ticket, OnFailure { repeatable: true, resent: false });
            }
        }
        match (kind.judge, result) {
            (Some(judge), result) => judge(result),
            (None, Ok(_)) => RetryVerdict::Well,
            (None, Err(_)) => RetryVerdict::Again(RetryWait::Backoff),
        }
    }

    #[inline]
    fn response(_: &Self::Pending, response: Res, _: &mut Option<Ticket>) -> Res {
        response
    }
}
