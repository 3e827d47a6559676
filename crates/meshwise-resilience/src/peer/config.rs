//! Which guards a peer has, and how they are set.

use crate::{
    BreakerConfig, BulkheadConfig, ConfigError, DeadlineConfig, HttpRetries, RateConfig,
    RetryConfig, TimeoutConfig,
    guard::{Pattern, Streaming},
};
use meshwise_core::{Classifier, Deadline};
use std::{fmt::Debug, time::Duration};

/// Sets the guards of a peer; each can be tuned or left out.
///
/// | guard | default | left out by |
/// |---|---|---|
/// | deadline | 10 s for the whole call, body included, unless the response streams | [`without_total`](Self::without_total) (others' deadlines still count) |
/// | retry | 3 attempts, 20 % of what goes well and 10 a second | [`without_retry`](Self::without_retry) |
/// | timeout | 3 s an attempt, to the response's head | [`without_timeout`](Self::without_timeout) |
/// | breaker | half of at least 20 calls in 10 s, or 10 failures in a row over at least 1 s | [`without_breaker`](Self::without_breaker) |
/// | bulkhead | 100 calls, a queue of 50 for 250 ms | [`without_bulkhead`](Self::without_bulkhead) |
/// | rate limit | none | |
///
/// A response streams if it is `text/event-stream` or a protocol upgrade, if its gRPC method is
/// listed ([`with_streaming`](Self::with_streaming)), or if a gRPC body goes on after its first
/// message. From its head (or first message) on it holds no permit, has no default limit, and its
/// head is the verdict; deadlines that were set on purpose still cut it.
///
/// To put another guard in the place of one of these, leave that one out and wrap the service in
/// your own, or stack the layers yourself in the order of [`PeerLayer`](super::PeerLayer).
#[derive(Clone, Debug)]
pub struct PeerConfig {
    pub(super) deadline: DeadlineConfig,
    pub(super) retry: RetryConfig,
    pub(super) retries: HttpRetries,
    pub(super) timeout: TimeoutConfig,
    pub(super) breaker: Option<BreakerConfig>,
    pub(super) bulkhead: Option<BulkheadConfig>,
    pub(super) rate: Option<RateConfig>,
    pub(super) classifier: Classifier,
    pub(super) streaming: Streaming,
    pub(super) routes: Vec<(String, RouteConfig)>,
}

/// Sets what is different for one route of a peer.
///
/// What is not set is as for the peer; a bulkhead, breaker or rate limit that is set is the route's
/// own, in the place of the peer's, and one that is left out is none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RouteConfig {
    pub(super) total: Option<Duration>,
    pub(super) timeout: Option<Duration>,
    pub(super) attempts: Option<u32>,
    pub(super) breaker: RouteGuard<BreakerConfig>,
    pub(super) bulkhead: RouteGuard<BulkheadConfig>,
    pub(super) rate: RouteGuard<RateConfig>,
    pub(super) streaming: bool,
}

/// Says what a route has of a guard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum RouteGuard<T> {
    /// The peer's.
    #[default]
    Peer,
    /// None.
    Without,
    /// One of its own.
    Own(T),
}

impl<T> RouteGuard<T> {
    /// Makes the guard of what is set for it.
    pub(super) fn try_map<U, E>(
        &self,
        make: impl FnOnce(&T) -> Result<U, E>,
    ) -> Result<RouteGuard<U>, E> {
        Ok(match self {
            Self::Peer => RouteGuard::Peer,
            Self::Without => RouteGuard::Without,
            Self::Own(own) => RouteGuard::Own(make(own)?),
        })
    }

    /// Returns the route's own, or else the peer's.
    pub(super) fn or(&self, peer: Option<&T>) -> Option<T>
    where
        T: Clone,
    {
        match self {
            Self::Peer => peer.cloned(),
            Self::Without => None,
            Self::Own(own) => Some(own.clone()),
        }
    }
}

impl RouteConfig {
    /// Starts with nothing that is different.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the longest that a call may take in all.
    #[must_use]
    pub const fn with_total(mut self, total: Duration) -> Self {
        self.total = Some(total);
        self
    }

    /// Sets how long an attempt may take.
    #[must_use]
    pub const fn with_timeout(mut self, limit: Duration) -> Self {
        self.timeout = Some(limit);
        self
    }

    /// Sets how many attempts are made in all; 1 turns retries off.
    #[must_use]
    pub const fn with_attempts(mut self, attempts: u32) -> Self {
        self.attempts = Some(attempts);
        self
    }

    /// Gives the route a circuit breaker of its own.
    #[must_use]
    pub fn with_breaker(mut self, breaker: BreakerConfig) -> Self {
        self.breaker = RouteGuard::Own(breaker);
        self
    }

