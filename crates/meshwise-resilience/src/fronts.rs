//! Layers of one guard each: gates with nothing else.

use crate::{
    breaker::{Breaker, BreakerConfig, Pass},
    bulkhead::{Bulkhead, BulkheadConfig},
    config::ConfigError,
    count::Refusals,
    guard::{
        AllGuards, AnyCalls, BREAKER, BULKHEAD, DEADLINES, Enforce, Gate, GuardLayer, HEDGE, Has,
        Held, HttpCalls, LIMIT, Lacks, Plan, RATE, RETRY, Streaming, Timer, layer,
    },
    hedge::{Hedge, HedgeConfig},
    rate::{PerKey, Rate, RateConfig},
    retry::{HttpRetries, Retries, RetryConfig},
    shed::Shed,
    timeout::{DeadlineConfig, Deadlines, TimeLimit},
};
use meshwise_core::outcome::Rule;
use std::{hash::Hasher, sync::Arc, time::Duration};

/// Says by a layer, or the guard it is the front of, which guards there are, whether timers end its calls,
/// and what these hold.
macro_rules! plans {
    ($($plan:ty = $has:expr, $timer:ty, $waits:ty, $beside:ty, $pass:ty, $held:ty;)+) => { $(
        impl Plan for $plan {
            const HAS: u8 = $has;
            type Timer = $timer;
            type Waits<T> = $waits;
            type Beside<T> = $beside;
            type Pass = $pass;
            type Held = $held;
        }
    )+ };
}

plans! {
    Deadlines = DEADLINES, Has<Timer>, Lacks, Lacks, Lacks, Lacks;
    Retries = RETRY, Lacks, Has<Option<T>>, Lacks, Lacks, Lacks;
    Hedge = HEDGE, Has<Timer>, Has<Option<T>>, Has<Option<T>>, Lacks, Lacks;
    TimeLimit = LIMIT, Has<Timer>, Lacks, Lacks, Lacks, Lacks;
    Breaker = BREAKER, Lacks, Lacks, Lacks, Has<Pass>, Lacks;
    Bulkhead = BULKHEAD, Lacks, Has<Option<T>>, Lacks, Lacks, Has<Held>;
    Rate = RATE, Lacks, Has<Option<T>>, Lacks, Lacks, Has<Held>;
    Shed = DEADLINES | BULKHEAD, Lacks, Has<Option<T>>, Lacks, Lacks, Has<Held>;
    AllGuards = !HEDGE, Has<Timer>, Has<Option<T>>, Lacks, Has<Pass>, Has<Held>;
}

