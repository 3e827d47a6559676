//! What guards say of the calls that they refuse: a metric, an event, and the error itself.

use crate::names;
use meshwise_core::{Refused, outcome::Rule};
use metrics::Counter;
use std::{sync::Arc, time::Duration};

/// Counts the calls to one peer that one rule refused. The metric's handle is resolved once.
#[derive(Clone, Debug)]
pub(crate) struct Refusals {
    pub(crate) peer: Arc<str>,
    rule: Rule,
    counter: Counter,
}

impl Refusals {
    pub(crate) fn new(peer: &Arc<str>, rule: Rule) -> Self {
        let reason = (names::REASON, rule.error_type().as_str());
        let counter = counter(names::CALLS_REFUSED, peer, reason);
        Self { peer: Arc::clone(peer), rule, counter }
    }

    pub(crate) fn refuse(&self, wait: Option<Duration>) -> Refused {
        self.counter.increment(1);
        tracing::debug!(
            target: names::TARGET,
            peer = &*self.peer,
            reason = self.rule.error_type().as_str(),
            "call refused",
        );
        Refused::new(self.rule, Arc::clone(&self.peer)).with_retry_after(wait)
    }
}

pub(crate) fn counter(
    name: &'static str,
    peer: &Arc<str>,
    (label, value): (&'static str, &'static str),
) -> Counter {
    names::describe();
    metrics::counter!(name, names::PEER => Arc::clone(peer), label => value)
}
