//! The layer that tries again.

use super::{
    HttpRetries, RetryBudget, RetryConfig, RetryFuture, RetryJudge, RetryKind,
    config::check_attempts,
};
use crate::{
    ConfigError, names,
    sync::{Mutex, lock},
    timeout::current_deadline,
};
use metrics::Counter;
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    task::{Context, Poll},
};
use tower_layer::Layer;
use tower_service::Service;

/// Tries calls again that failed in passing; see the crate's table of what is retried and when.
///
/// Put it outside of what guards each attempt (timeout, breaker, bulkhead) and inside the
/// [`DeadlineLayer`](crate::DeadlineLayer).
#[derive(Clone, Debug)]
pub struct RetryLayer<K = HttpRetries> {
    kind: K,
    shared: Arc<Shared>,
}

/// What all clones share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) peer: Arc<str>,
    /// Nothing else depends on it, so `Relaxed` does.
    attempts: AtomicU32,
    pub(super) config: RetryConfig,
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
    /// Creates the layer for HTTP and gRPC calls to a neighbour.
    ///
    /// # Errors
    ///
    /// Says what is allowed if a setting makes no sense.
    pub fn new(peer: impl Into<Arc<str>>, config: RetryConfig) -> Result<Self, ConfigError> {
        config.check()?;
        config.budget.feed();
        let peer = peer.into();
        let counts = Counts::new(&peer);
        let attempts = AtomicU32::new(config.attempts);
        let shared = Arc::new(Shared { peer, attempts, config, counts });
        Ok(Self { kind: HttpRetries::new(), shared })
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
        RetryLayer { kind, shared: self.shared }
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
            spare: Mutex::new(inner.clone()),
        };
        RetryService { inner, core: Arc::new(core) }
    }
}

/// Reads and changes retries at run time; clones, and the layer that it came from, share them.
#[derive(Clone, Debug)]
pub struct RetryHandle(Arc<Shared>);

impl RetryHandle {
    /// Returns the neighbour's name.
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
        &self.0.config.budget
    }
}

/// Tries calls to `S` again. Made by [`RetryLayer`].
#[derive(Clone)]
pub struct RetryService<S, K = HttpRetries> {
    inner: S,
    core: Arc<Core<S, K>>,
}

/// What a call needs when it is tried again.
pub(super) struct Core<S, K> {
    pub(super) shared: Arc<Shared>,
    pub(super) kind: K,
    /// A clone that is never made ready or called, only cloned when a call is tried again: it costs
    /// a call less than a clone of its own would. The lock is there for services that are not
    /// `Sync`.
    spare: Mutex<S>,
}

impl<S: Clone, K> Core<S, K> {
    pub(super) fn fresh(&self) -> S {
        lock(&self.spare).clone()
    }
}

impl<S, K, Req> Service<Req> for RetryService<S, K>
where
    S: Service<K::Request> + Clone,
    K: RetryKind<Req> + RetryJudge<K::Kept, S::Response, S::Error>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = RetryFuture<S, K, Req>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        // Readiness is the inner service's, and the first attempt uses it up. Later attempts are
        // made by fresh clones, which have to become ready by themselves.
        self.inner.poll_ready(cx)
    }

    #[inline(always)]
    fn call(&mut self, request: Req) -> Self::Future {
        let core = &self.core;
        let shared = &core.shared;
        let configured = shared.attempts.load(Relaxed);
        let incoming = shared.config.incoming.map_or(0, |incoming| incoming());
        let tried = incoming.max(core.kind.tried(&request));
        let attempts = configured.saturating_sub(tried).max(1);
        let deadline = match (core.kind.deadline(&request), current_deadline()) {
            (Some(told), outer) => Some(told.earlier(outer)),
            (None, outer) => outer,
        };
        // Two ways out, so that neither copies what only the other needs.
        if attempts == 1 {
            let request = core.kind.once(request);
            let core = Arc::clone(core);
            return RetryFuture::new(self.inner.call(request), None, attempts, deadline, core);
        }
        let (request, kept) = core.kind.keep(request, shared.config.body_limit);
        let core = Arc::clone(core);
        RetryFuture::new(self.inner.call(request), Some(kept), attempts, deadline, core)
    }
}

impl<S: fmt::Debug, K> fmt::Debug for RetryService<S, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryService")
            .field("inner", &self.inner)
            .field("shared", &self.core.shared)
            .finish_non_exhaustive()
    }
}
