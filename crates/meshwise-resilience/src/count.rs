//! What guards say of the calls that they refuse: a metric, an event, and the error itself.

use crate::names;
use meshwise_core::{Refused, outcome::Rule};
use metrics::Counter;
use std::{fmt, sync::Arc, time::Duration};

/// Counts the calls to one peer that one rule refused. The metric's handle is resolved once.
#[derive(Clone)]
pub(crate) struct Refusals {
    rule: Rule,
    counter: Counter,
}

impl Refusals {
    pub(crate) fn new(peer: &Arc<str>, rule: Rule) -> Self {
        names::describe();
        let counter = metrics::counter!(
            names::CALLS_REFUSED,
            names::PEER => Arc::clone(peer),
            names::REASON => rule.error_type().as_str(),
        );
        Self { rule, counter }
    }

    /// Counts a refusal, tells of it, and returns it.
    pub(crate) fn refuse(&self, peer: &Arc<str>, wait: Option<Duration>) -> Refused {
        self.counter.increment(1);
        tracing::debug!(
            target: names::TARGET,
            peer = &**peer,
            reason = self.rule.error_type().as_str(),
            "call refused",
        );
        let refused = Refused::new(self.rule, Arc::clone(peer));
        match wait {
            Some(wait) => refused.with_retry_after(wait),
            None => refused,
        }
    }
}

impl fmt::Debug for Refusals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refusals").field("rule", &self.rule).finish_non_exhaustive()
    }
}
