//! The layer that hedges calls.

use super::{HedgeConfig, HedgeFuture, estimate::Estimate};
use crate::{
    config_error::ConfigError,
    count::counter,
    debug::debug,
    guard::{CallKind, Gate, GuardLayer, Handle, RequestKind, Spare},
    names,
    retry::{HttpRetries, RetryBudget, Tries},
};
use metrics::Counter;
use std::{
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
pub type HedgeLayer<K = HttpRetries> = GuardLayer<Hedge, K>;

/// What all clones share.
#[derive(Debug)]
pub struct Hedge {
    pub(super) peer: Arc<str>,
    pub(super) config: HedgeConfig,
    pub(super) estimate: Estimate,
    on: AtomicBool,
    /// Hedges that answered first, and those that did not.
    pub(super) won: Counter,
    pub(super) lost: Counter,
}

impl Hedge {
    /// Returns how long to wait before a hedge.
    pub(super) fn wait(&self) -> Duration {
        let HedgeConfig { least, most, .. } = self.config;
        self.estimate.get().map_or(most, |estimate| estimate.clamp(least, most))
    }
}

impl HedgeLayer {
    /// Creates the layer for HTTP and gRPC calls to a peer.
    ///
    /// # Errors
    ///
    /// Says what is allowed if a setting makes no sense.
    pub fn new(peer: impl Into<Arc<str>>, config: HedgeConfig) -> Result<Self, ConfigError> {
        config.check()?;
        let peer = peer.into();
        let counter = |result| counter(names::HEDGES, &peer, (names::RESULT, result));
        let hedge = Hedge {
            estimate: Estimate::new(config.quantile),
            on: AtomicBool::new(true),
            won: counter("won"),
            lost: counter("lost"),
            config,
            peer: Arc::clone(&peer),
        };
        Ok(Self::front(Gate::new(peer), Arc::new(hedge), HttpRetries::new()))
    }
}

impl<S: Clone, K: Clone> Layer<S> for HedgeLayer<K> {
    type Service = HedgeService<S, K>;

    fn layer(&self, inner: S) -> HedgeService<S, K> {
        let core = Core {
            hedge: Arc::clone(&self.guard),
            gate: Arc::clone(&self.gate),
            kind: self.kind.clone(),
            spare: Spare::of(&inner),
        };
        HedgeService { inner, core: Arc::new(core) }
    }
}

/// Reads hedging and switches it at run time.
pub type HedgeHandle = Handle<Hedge>;

impl HedgeHandle {
    /// Returns how long a call must take at present before it is hedged.
    #[must_use]
    pub fn wait(&self) -> Duration {
        self.guard.wait()
    }

    /// Returns the budget that hedges are paid from.
    #[must_use]
    pub fn budget(&self) -> &RetryBudget {
        &self.guard.config.budget
    }

    /// Tells whether calls are hedged.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.guard.on.load(Relaxed)
    }

    /// Switches hedging on or off; it is on at first.
    pub fn switch(&self, on: bool) {
        self.guard.on.store(on, Relaxed);
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
    pub(super) hedge: Arc<Hedge>,
    /// What answers are judged by.
    pub(super) gate: Arc<Gate>,
    kind: K,
    pub(super) spare: Arc<Spare<S>>,
}

impl<S, K, Req> Service<Req> for HedgeService<S, K>
where
    S: Service<<K as RequestKind<Req>>::Request> + Clone + 'static,
    K: CallKind<Req, S::Response, S::Error, Request: 'static>,
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
        const BODY_LIMIT: u32 = 64 * 1024;
        let core = &self.core;
        let tries = core.hedge.on.load(Relaxed).then(|| Tries::beside(BODY_LIMIT));
        let mut pending = core.kind.keep(&request, &core.gate, tries);
        let first = self.inner.call(K::send(request, &mut pending));
        HedgeFuture::new(first, pending, Arc::clone(core))
    }
}

debug!("HedgeService", [S, K] HedgeService<S, K>, hedge: "hedge" = hedge.core.hedge);
