//! The layer that tries again.

use super::{
    HttpRetries, RetryBudget, RetryConfig,
    config::check_attempts,
    service::{Core, RetryService},
};
use crate::{ConfigError, names, sync::Mutex};
use meshwise_core::{Classifier, Deadline};
use metrics::Counter;
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
};
use tower_layer::Layer;

/// Tries calls again that failed in passing; see the crate's table of what is retried and when.
///
/// Put it outside of what guards each attempt (timeout, breaker, bulkhead) and inside the
/// [`DeadlineLayer`](crate::DeadlineLayer).
#[derive(Clone, Debug)]
pub struct RetryLayer<K = HttpRetries> {
    kind: K,
    shared: Arc<Shared>,
    /// What bounds the incoming call on whose behalf calls are made.
    limit: Option<fn() -> Option<Deadline>>,
}

/// What all clones share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) peer: Arc<str>,
    /// Nothing else depends on it, so `Relaxed` does.
    pub(super) attempts: AtomicU32,
    pub(super) config: RetryConfig,
    pub(super) budget: RetryBudget,
    pub(super) counts: Counts,
}

/// The metric's handles, resolved once.
pub(super) struct Counts {
    pub(super) success: Counter,
    pub(super) failure: Counter,
    pub(super) budget_exhausted: Counter,
    pub(super) not_idempotent: Counter,
    pub(super) body_not_kept: Counter,
}

impl Counts {
    fn new(peer: &Arc<str>) -> Self {
        names::describe();
        let counter = |result: &'static str| {
            metrics::counter!(
                names::RETRIES,
                names::PEER => Arc::clone(peer),
                names::RESULT => result,
            )
        };
        Self {
            success: counter("success"),
            failure: counter("failure"),
            budget_exhausted: counter("budget_exhausted"),
            not_idempotent: counter("not_idempotent"),
            body_not_kept: counter("body_not_kept"),
        }
    }
}

impl fmt::Debug for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Counts").finish_non_exhaustive()
    }
}

impl RetryLayer {
    /// Creates the layer for HTTP and gRPC calls to a peer.
    ///
    /// # Errors
    ///
    /// Says what is allowed if a setting makes no sense.
    pub fn new(peer: impl Into<Arc<str>>, config: RetryConfig) -> Result<Self, ConfigError> {
        config.check()?;
        let peer = peer.into();
        let counts = Counts::new(&peer);
        let attempts = AtomicU32::new(config.attempts);
        let budget = config.budget.clone().unwrap_or_default();
        budget.feed();
        let shared = Arc::new(Shared { peer, attempts, config, budget, counts });
        Ok(Self { kind: HttpRetries::new(), shared, limit: None })
    }
}

impl RetryLayer {
    /// Sets how answers and errors are judged, and which may be tried again.
    #[must_use]
    pub fn with_classifier(mut self, classifier: Classifier) -> Self {
        self.kind = self.kind.with_classifier(classifier);
        self
    }
}

impl<K> RetryLayer<K> {
    /// Chooses what is retried; the budget and settings stay shared.
    ///
    /// ```
    /// use meshwise_resilience::{HttpRetries, RetryConfig, RetryLayer};
    /// let layer = RetryLayer::new("stock", RetryConfig::new())?
    ///     .retrying(HttpRetries::new().with_idempotent_method("stock.Stock/Get"));
    /// # Ok::<(), meshwise_resilience::ConfigError>(())
    /// ```
    #[must_use]
    pub fn retrying<L>(self, kind: L) -> RetryLayer<L> {
        RetryLayer { kind, shared: self.shared, limit: self.limit }
    }

    /// Bounds each attempt by 0.8 of the time that the incoming call still has.
    pub(crate) fn within(mut self, limit: Option<fn() -> Option<Deadline>>) -> Self {
        self.limit = limit;
        self
    }

    /// Returns the handle by which the layer is read and changed.
    #[must_use]
    pub fn handle(&self) -> RetryHandle {
        RetryHandle(Arc::clone(&self.shared))
    }
}

impl<S: Clone, K: Clone> Layer<S> for RetryLayer<K> {
    type Service = RetryService<S, K>;

    fn layer(&self, inner: S) -> RetryService<S, K> {
        let core = Core {
            shared: Arc::clone(&self.shared),
            kind: self.kind.clone(),
            limit: self.limit,
            spare: Mutex::new(inner.clone()),
        };
        RetryService::new(inner, Arc::new(core))
    }
}

/// Reads and changes retries at run time; clones, and the layer that it came from, share them.
#[derive(Clone, Debug)]
pub struct RetryHandle(Arc<Shared>);

impl RetryHandle {
    /// Returns the peer's name.
    #[must_use]
    pub fn peer(&self) -> &str {
        &self.0.peer
    }

    /// Returns how many attempts are made in all.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.0.attempts.load(Relaxed)
    }

    /// Sets how many attempts are made in all; 1 turns retries off.
    ///
    /// # Errors
    ///
    /// Says what is allowed if it is none, or more than 10; nothing is changed then.
    pub fn set_attempts(&self, attempts: u32) -> Result<(), ConfigError> {
        check_attempts(attempts)?;
        self.0.attempts.store(attempts, Relaxed);
        Ok(())
    }

    /// Returns the budget.
    #[must_use]
    pub fn budget(&self) -> &RetryBudget {
        &self.0.budget
    }
}
