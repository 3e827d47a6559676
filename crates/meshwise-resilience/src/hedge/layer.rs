//! The layer that hedges calls.

use super::{HedgeConfig, HedgeFuture, estimate::Estimate};
use crate::{
    ConfigError, HttpRetries, RetryBudget, RetryJudge, RetryKind, names,
    sync::{Mutex, lock},
};
use meshwise_core::Classifier;
use metrics::Counter;
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};
use tower_layer::Layer;
use tower_service::Service;

/// Begins a second attempt beside a call that is slower than most, and takes the first answer.
///
/// Put it around what guards each attempt (timeout, breaker, bulkhead), inside of retries.
#[derive(Clone, Debug)]
pub struct HedgeLayer<K = HttpRetries> {
    kind: K,
    shared: Arc<Shared>,
}

/// What all clones share.
pub(super) struct Shared {
    pub(super) peer: Arc<str>,
    pub(super) config: HedgeConfig,
    pub(super) estimate: Estimate,
    on: AtomicBool,
    /// Hedges that answered first, and those that did not.
    pub(super) won: Counter,
    pub(super) lost: Counter,
}

impl Shared {
    /// Returns how long to wait before a hedge.
    pub(super) fn wait(&self) -> Duration {
        let HedgeConfig { least, most, .. } = self.config;
        self.estimate.get().map_or(most, |estimate| estimate.clamp(least, most))
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("peer", &self.peer)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl HedgeLayer {
    /// Creates the layer for HTTP and gRPC calls to a neighbour.
    ///
    /// # Errors
    ///
    /// Says what is allowed if a setting makes no sense.
    pub fn new(peer: impl Into<Arc<str>>, config: HedgeConfig) -> Result<Self, ConfigError> {
        config.check()?;
        let peer = peer.into();
        names::describe();
        let counter = |result: &'static str| {
            metrics::counter!(
                names::HEDGES, names::PEER => Arc::clone(&peer), names::RESULT => result
            )
        };
        let shared = Shared {
            estimate: Estimate::new(config.quantile),
            on: AtomicBool::new(true),
            won: counter("won"),
            lost: counter("lost"),
            config,
            peer,
        };
        Ok(Self { kind: HttpRetries::new(), shared: Arc::new(shared) })
    }
}

impl HedgeLayer {
    /// Sets which answers are good.
    #[must_use]
    pub fn with_classifier(mut self, classifier: Classifier) -> Self {
        self.kind = self.kind.with_classifier(classifier);
        self
    }
}

impl<K> HedgeLayer<K> {
    /// Chooses which requests may be hedged, and which answers are good; state stays shared.
    #[must_use]
    pub fn hedging<L>(self, kind: L) -> HedgeLayer<L> {
        HedgeLayer { kind, shared: self.shared }
    }

    /// Returns the handle by which the layer is read and switched.
    #[must_use]
    pub fn handle(&self) -> HedgeHandle {
        HedgeHandle(Arc::clone(&self.shared))
    }
}

impl<S: Clone, K: Clone> Layer<S> for HedgeLayer<K> {
    type Service = HedgeService<S, K>;

    fn layer(&self, inner: S) -> HedgeService<S, K> {
        let core = Core {
            shared: Arc::clone(&self.shared),
            kind: self.kind.clone(),
            spare: Mutex::new(inner.clone()),
        };
        HedgeService { inner, core: Arc::new(core) }
    }
}

/// Reads hedging and switches it at run time; clones, and the layer that it came from, share it.
#[derive(Clone, Debug)]
pub struct HedgeHandle(Arc<Shared>);

impl HedgeHandle {
    /// Returns the neighbour's name.
    #[must_use]
    pub fn peer(&self) -> &str {
        &self.0.peer
    }

    /// Returns how long a call must take at present before it is hedged.
    #[must_use]
    pub fn wait(&self) -> Duration {
        self.0.wait()
    }

    /// Returns the budget that hedges are paid from.
    #[must_use]
    pub fn budget(&self) -> &RetryBudget {
        &self.0.config.budget
    }

    /// Tells whether calls are hedged.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.0.on.load(Relaxed)
    }

    /// Switches hedging on or off; it is on at first.
    pub fn switch(&self, on: bool) {
        self.0.on.store(on, Relaxed);
    }
}

/// Hedges calls to `S`. Made by [`HedgeLayer`].
#[derive(Clone)]
pub struct HedgeService<S, K = HttpRetries> {
    inner: S,
    core: Arc<Core<S, K>>,
}

/// What a call needs for its second attempt.
pub(super) struct Core<S, K> {
    pub(super) shared: Arc<Shared>,
    pub(super) kind: K,
    /// Never made ready or called, only cloned.
    spare: Mutex<S>,
}

impl<S: Clone, K> Core<S, K> {
    pub(super) fn fresh(&self) -> S {
        lock(&self.spare).clone()
    }
}

impl<S, K, Req> Service<Req> for HedgeService<S, K>
where
    S: Service<K::Request> + Clone,
    K: RetryKind<Req> + RetryJudge<K::Kept, S::Response, S::Error>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = HedgeFuture<S, K, Req, S::Response, S::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        // Readiness is the inner service's, and the first attempt uses it up. The second is made by
        // a fresh clone, which has to become ready by itself.
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Req) -> Self::Future {
        /// A longer body takes its time by itself.
        const BODY_LIMIT: usize = 64 * 1024;
        let core = &self.core;
        let (request, kept) = if core.shared.on.load(Relaxed) {
            let (request, kept) = core.kind.keep(request, BODY_LIMIT);
            let overlaps = core.kind.may_overlap(&kept);
            (request, overlaps.then_some(kept))
        } else {
            (core.kind.once(request), None)
        };
        HedgeFuture::new(self.inner.call(request), kept, Arc::clone(core))
    }
}

impl<S: fmt::Debug, K> fmt::Debug for HedgeService<S, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HedgeService")
            .field("inner", &self.inner)
            .field("shared", &self.core.shared)
            .finish_non_exhaustive()
    }
}
