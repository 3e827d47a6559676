//! What can be tried again, and when: the part of retrying that knows the protocol.

use super::Tries;
use crate::guard::{CallKind, Gate, RequestKind, Ticket, failed};
use meshwise_core::{
    CallEnd,
    outcome::{Health, RetryAfter, Retryable},
};

/// Says how an attempt went, and whether another makes sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RetryVerdict {
    /// It went well (or failed by its caller's own fault): the budget grows.
    Well,
    /// It failed, and another try would not help or must not be made.
    Final,
    /// It failed in a way that another try may mend, after the wait that the peer asked for.
    Again(Option<RetryAfter>),
    /// The peer never saw it: it may be sent again whatever it is, with attempts of its own for up
    /// to 1 s.
    Unsent,
    /// As [`RetryVerdict::Again`], but doing it twice could do harm.
    Unsafe,
    /// As [`RetryVerdict::Again`], but the peer asks not to be called again.
    Stop,
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
            (Retryable::IfRepeatable, wait) => Self::Again(wait),
        }
    }
}

/// Tries requests of any kind again after each error, unless a guard refused; they must be [`Clone`],
/// and safe to repeat.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct AnyRetries {}

impl AnyRetries {
    /// Creates it.
    #[must_use]
    pub const fn new() -> Self {
        Self {}
    }
}

impl<Req: Clone> RequestKind<Req> for AnyRetries {
    type Request = Req;
    type Pending = Option<(Req, Tries)>;

    #[inline(always)]
    fn keep(&self, request: &Req, _: &Gate, tries: Option<Tries>) -> Self::Pending {
        tries.map(|tries| (request.clone(), tries))
    }

    #[inline(always)]
    fn send(request: Req, _: &mut Self::Pending) -> Req {
        request
    }

    fn tries(kept: &mut Self::Pending) -> Option<&mut Tries> {
        kept.as_mut().map(|(_, tries)| tries)
    }

    fn again(kept: &mut Self::Pending, _: u32) -> Option<Req> {
        kept.as_ref().map(|(request, _)| request.clone())
    }

    fn repeatable(_: &Self::Pending) -> bool {
        true
    }

    fn may_overlap(kept: &Self::Pending) -> bool {
        kept.as_ref().is_some_and(|(_, tries)| tries.keep.is_some())
    }
}

impl<Req: Clone, Res, E> CallKind<Req, Res, E> for AnyRetries {
    type Response = Res;

    #[inline(always)]
    fn answered(_: &Self::Pending, result: &Result<Res, E>, ticket: &mut Ticket) -> RetryVerdict
    where
        E: 'static,
    {
        let Err(error) = result else {
            ticket.well();
            return RetryVerdict::Well;
        };
        let end = failed(error, ticket, false);
        match RetryVerdict::of(&end, true) {
            RetryVerdict::Final if end.health() != Health::NotAsked => RetryVerdict::Again(None),
            verdict => verdict,
        }
    }

    #[inline]
    fn response(_: &Self::Pending, response: Res, _: &mut Option<Ticket>) -> Res {
        response
    }
}
