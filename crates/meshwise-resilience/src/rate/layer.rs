//! The layer that limits the rate of calls.

use super::{
    OneLimit, PerKey, RateConfig, RateKey, RateLimitFuture,
    gcra::{Gcra, Taken},
    keys::Table,
};
use crate::{ConfigError, clock, count::Rejected, timeout::current_deadline};
use meshwise_core::{Refused, outcome::Rule};
use std::{
    fmt,
    hash::Hasher,
    mem,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll},
};
use tower_layer::Layer;
use tower_service::Service;

/// Lets so many calls pass in a time, and refuses the rest or has them wait.
///
/// All services that a layer makes, and their clones, share the limit.
#[derive(Clone, Debug)]
pub struct RateLimitLayer<K = OneLimit> {
    key: K,
    limits: Arc<Limits>,
}

/// The limits behind a layer, its services and handles.
pub(super) struct Limits {
    peer: Arc<str>,
    table: Table,
    /// Nanoseconds. Read one by one: a call that comes while they are changed may be judged by the
    /// old and the new one, which is no worse than either.
    interval: AtomicU64,
    tolerance: AtomicU64,
    max_wait: AtomicU64,
    config: crate::sync::Mutex<Option<RateConfig>>,
    rejected: Rejected,
}

impl Limits {
    fn new(peer: Arc<str>, keys: usize) -> Self {
        Self {
            table: Table::new(keys),
            interval: AtomicU64::new(0),
            tolerance: AtomicU64::new(0),
            max_wait: AtomicU64::new(0),
            config: crate::sync::Mutex::new(None),
            rejected: Rejected::new(&peer, Rule::RateLimited),
            peer,
        }
    }

    fn set(&self, config: Option<RateConfig>) -> Result<(), ConfigError> {
        let mut gcra = Gcra { interval: 0, tolerance: 0, max_wait: 0 };
        if let Some(config) = &config {
            config.check()?;
            gcra = config.gcra();
        }
        // Held throughout, so that two who set at once do not mix.
        let mut current = crate::sync::lock(&self.config);
        *current = config;
        self.tolerance.store(gcra.tolerance, Relaxed);
        self.max_wait.store(gcra.max_wait, Relaxed);
        self.interval.store(gcra.interval, Relaxed);
        Ok(())
    }

    /// Takes a place for a call; `None` if there is no limit.
    #[inline]
    pub(super) fn take(
        &self,
        hash: impl FnOnce() -> Option<u64>,
    ) -> Result<Option<Place>, Refused> {
        /// The coarse clock does for a tolerance of at least twice its tick.
        const COARSE: u64 = 20_000_000;
        let interval = self.interval.load(Relaxed);
        if interval == 0 {
            return Ok(None);
        }
        let max_wait = self.max_wait.load(Relaxed);
        let gcra = Gcra { interval, tolerance: self.tolerance.load(Relaxed), max_wait };
        let coarse = gcra.tolerance >= COARSE && max_wait == 0;
        let now = if coarse { clock::coarse() } else { clock::exact() };
        let hash = hash();
        match gcra.take(self.table.find(hash, now, gcra.horizon(now)), now, patience(max_wait)) {
            Ok(taken) => Ok(Some(Place { taken, hash, now })),
            Err(wait) => Err(self.rejected.refuse(&self.peer, Some(clock::nanos(wait)))),
        }
    }

    pub(super) fn give_back(&self, place: Place) {
        // By its own time: then its slot can't have been given away.
        Gcra::give_back(self.table.find(place.hash, place.now, u64::MAX), place.taken);
    }
}

/// Nobody waits beyond the call's deadline.
fn patience(max_wait: u64) -> u64 {
    match current_deadline() {
        Some(deadline) if max_wait > 0 => {
            let left = deadline.remaining(clock::now()).unwrap_or_default();
            max_wait.min(clock::to_nanos(left))
        }
        _ => max_wait,
    }
}

/// What a call holds of its limit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) taken: Taken,
    hash: Option<u64>,
    now: u64,
}

impl fmt::Debug for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limits")
            .field("peer", &self.peer)
            .field("table", &self.table)
            .finish_non_exhaustive()
    }
}

impl RateLimitLayer {
    /// Creates the layer with one limit for all calls to a neighbour (or, on a server, from all
    /// callers).
    ///
    /// # Errors
    ///
    /// Returns what [`RateConfig::check`] finds.
    pub fn new(peer: impl Into<Arc<str>>, config: RateConfig) -> Result<Self, ConfigError> {
        let layer = Self::unlimited(peer);
        layer.limits.set(Some(config))?;
        Ok(layer)
    }

