//! Hedged calls: a second attempt beside a first one that is slower than most.
//!
//! "The Tail at Scale" (Dean and Barroso, 2013): where a few calls take many times as long as the
//! rest, asking again once a call takes longer than 95 % of them cuts the tail for a few per cent of
//! load. The first answer wins, the other is dropped. Hedges are paid for from the retry
//! budget, so a peer that is slow as a whole does not get twice the calls.
//!
//! Hedged are calls that do no harm twice at the same time: GET, HEAD, OPTIONS, TRACE, gRPC methods
//! listed as idempotent, and what is marked [`Idempotent`](crate::Idempotent); and only if the body
//! lies ready as a whole.

use crate::{
    clock,
    config::ConfigError,
    count::counter,
    debug::debug,
    guard::{CallKind, Gate, GuardLayer, RequestKind, Spare, Ticket, ended, poll_sleep},
    handle::Handle,
    names,
    retry::{HttpRetries, RetryBudget, RetryVerdict, Tries, Withdrawal},
};
use meshwise_core::internal::Limits;
use metrics::Counter;
use pin_project_lite::pin_project;
use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::Sleep;
use tower_layer::Layer;
use tower_service::Service;

/// Begins a second attempt beside a call that is slower than most, and takes the first answer.
///
/// Put it around what guards each attempt (timeout, breaker, bulkhead), inside of retries.
pub type HedgeLayer<K = HttpRetries> = GuardLayer<Hedge, K>;

/// What all clones share.
#[derive(Debug)]
pub struct Hedge {
    peer: Arc<str>,
    config: HedgeConfig,
    estimate: Estimate,
    on: AtomicBool,
    won: Counter,
    lost: Counter,
}

impl Hedge {
    fn wait(&self) -> Duration {
        let HedgeConfig { least, most, .. } = self.config;
        self.estimate.get().map_or(most, |estimate| estimate.clamp(least, most))
    }
}

impl HedgeLayer {
    /// Creates the layer for HTTP and gRPC calls to a peer.
    ///
    /// # Errors
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
        let core = Core { layer: self.clone(), spare: Spare::of(&inner) };
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

struct Core<S, K> {
    layer: HedgeLayer<K>,
    spare: Arc<Spare<S>>,
}

impl<S, K, Req> Service<Req> for HedgeService<S, K>
where
    S: Service<<K as RequestKind<Req>>::Request> + Clone + 'static,
    K: CallKind<Req, S::Response, Hedge, Request: 'static>,
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
        let HedgeLayer { gate, guard, kind } = &self.core.layer;
        let tries = guard.on.load(Relaxed).then(|| Tries::beside(BODY_LIMIT));
        let mut pending = kind.keep(&request, gate, tries);
        let first = self.inner.call(K::send(request, &mut pending));
        HedgeFuture::new(first, pending, Arc::clone(&self.core))
    }
}

debug!("HedgeService", [S, K] HedgeService<S, K>, hedge: "hedge" = hedge.core.layer.guard);

/// Says when a second attempt begins beside the first.
///
/// ```
/// use meshwise_resilience::{HedgeConfig, HedgeLayer, RetryBudget, RetryConfig, RetryLayer};
/// // Hedges and retries draw on one budget.
/// let budget = RetryBudget::default();
/// let retry = RetryLayer::new("stock", RetryConfig::new().with_budget(budget.clone()))?;
/// let hedge = HedgeLayer::new("stock", HedgeConfig::new(budget).with_quantile(0.99))?;
/// # Ok::<(), meshwise_resilience::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct HedgeConfig {
    budget: RetryBudget,
    quantile: f64,
    least: Duration,
    most: Duration,
}

impl HedgeConfig {
    /// Begins a second attempt when the first has taken longer than 95 % of the calls, paid for
    /// from this budget: that of the peer's retries, or one of its own, into which calls that go well
    /// pay.
    #[must_use]
    pub const fn new(budget: RetryBudget) -> Self {
        let (least, most) = (Duration::from_millis(2), Duration::from_secs(1));
        Self { budget, quantile: 0.95, least, most }
    }

