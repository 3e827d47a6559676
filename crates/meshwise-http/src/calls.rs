//! Which calls are in flight, and of those that have ended, which failed last and which lasted longest.

mod ended;
pub(crate) mod facts;
mod given_up;
pub(crate) mod register;
pub(crate) mod serving;
pub(crate) mod snapshot;

use self::{
    ended::EndedCalls,
    facts::{KeptEnd, KeptFacts, ListedFacts},
    register::{CallRegister, Listed, ListedCall},
    snapshot::CallsSnapshot,
};
use crate::finished::Finished;
use http::uri::PathAndQuery;
use meshwise_core::{
    Protocol,
    internal::{clock, queued},
};
use std::time::Instant;

/// Holds what is known of a service's calls, those it serves and those it makes.
#[derive(Debug)]
pub(crate) struct Calls {
    register: CallRegister<ListedFacts>,
    ended: EndedCalls<KeptEnd>,
}

impl Calls {
    pub(crate) fn new() -> Self {
        Self { register: CallRegister::new(), ended: EndedCalls::new() }
    }

    /// Lists the call that `make` describes, with the path of a gRPC one; a served one says when it began, as
    /// [`clock::nanos`] counts.
    #[inline]
    pub(crate) fn begin(
        &self,
        served: Option<u64>,
        make: impl FnOnce() -> ListedCall<ListedFacts>,
        rpc_path: Option<&PathAndQuery>,
    ) -> Listed {
        let listed = self.register.begin(served, make, |facts| {
            if let Some(path) = rpc_path {
                facts.path = Some(path.clone());
            }
        });
        if let (Some(began), Some(_)) = (served, listed.meter) {
            // A hundred times a second is often enough.
            self.ended.look(began);
        }
        listed
    }

    /// Says the status of a call's answer.
    #[inline]
    pub(crate) fn answered(&self, listed: &Listed, status: u16) {
        self.register.answered(listed, status);
    }

    /// Changes what is said of a call in flight.
    pub(crate) fn change(
        &self,
        listed: &Listed,
        change: impl FnOnce(&mut ListedCall<ListedFacts>),
    ) {
        self.register.change(listed, change);
    }

    /// Takes a call that ends out of the list, and keeps it if it failed or is one of the slowest;
    /// responses that stream are not. Tells whether it was not counted yet, as one that was given up is.
    pub(crate) fn end(
        &self,
        listed: &mut Listed,
        protocol: Protocol,
        finished: &Finished,
        streams: bool,
    ) -> bool {
        let is_unlisted = listed.id().is_none();
        let is_slow = !streams && self.ended.is_slow(finished.duration);
        let was_there = if is_slow || finished.end.error_type().is_some() {
            self.keep(listed, protocol, finished, is_slow)
        } else {
            self.register.end(listed)
        };
        is_unlisted || was_there
    }

    /// Takes a call that ends out of the list, and keeps it if it was there. Apart: few calls are kept, and what
    /// is kept is large.
    #[inline(never)]
    fn keep(
        &self,
        listed: &mut Listed,
        protocol: Protocol,
        finished: &Finished,
        is_slow: bool,
    ) -> bool {
        let keep = |call: &ListedCall<ListedFacts>| call.facts.keep(call.began);
        let Some(facts) = self.register.end_with(listed, keep) else { return false };
        let (duration, error_type) = (finished.duration, finished.end.error_type());
        let kept = KeptEnd {
            facts: KeptFacts { protocol, ..facts },
            duration,
            status: finished.status,
            code: finished.code,
            error_type,
            ended_by: finished.end.ended_by,
        };
        if is_slow {
            self.ended.keep_slow(duration, clock::now(), kept.clone());
        }
        if error_type.is_some() {
            self.ended.keep_failed(kept);
        }
        true
    }

    /// Shows them; `telemetry` is the one whose calls they are.
    pub(crate) fn snapshot(&self, telemetry: usize, now: Instant) -> CallsSnapshot {
        let mut queued = queued::list();
        queued.retain(|call| call.within.is_none_or(|within| within.telemetry == telemetry));
        snapshot::snapshot(&self.register, &self.ended, &queued, now)
    }
}