    /// Creates the layer without a limit, until one is set through its handle.
    #[must_use]
    pub fn unlimited(peer: impl Into<Arc<str>>) -> Self {
        Self { key: OneLimit::default(), limits: Arc::new(Limits::new(peer.into(), 0)) }
    }
}

impl<F> RateLimitLayer<PerKey<F>> {
    /// Creates the layer with a limit for each key, as the function feeds it to the hasher. About
    /// `keys` of them are told apart at a time, at 16 bytes each; quiet ones are forgotten.
    ///
    /// ```
    /// use meshwise_resilience::{RateConfig, RateLimitLayer};
    /// use std::{hash::{Hash, Hasher}, time::Duration};
    /// let config = RateConfig::new(10, Duration::from_secs(1));
    /// let layer = RateLimitLayer::per_key("orders", config, 10_000,
    ///     |request: &http::Request<()>, mut hasher: &mut dyn Hasher| {
    ///         request.headers().get("x-tenant").hash(&mut hasher);
    ///     })?;
    /// # Ok::<(), meshwise_resilience::ConfigError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Returns what [`RateConfig::check`] finds, and refuses no keys or more than 10 million.
    pub fn per_key<Req>(
        peer: impl Into<Arc<str>>,
        config: RateConfig,
        keys: usize,
        key: F,
    ) -> Result<Self, ConfigError>
    where
        F: Fn(&Req, &mut dyn Hasher),
    {
        if !(1..=10_000_000).contains(&keys) {
            return Err(ConfigError::new("rate.keys", keys, "at least 1 and at most 10000000"));
        }
        let limits = Limits::new(peer.into(), keys);
        limits.set(Some(config))?;
        Ok(Self { key: PerKey::new(key), limits: Arc::new(limits) })
    }
}

impl<K> RateLimitLayer<K> {
    /// Returns the handle by which the limit is read and changed.
    #[must_use]
    pub fn handle(&self) -> RateLimitHandle {
        RateLimitHandle(Arc::clone(&self.limits))
    }
}

impl<S, K: Clone> Layer<S> for RateLimitLayer<K> {
    type Service = RateLimitService<S, K>;

    fn layer(&self, inner: S) -> RateLimitService<S, K> {
        RateLimitService { inner, key: self.key.clone(), limits: Arc::clone(&self.limits) }
    }
}

/// Reads and changes a rate limit at run time; clones, and the layer that it came from, share it.
#[derive(Clone, Debug)]
pub struct RateLimitHandle(Arc<Limits>);

impl RateLimitHandle {
    /// Returns the neighbour's name.
    #[must_use]
    pub fn peer(&self) -> &str {
        &self.0.peer
    }

    /// Returns the limit, if there is one.
    #[must_use]
    pub fn config(&self) -> Option<RateConfig> {
        *crate::sync::lock(&self.0.config)
    }

    /// Sets the limit; `None` takes it away.
    ///
    /// # Errors
    ///
    /// Returns what [`RateConfig::check`] finds; nothing is changed then.
    pub fn set_config(&self, config: Option<RateConfig>) -> Result<(), ConfigError> {
        self.0.set(config)
    }
}

/// Limits the rate of calls to `S`. Made by [`RateLimitLayer`].
#[derive(Clone, Debug)]
pub struct RateLimitService<S, K = OneLimit> {
    inner: S,
    key: K,
    limits: Arc<Limits>,
}

impl<S, K> RateLimitService<S, K> {
    #[cold]
    #[inline(never)]
    fn call_later<Req>(&mut self, request: Req, place: Place) -> RateLimitFuture<S, Req>
    where
        S: Service<Req> + Clone,
    {
        // The clone that is ready waits with the call; the one that takes its place has to become
        // ready.
        let fresh = self.inner.clone();
        let service = mem::replace(&mut self.inner, fresh);
        RateLimitFuture::later(service, request, place, Arc::clone(&self.limits))
    }
}

impl<S, K, Req> Service<Req> for RateLimitService<S, K>
where
    S: Service<Req> + Clone,
    S::Error: From<Refused>,
    K: RateKey<Req>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = RateLimitFuture<S, Req>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        // Readiness is the inner service's: only the request tells which limit it counts against.
        self.inner.poll_ready(cx)
    }

    #[inline]
    fn call(&mut self, request: Req) -> Self::Future {
        match self.limits.take(|| self.key.hash(&request)) {
            Ok(place) => match place.filter(|place| place.taken.wait > 0) {
                None => RateLimitFuture::now(self.inner.call(request)),
                Some(place) => self.call_later(request, place),
            },
            // The inner service stays ready for the next call, as tower allows.
            Err(refused) => RateLimitFuture::never(refused),
        }
    }
}