    /// Leaves the circuit breaker out on the route.
    #[must_use]
    pub fn without_breaker(mut self) -> Self {
        self.breaker = RouteGuard::Without;
        self
    }

    /// Gives the route a bulkhead of its own.
    #[must_use]
    pub fn with_bulkhead(mut self, bulkhead: BulkheadConfig) -> Self {
        self.bulkhead = RouteGuard::Own(bulkhead);
        self
    }

    /// Leaves the bulkhead out on the route.
    #[must_use]
    pub fn without_bulkhead(mut self) -> Self {
        self.bulkhead = RouteGuard::Without;
        self
    }

    /// Gives the route a rate limit of its own.
    #[must_use]
    pub const fn with_rate_limit(mut self, rate: RateConfig) -> Self {
        self.rate = RouteGuard::Own(rate);
        self
    }

    /// Leaves the rate limit out on the route.
    #[must_use]
    pub const fn without_rate_limit(mut self) -> Self {
        self.rate = RouteGuard::Without;
        self
    }

    /// Says that the route's responses stream.
    #[must_use]
    pub const fn streaming(mut self) -> Self {
        self.streaming = true;
        self
    }
}

impl PeerConfig {
    /// Starts from the defaults.
    #[must_use]
    pub fn new() -> Self {
        Self {
            deadline: DeadlineConfig::new().with_default_total(Duration::from_secs(10)),
            retry: RetryConfig::new(),
            retries: HttpRetries::new(),
            timeout: TimeoutConfig::new(Duration::from_secs(3)),
            breaker: Some(BreakerConfig::default()),
            bulkhead: Some(BulkheadConfig::default()),
            rate: None,
            classifier: Classifier::new(),
            streaming: Streaming::default(),
            routes: Vec::new(),
        }
    }

    /// Sets the longest that a call may take in all; 10 s by default. Once set it holds for streams,
    /// too.
    #[must_use]
    pub fn with_total(mut self, total: Duration) -> Self {
        self.deadline = self.deadline.with_total(total);
        self
    }

    /// Sets no limit of its own: only the request's deadline and the incoming call's count.
    #[must_use]
    pub fn without_total(mut self) -> Self {
        self.deadline = self.deadline.without_total();
        self
    }

    /// Takes every response for one that streams: guards, and the total, end with its head.
    #[must_use]
    pub fn until_head(mut self) -> Self {
        self.deadline = self.deadline.until_head();
        self.streaming.all = true;
        self
    }

    /// Says which gRPC methods stream: `package.Service/Method`, or `package.Service/*`.
    #[must_use]
    pub fn with_streaming<M: Into<Box<str>>>(
        mut self,
        methods: impl IntoIterator<Item = M>,
    ) -> Self {
        self.streaming.methods.extend(methods.into_iter().map(Into::into));
        self
    }

    /// Sets what is different for a route: `GET /items/{id}`, `/files/{*path}` (any method),
    /// `package.Service/Method` or `package.Service/*`. The first route that matches counts; it is the
    /// request's whole path that has to match, with that of the client's base URL.
    ///
    /// ```
    /// use meshwise_resilience::{PeerConfig, RouteConfig};
    /// use std::{fmt::Debug, time::Duration};
    /// let config = PeerConfig::new()
    ///     .with_route("GET /reports/{id}", RouteConfig::new().with_timeout(Duration::from_secs(8)))
    ///     .with_route("stock.v1.Stock/Watch", RouteConfig::new().streaming());
    /// ```
    #[must_use]
    pub fn with_route(mut self, route: impl Into<String>, settings: RouteConfig) -> Self {
        self.routes.push((route.into(), settings));
        self
    }

    /// Sets how to find the deadline of the incoming call on whose behalf a call is made.
    #[must_use]
    #[doc(hidden)]
    pub fn with_incoming_deadline(mut self, incoming: fn() -> Option<Deadline>) -> Self {
        self.deadline = self.deadline.with_incoming(incoming);
        self
    }

    /// Sets how to find the earliest of all limits that the incoming call was told, its caller's
    /// attempt limit among them: an attempt gets at most 0.8 of what is left of it, so that this
    /// service's own attempts end before its caller gives up.
    #[must_use]
    #[doc(hidden)]
    pub fn with_incoming_limit(mut self, limit: fn() -> Option<Deadline>) -> Self {
        self.deadline = self.deadline.with_incoming_limit(limit);
        self
    }

    /// Sets how to find out how many times the incoming call had been tried before.
    #[must_use]
    #[doc(hidden)]
    pub fn with_incoming_attempt(mut self, incoming: fn() -> u32) -> Self {
        self.retry = self.retry.with_incoming(incoming);
        self
    }

    /// Sets how often, when and within which budget calls are tried again; how to find the incoming
    /// call's attempts stays as it was if they do not say.
    #[must_use]
    pub fn with_retry(mut self, retry: RetryConfig) -> Self {
        self.retry = retry.or_incoming(&self.retry);
        self
    }

