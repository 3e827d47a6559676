//! How a call ended: the one verdict that every part reads.

use super::{ErrorType, Outcome, Rule};
use crate::limits::Limits;
use std::time::Duration;

/// Says how a call (or one attempt of it) ended. [`Classifier`](crate::outcome::classify::Classifier) makes it, once, from
/// what the adapters saw; span, metrics, access log and every guard read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CallEnd {
    /// Success, failure with its `error.type`, or cancelled: what telemetry says, by OpenTelemetry's
    /// conventions for this side.
    pub outcome: Outcome,
    /// Who is to blame, if anyone.
    pub blame: Blame,
    /// Who ended it.
    pub ended_by: EndedBy,
    /// What the call was doing when it ended; `None` if that is not known.
    pub phase: Option<Phase>,
    /// Whether it tells that the peer has more to do than it can: 429, 503, `RESOURCE_EXHAUSTED`, a
    /// time limit that passed.
    pub overload: bool,
    /// Whether another try makes sense, and for which requests.
    pub retryable: Retryable,
    /// What the peer said about when to come back.
    pub retry_after: Option<RetryAfter>,
}

impl CallEnd {
    /// A complete answer that is as it should be.
    pub const SUCCESS: Self = Self {
        outcome: Outcome::Success,
        blame: Blame::None,
        ended_by: EndedBy::Peer,
        phase: Some(Phase::Body),
        overload: false,
        retryable: Retryable::Never,
        retry_after: None,
    };

    /// Returns what stands in `error.type`, if the call did not succeed.
    #[must_use]
    pub const fn error_type(&self) -> Option<ErrorType> {
        self.outcome.error_type()
    }
}

#[doc(hidden)]
impl CallEnd {
    /// A guard on this side refused the call: the peer was not asked.
    #[must_use]
    pub const fn refused(rule: Rule) -> Self {
        Self {
            outcome: Outcome::Failure(rule.error_type()),
            ended_by: match rule {
                Rule::DeadlineExceeded => EndedBy::ForeignDeadline,
                _ => EndedBy::OwnLimit,
            },
            phase: Some(Phase::Waiting),
            ..Self::SUCCESS
        }
    }

    /// Its caller gave it up, while it was in this phase.
    #[must_use]
    pub const fn given_up(phase: Phase) -> Self {
        Self {
            outcome: Outcome::Cancelled,
            blame: Blame::Caller,
            ended_by: EndedBy::Caller,
            phase: Some(phase),
            ..Self::SUCCESS
        }
    }
}

/// Says from which end a call is seen; the same answer can be an error for one and not for the
/// other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums, reason = "complete by nature")]
#[doc(hidden)]
pub enum Side {
    /// The one that answers.
    Server,
    /// The one that asks.
    #[default]
    Client,
}

/// Says who is to blame for how a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums, reason = "complete by nature")]
pub enum Blame {
    /// No one, or no one can tell.
    None,
    /// The service that was called. On a server's side it is this service's own answer that failed
    /// ([`Blame::Us`]).
    Peer,
    /// The one instance that was called: it could not be reached, or its connection broke. Another
    /// may be well.
    Instance,
    /// This side: the request could not be sent, or makes no sense to the peer; on a server's side
    /// the handler failed.
    Us,
    /// The caller: it left, or gave too little time.
    Caller,
}

/// Says who ended a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums, reason = "complete by nature")]
pub enum EndedBy {
    /// The one that answers: with a complete answer, or by breaking it off.
    Peer,
    /// The one that waits: it dropped the call or its response.
    Caller,
    /// A limit or guard of this side, or a deadline that the code has set that makes the call.
    OwnLimit,
    /// A deadline that another has set: the incoming call, an enclosing layer.
    ForeignDeadline,
    /// This process is shutting down.
    Shutdown,
}

impl EndedBy {
    /// Says whose the earliest deadline is: what a call's own code has asked for is no one else's.
    pub(super) const fn deadline(limits: &Limits) -> Self {
        if limits.is_asked() { Self::OwnLimit } else { Self::ForeignDeadline }
    }

    /// Returns `peer`, `caller`, `own_limit`, `foreign_deadline` or `shutdown`.
    #[must_use]
    #[doc(hidden)]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Peer => "peer",
            Self::Caller => "caller",
            Self::OwnLimit => "own_limit",
            Self::ForeignDeadline => "foreign_deadline",
            Self::Shutdown => "shutdown",
        }
    }
}

/// Says what a call is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(clippy::exhaustive_enums, reason = "complete by nature")]
pub enum Phase {
    /// It waits on this side: for a permit, for its turn.
    Waiting,
    /// A connection is being made.
    Connecting,
    /// The request is being sent.
    Sending,
    /// The response's head is waited for.
    Head,
    /// The response's body is being read.
    Body,
}

/// Says whether another try makes sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums, reason = "complete by nature")]
pub enum Retryable {
    /// It does not: the call went well, or would end the same way.
    Never,
    /// It does, for requests that may be repeated.
    IfRepeatable,
    /// It does for every request: the peer never saw this one.
    Always,
}

/// Holds what a peer said about when to come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums, reason = "complete by nature")]
pub enum RetryAfter {
    /// After this time, and not before (`Retry-After`).
    AtLeast(Duration),
    /// After exactly this time (`grpc-retry-pushback-ms`).
    Exactly(Duration),
    /// Not at all (a negative pushback).
    Stop,
}

/// Says what a call's end tells of the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums, reason = "complete by nature")]
#[doc(hidden)]
pub enum Health {
    /// It answered as it should.
    Well,
    /// It failed.
    Failed,
    /// It was asked, and the call ended before it was known how it would answer.
    Unknown,
    /// It was not asked: the call ended on this side.
    NotAsked,
}