    /// Sets the share of calls, 0.5 to 0.999, that are over before a hedge begins; 0.95 by default.
    #[must_use]
    pub const fn with_quantile(mut self, quantile: f64) -> Self {
        self.quantile = quantile;
        self
    }

    /// Sets the shortest and longest wait before a hedge, whatever the quantile is; 2 ms and 1 s by
    /// default. As long as nothing is known of the peer, the longest is waited.
    #[must_use]
    pub const fn with_waits(mut self, least: Duration, most: Duration) -> Self {
        self.least = least;
        self.most = most;
        self
    }

    fn check(&self) -> Result<(), ConfigError> {
        if !(0.5..=0.999).contains(&self.quantile) {
            let allowed = "at least 0.5 and at most 0.999";
            return Err(ConfigError::new("hedge.quantile", self.quantile, allowed));
        }
        ConfigError::check_duration("hedge.least_wait", self.least, Duration::ZERO)?;
        ConfigError::check_duration("hedge.most_wait", self.most, self.least)
    }
}

pin_project! {
    /// Resolves to the first good answer, or else to the last.
    ///
    /// The attempt that is still in flight then is dropped at once. Dropped at any point the future
    /// leaves nothing behind: what was taken out of the budget for a hedge that was not begun goes
    /// back.
    pub struct HedgeFuture<S, K, Req, Res, E>
    where
        S: Service<K::Request>,
        K: RequestKind<Req>,
    {
        core: Arc<Core<S, K>>,
        pending: K::Pending,
        may: bool,
        #[pin]
        first: Option<S::Future>,
        #[pin]
        second: Option<S::Future>,
        #[pin]
        sleep: Option<Sleep>,
        // Set when the first attempt makes its caller wait.
        began: Option<u64>,
        // The hedge, paid for, while it becomes ready.
        hedge: Option<(S, K::Request, Withdrawal)>,
        // What the first of two attempts came to, if that was no good.
        failed: Option<Result<Res, E>>,
    }
}

impl<S, K, Req, Res, E> HedgeFuture<S, K, Req, Res, E>
where
    S: Service<K::Request>,
    K: RequestKind<Req>,
{
    fn new(first: S::Future, pending: K::Pending, core: Arc<Core<S, K>>) -> Self {
        Self {
            core,
            may: K::may_overlap(&pending),
            pending,
            first: Some(first),
            second: None,
            sleep: None,
            began: None,
            hedge: None,
            failed: None,
        }
    }
}

impl<S, K, Req> Future for HedgeFuture<S, K, Req, S::Response, S::Error>
where
    S: Service<<K as RequestKind<Req>>::Request> + Clone + 'static,
    K: CallKind<Req, S::Response, Hedge, Request: 'static>,
{
    type Output = Result<S::Response, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let shared = &this.core.layer.guard;
        let good = |pending: &K::Pending, result: &Self::Output| {
            let limits = Limits::current().unwrap_or(Limits::NONE);
            let mut ticket = Ticket::new(Arc::clone(&this.core.layer.gate), limits);
            let good = ended::<K, Req, _, _, _>(pending, result, &mut ticket) == RetryVerdict::Well;
            if good {
                shared.config.budget.hedge_succeeded();
            }
            good
        };

        if let Some(first) = this.first.as_mut().as_pin_mut()
            && let Poll::Ready(result) = first.poll(cx)
        {
            this.first.set(None);
            if let Some(began) = *this.began {
                shared.estimate.record(clock::exact().saturating_sub(began));
            }
            let (hedged, well) = (this.second.is_some(), good(this.pending, &result));
            // A hedge that has begun may yet do better; one that has not is not begun any more, for
            // trying again is up to the retries.
            if !hedged || well {
                if hedged {
                    shared.lost.increment(1);
                }
                this.second.set(None);
                *this.hedge = None;
                return Poll::Ready(result);
            }
            *this.failed = Some(result);
        }

        loop {
            if let Some(second) = this.second.as_mut().as_pin_mut() {
                let result = ready!(second.poll(cx));
                this.second.set(None);
                if good(this.pending, &result) {
                    shared.won.increment(1);
                    if let Some(began) = this.began.filter(|_| this.first.is_some()) {
                        // The first would have taken longer still.
                        shared.estimate.record(clock::exact().saturating_sub(began));
                    }
                    this.first.set(None);
                    return Poll::Ready(result);
                }
                shared.lost.increment(1);
                if this.first.is_some() {
                    return Poll::Pending;
                }
                return Poll::Ready(this.failed.take().unwrap_or(result));
            }

            if let Some((service, ..)) = this.hedge {
                let ready = ready!(service.poll_ready(cx));
                let hedge = this.hedge.take();
                // If it failed, the first attempt is still there to answer.
                let Some((mut service, request, withdrawal)) = hedge.filter(|_| ready.is_ok())
                else {
                    return Poll::Pending;
                };
                withdrawal.spend();
                this.second.set(Some(service.call(request)));
                continue;
            }

            if !*this.may || this.first.is_none() {
                return Poll::Pending;
            }
            let began = *this.began.get_or_insert_with(clock::exact);
            let at = began.saturating_add(clock::to_nanos(shared.wait()));
            ready!(poll_sleep(this.sleep.as_mut(), at, cx));
            *this.may = false;
            let Some(withdrawal) = shared.config.budget.withdraw() else { return Poll::Pending };
            let Some(request) = K::again(this.pending, 1) else { return Poll::Pending };
            tracing::debug!(target: names::TARGET, peer = &*shared.peer, "hedging a slow call");
            *this.hedge = Some((this.core.spare.fresh(), request, withdrawal));
        }
    }
}