    /// Makes one attempt a call.
    #[must_use]
    pub fn without_retry(mut self) -> Self {
        self.retry = self.retry.with_attempts(1);
        self
    }

    /// Sets which calls are tried again.
    #[must_use]
    pub fn with_retries(mut self, retries: HttpRetries) -> Self {
        self.retries = retries;
        self
    }

    /// Sets how long an attempt may take; 3 s by default.
    #[must_use]
    pub fn with_timeout(mut self, limit: Duration) -> Self {
        self.timeout = TimeoutConfig::new(limit);
        self
    }

    /// Lets an attempt take as long as the whole call may.
    #[must_use]
    pub fn without_timeout(mut self) -> Self {
        self.timeout = TimeoutConfig::unlimited();
        self
    }

    /// Sets when the circuit breaker opens and closes.
    #[must_use]
    pub fn with_breaker(mut self, breaker: BreakerConfig) -> Self {
        self.breaker = Some(breaker);
        self
    }

    /// Leaves the circuit breaker out.
    #[must_use]
    pub fn without_breaker(mut self) -> Self {
        self.breaker = None;
        self
    }

    /// Sets how many calls may be in flight.
    #[must_use]
    pub fn with_bulkhead(mut self, bulkhead: BulkheadConfig) -> Self {
        self.bulkhead = Some(bulkhead);
        self
    }

    /// Leaves the bulkhead out.
    #[must_use]
    pub fn without_bulkhead(mut self) -> Self {
        self.bulkhead = None;
        self
    }

    /// Sets how many attempts may be made in a time; there is no limit by default.
    #[must_use]
    pub fn with_rate_limit(mut self, rate: RateConfig) -> Self {
        self.rate = Some(rate);
        self
    }

    /// Sets how answers and errors are judged: what counts against the peer, what is tried again,
    /// what is overload.
    #[must_use]
    pub fn with_classifier(mut self, classifier: Classifier) -> Self {
        self.classifier = classifier;
        self
    }

    /// Returns how answers and errors are judged.
    #[must_use]
    #[doc(hidden)]
    pub const fn classifier(&self) -> &Classifier {
        &self.classifier
    }

    /// Returns the first setting that differs: its name, the value here and the other. How the
    /// incoming call is found, and how a transport's errors are looked into, is not compared: that
    /// is each client's own.
    pub(crate) fn difference(&self, other: &Self) -> Option<(&'static str, String, String)> {
        // Only what differs is put into words: every client that is made asks.
        fn debug<'a>(one: &'a dyn Debug, other: &'a dyn Debug) -> [&'a dyn Debug; 2] {
            [one, other]
        }
        let (total, other_total) = (&self.deadline.total, &other.deadline.total);
        let on_purpose = self.deadline.on_purpose == other.deadline.on_purpose;
        let classifiers = self.classifier.same_tables(&other.classifier);
        let found = [
            ("deadline.total", total == other_total && on_purpose, debug(total, other_total)),
            (
                "timeout.limit",
                self.timeout.limit == other.timeout.limit,
                debug(&self.timeout.limit, &other.timeout.limit),
            ),
            ("retry", self.retry.same(&other.retry), debug(&self.retry, &other.retry)),
            (
                "retry.idempotent_methods",
                self.retries == other.retries,
                debug(&self.retries, &other.retries),
            ),
            ("breaker", self.breaker == other.breaker, debug(&self.breaker, &other.breaker)),
            ("bulkhead", self.bulkhead == other.bulkhead, debug(&self.bulkhead, &other.bulkhead)),
            ("rate", self.rate == other.rate, debug(&self.rate, &other.rate)),
            ("classifier", classifiers, debug(&self.classifier, &other.classifier)),
            (
                "streaming",
                self.streaming == other.streaming,
                debug(&self.streaming, &other.streaming),
            ),
            ("routes", self.routes == other.routes, debug(&self.routes, &other.routes)),
        ];
        let (setting, _, [here, there]) = found.into_iter().find(|(_, same, _)| !same)?;
        Some((setting, format!("{here:?}"), format!("{there:?}")))
    }

    /// Reads the routes' patterns.
    pub(super) fn patterns(&self) -> Result<Vec<(Pattern, &str, &RouteConfig)>, ConfigError> {
        let allowed = "a method and path such as `GET /items/{id}`, a path, or \
                       `package.Service/Method`";
        let parse = |route: &String| {
            let error = || ConfigError::new("route", format_args!("{route:?}"), allowed);
            Pattern::parse(route).ok_or_else(error)
        };
        let all = self.routes.iter();
        all.map(|(route, settings)| Ok((parse(route)?, route.as_str(), settings))).collect()
    }
}

impl Default for PeerConfig {
    fn default() -> Self {
        Self::new()
    }
}