/// Makes the layer of a guard that has settings, and a place in the gate.
macro_rules! front {
    ($(#[$docs:meta])+ $layer:ident<$kind:ident>, $guard:ident, $place:ident, $config:ident $(, $clone:ident)?) => {
        $(#[$docs])+
        pub type $layer<K = $kind> = GuardLayer<$guard, K>;

        impl $layer {
            /// Creates the layer for HTTP and gRPC calls to a peer, which last to the end of their bodies,
            /// unless these stream. Its metrics go to the recorder that is in place now.
            ///
            /// # Errors
            /// Says what is allowed if a setting makes no sense.
            pub fn new(peer: impl Into<Arc<str>>, config: $config) -> Result<Self, ConfigError> {
                let peer = peer.into();
                let guard = $guard::new(&peer, config)?;
                let gate = Gate { $place: Some(Arc::clone(&guard)), ..Gate::new(peer) };
                Ok(Self::front(gate, guard, <$kind>::default()))
            }
        }

        layer!($guard $(, $clone)?);
    };
}

front! {
    /// Stops calling a peer that fails, until it is well again.
    BreakerLayer<HttpCalls>, Breaker, breaker, BreakerConfig
}

front! {
    /// Lets only so many calls to a peer be in flight at a time: a slow peer can then tie up so many
    /// workers and no more. Clones share its permits and its queue.
    BulkheadLayer<HttpCalls>, Bulkhead, bulkhead, BulkheadConfig, Clone
}

impl BulkheadLayer {
    /// Takes every response for one that streams: a call holds its place until its head, and not to the end of
    /// its body.
    pub fn until_head(self) -> Self {
        self.change(|gate| gate.streaming.all = true)
    }
}

front! {
    /// Tries calls again that failed in passing; see the crate's table of what is retried and when.
    ///
    /// Put it outside of what guards each attempt (timeout, breaker, bulkhead) and inside the
    /// [`DeadlineLayer`](crate::DeadlineLayer). A call that the peer never saw, and that is made again for
    /// that, counts in such a breaker once (for HTTP and gRPC: a request says so in its extensions); in a
    /// [`PeerLayer`](crate::PeerLayer) it does not count at all if it goes well in the end. Only that layer knows
    /// how far a request's body has got: limits and breakers that stand apart count the time of a slow upload.
    /// What is retried,
    /// [`with_calls`](GuardLayer::with_calls) says:
    ///
    /// ```
    /// use meshwise_resilience::{HttpRetries, RetryConfig, RetryLayer};
    /// let layer = RetryLayer::new("stock", RetryConfig::new())?
    ///     .with_calls(HttpRetries::new().with_idempotent_method("stock.Stock/Get"));
    /// # Ok::<(), meshwise_resilience::ConfigError>(())
    /// ```
    RetryLayer<HttpRetries>, Retries, retry, RetryConfig, Clone
}

front! {
    /// Begins a second attempt beside a call that is slower than most, and takes the first good answer, or
    /// else the last.
    ///
    /// Put it around what guards each attempt (timeout, breaker, bulkhead), inside of retries. The attempt
    /// that is still in flight at the answer is dropped at once.
    HedgeLayer<HttpRetries>, Hedge, hedge, HedgeConfig, Clone
}

/// Lets so many calls pass in a time, and refuses the rest or has them wait.
pub type RateLimitLayer<K = ()> = GuardLayer<Rate, AnyCalls<K>>;

impl RateLimitLayer {
    /// Creates the layer with one limit for all calls to a peer (or, on a server, from all
    /// callers).
    ///
    /// # Errors
    /// Says what is allowed if a setting makes no sense.
    pub fn new(peer: impl Into<Arc<str>>, config: RateConfig) -> Result<Self, ConfigError> {
        Self::keyed(peer.into(), config, 0, ())
    }
}

impl<K> RateLimitLayer<K> {
    fn keyed(peer: Arc<str>, config: RateConfig, keys: usize, key: K) -> Result<Self, ConfigError> {
        let rate = Arc::new(Rate::new(&peer, keys));
        rate.set(Some(config))?;
        let gate = Gate { rate: Some(Arc::clone(&rate)), ..Gate::new(peer) };
        Ok(Self::front(gate, rate, AnyCalls::by(key)))
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
    /// Says what is allowed if a setting makes no sense, and refuses no keys or more than 10 million.
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
        Self::keyed(peer.into(), config, keys, PerKey::new(key))
    }
}

layer!(Rate, Clone);

/// Gives a call a deadline, and does not begin what is past it.
///
/// The earliest of these counts: the layer's own total, the [`Deadline`](meshwise_core::Deadline) in
/// the request's extensions, its `grpc-timeout` or `x-request-timeout-ms` header, that of the incoming
/// call ([`DeadlineConfig::with_incoming`]), and that of an enclosing layer. Layers within (retries,
/// timeouts) heed it.
pub type DeadlineLayer<K = HttpCalls> = GuardLayer<Deadlines, K>;

impl DeadlineLayer {
    /// Creates the layer for calls to a peer.
    ///
    /// # Errors
    /// Says what is allowed if the total is shorter than 1 ms or longer than a year.
    pub fn new(peer: impl Into<Arc<str>>, config: DeadlineConfig) -> Result<Self, ConfigError> {
        let peer = peer.into();
        let deadlines = Arc::new(Deadlines::new(&peer, &config)?);
        let gate = Gate {
            deadlines: Some(Arc::clone(&deadlines)),
            enforce: Enforce::Whole,
            timed_out: Some(Refusals::new(&peer, Rule::TimedOut)),
            streaming: Streaming { all: config.head_only, ..Streaming::default() },
            ..Gate::new(peer)
        };
        Ok(Self::front(gate, deadlines, HttpCalls))
    }
}

layer!(Deadlines);

/// Limits the time that an attempt may take.
///
/// It covers the future that the service returns. For HTTP the body can be covered too:
/// [`TimeoutLayer::covering_body`].
pub type TimeoutLayer<K = AnyCalls> = GuardLayer<TimeLimit, K>;

impl TimeoutLayer {
    /// Creates the layer for calls to a peer, with a limit of 1 ms to a year for each attempt; without one
    /// there is none until it is set through the layer's handle.
    ///
    /// # Errors
    /// Says what is allowed if the limit is shorter than 1 ms or longer than a year.
    pub fn new(
        peer: impl Into<Arc<str>>,
        limit: impl Into<Option<Duration>>,
    ) -> Result<Self, ConfigError> {
        let peer = peer.into();
        let limit = TimeLimit::new("timeout.limit", limit.into())?;
        let gate = Gate {
            limit: Some(Arc::clone(&limit)),
            timed_out: Some(Refusals::new(&peer, Rule::TimedOut)),
            enforce: Enforce::Head,
            ..Gate::new(peer)
        };
        Ok(Self::front(gate, limit, AnyCalls::new()))
    }

    /// Covers the bodies of HTTP responses, too.
    pub fn covering_body(self) -> TimeoutLayer<HttpCalls> {
        self.change(|gate| gate.enforce = Enforce::Whole).with_calls(HttpCalls)
    }
}

layer!(TimeLimit);
