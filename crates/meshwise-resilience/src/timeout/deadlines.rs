//! The deadlines that a call brings: its own total, the request's, the incoming call's.

use super::TimeLimit;
use crate::{clock, count::Refusals};
use meshwise_core::{Deadline, Limits, Refused};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// Finds the limits of a call before it begins.
#[derive(Clone)]
pub(crate) struct Deadlines {
    pub(crate) total: Arc<TimeLimit>,
    /// Whether the total was set by someone, or is a default: a default does not hold for streams.
    pub(crate) on_purpose: bool,
    pub(crate) incoming: Option<fn() -> Option<Deadline>>,
    pub(crate) incoming_limit: Option<fn() -> Option<Deadline>>,
    pub(crate) spent: Refusals,
}

/// Says which deadlines a request carries.
#[derive(Clone, Copy, Debug, Default)]
pub struct Told {
    /// Its extension, or `grpc-timeout`.
    pub(crate) deadline: Option<Deadline>,
    /// `x-request-timeout-ms`, which a request that is handed on may still carry from the caller.
    pub(crate) header: Option<Deadline>,
}

impl Told {
    #[inline]
    pub(crate) fn earliest(self) -> Option<Deadline> {
        earliest(self.deadline, self.header)
    }
}

impl Deadlines {
    /// Returns the limits of a call that begins now, with another total if a route has one; an error if one has passed already.
    #[inline]
    pub(crate) fn limits(
        &self,
        peer: &Arc<str>,
        around: Option<Limits>,
        told: Told,
        total: Option<Duration>,
        now: Instant,
    ) -> Result<Limits, Refused> {
        let mut limits = Limits::new(now, clock::now);
        if let Some(around) = around {
            limits = around.told().into_iter().fold(limits, Limits::with_told);
            limits = around.end().into_iter().fold(limits, Limits::with_deadline);
        }
        let bound = self.incoming_limit();
        // What the incoming call brought is no deadline of this call, though it may stand in the
        // request: time has passed since.
        let header = told.header.filter(|header| bound.is_none_or(|bound| *header < bound));
        let incoming = self.incoming.and_then(|incoming| incoming());
        for deadline in [told.deadline, header, incoming].into_iter().flatten() {
            limits = limits.with_told(deadline);
        }
        if let Some(bound) = bound {
            limits = limits.with_deadline(bound.moment());
        }
        if limits.end().is_some_and(|end| end <= now) {
            return Err(self.spent.refuse(peer, None));
        }
        // The call's own total has only just begun.
        let (total, on_purpose) = match total {
            Some(own) => (Some(own), true),
            None => (self.total.get(), self.on_purpose),
        };
        if let Some(total) = total {
            limits = limits.with_total(total, now);
            if on_purpose {
                limits = limits.with_told_total(Deadline::after(now, total));
            }
        }
        Ok(limits)
    }

    /// Returns the earliest of all that the incoming call was told.
    #[inline]
    pub(crate) fn incoming_limit(&self) -> Option<Deadline> {
        self.incoming_limit.and_then(|limit| limit())
    }
}

#[inline]
fn earliest(one: Option<Deadline>, other: Option<Deadline>) -> Option<Deadline> {
    match one {
        Some(one) => Some(one.earlier(other)),
        None => other,
    }
}
