//! The deadlines that a call brings: its own total, the request's, the incoming call's.

use super::{DeadlineConfig, TimeLimit};
use crate::{clock, config_error::ConfigError, count::Refusals};
use meshwise_core::{Deadline, Refused, internal::Limits, outcome::Rule};
use std::{sync::Arc, time::Duration};

/// Finds the limits of a call before it begins.
#[derive(Clone, Debug)]
pub struct Deadlines {
    pub(crate) total: Arc<TimeLimit>,
    /// Whether the total was set on purpose, or is a default: a default does not hold for streams.
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
    pub(crate) fn new(peer: &Arc<str>, config: &DeadlineConfig) -> Result<Self, ConfigError> {
        Ok(Self {
            total: TimeLimit::new("deadline.total", config.total)?,
            on_purpose: config.on_purpose && !config.head_only,
            incoming: config.incoming,
            incoming_limit: config.incoming_limit,
            spent: Refusals::new(peer, Rule::DeadlineExceeded),
        })
    }

    /// Returns the limits of a call that begins now, with another total if a route has one, and (as
    /// `bounded`) what bounds the incoming call; an error if one has passed already.
    #[inline(always)]
    pub(crate) fn limits(
        &self,
        around: Option<Limits>,
        told: Told,
        total: Option<Duration>,
        bounded: &mut u64,
    ) -> Result<Limits, Refused> {
        let now = clock::exact();
        let mut limits = around.map_or_else(|| Limits::at(now), |around| around.within(now));
        let bound = self.incoming_limit.and_then(|limit| limit());
        // What the incoming call brought is no deadline of this call, though it may stand in the
        // request: time has passed since.
        let header = told.header.filter(|header| bound.is_none_or(|bound| *header < bound));
        let incoming = self.incoming.and_then(|incoming| incoming());
        if let Some(told) = earliest(earliest(told.deadline, header), incoming) {
            limits = limits.with_told(told);
        }
        if let Some(bound) = bound {
            limits = limits.with_deadline(bound.moment());
            *bounded = meshwise_core::internal::clock::nanos(bound.moment());
        }
        if limits.ends() <= now {
            return Err(self.spent.refuse(None));
        }
        // The call's own total has only just begun.
        limits = match (total, self.total.get()) {
            (Some(own), _) => limits.with_total(own).told_total(),
            (None, Some(total)) if self.on_purpose => limits.with_total_nanos(total).told_total(),
            (None, Some(total)) => limits.with_total_nanos(total),
            (None, None) => limits,
        };
        Ok(limits)
    }
}

#[inline]
fn earliest(one: Option<Deadline>, other: Option<Deadline>) -> Option<Deadline> {
    match one {
        Some(one) => Some(one.earlier(other)),
        None => other,
    }
}