debug!(
    "HedgeFuture", [S, K, Req, Res, E] HedgeFuture<S, K, Req, Res, E>
    where [S: Service<K::Request>, K: RequestKind<Req>],
    hedge: "hedged" = hedge.second.is_some()
);

/// Follows a quantile in one number: each call that takes longer lifts it a little, each that does
/// not lowers it, in such a proportion that it rests where the quantile is ("Frugal Streaming for
/// Estimating Quantiles", Ma, Muthukrishnan and Sandler, 2013, with steps in proportion).
#[derive(Debug)]
struct Estimate {
    quantile: f64,
    nanos: AtomicU64,
}

const STEP: f64 = 0.05;

impl Estimate {
    const fn new(quantile: f64) -> Self {
        Self { quantile, nanos: AtomicU64::new(0) }
    }

    fn get(&self) -> Option<Duration> {
        Some(self.nanos.load(Relaxed)).filter(|nanos| *nanos > 0).map(Duration::from_nanos)
    }

    /// Takes how long a call lasted, in nanoseconds.
    fn record(&self, elapsed: u64) {
        let elapsed = elapsed.max(1);
        self.nanos.update(Relaxed, Relaxed, |seen| {
            // At least a nanosecond either way, that small numbers do not stick.
            let step = |share: f64| (seen as f64 * STEP * share) as u64 + 1;
            match seen {
                0 => elapsed,
                _ if elapsed > seen => seen.saturating_add(step(self.quantile)),
                _ => seen.saturating_sub(step(1.0 - self.quantile)).max(1),
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_rests_where_the_quantile_is_and_follows_it() {
        for quantile in [0.5, 0.9, 0.95, 0.99] {
            let estimate = Estimate::new(quantile);
            assert_eq!(estimate.get(), None);
            let mut random = fastrand::Rng::with_seed(7);
            // Evenly from 0 to 100 ms, then ten times as long.
            for scale in [1, 10] {
                let mut mean = 0.0;
                for n in 0..40_000 {
                    estimate.record(random.u64(0..100_000) * scale * 1000);
                    if n >= 20_000 {
                        mean += estimate.get().unwrap().as_secs_f64() / 20_000.0;
                    }
                }
                let exact = 0.1 * quantile * scale as f64;
                assert!((mean / exact - 1.0).abs() < 0.05, "{quantile}: {mean} for {exact}");
            }
        }
    }

    #[test]
    fn no_call_is_too_short_or_too_long_for_it() {
        let estimate = Estimate::new(0.95);
        for elapsed in [0, u64::MAX, 0, 1_000_000_000] {
            for _ in 0..2000 {
                estimate.record(elapsed);
                assert!(estimate.get().is_some());
            }
        }
    }
}
