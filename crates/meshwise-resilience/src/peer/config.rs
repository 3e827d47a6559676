//! Which guards a peer has, and how they are set.

use crate::{
    breaker::BreakerConfig,
    bulkhead::BulkheadConfig,
    config::{self, setters},
    guard::Pattern,
    rate::RateConfig,
    retry::{HttpRetries, RetryBudget, RetryConfig},
    timeout::DeadlineConfig,
};
use http::HeaderName;
use meshwise_core::{
    Classifier,
    settings::{BreakerSettings, FaultSettings, Map, PeerSettings, RouteSettings, Source},
};
use std::{fmt, mem, time::Duration};

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
#[must_use]
pub struct PeerConfig {
    /// All that can be said without code, but for where the peer is, faults, and routes.
    pub(super) said: PeerSettings,
    /// In their order: the first that matches counts.
    pub(super) routes: Vec<(String, RouteConfig)>,
    /// How the incoming call's deadlines are found.
    pub(super) incoming: DeadlineConfig,
    pub(super) incoming_attempt: Option<fn() -> u32>,
    pub(super) budget: Option<RetryBudget>,
    pub(super) classifier: Classifier,
    pub(crate) timeout_header: Option<HeaderName>,
}

/// Sets what is different for one route of a peer.
///
/// What is not set is as for the peer; a bulkhead, breaker or rate limit that is set is the route's
/// own, in the place of the peer's, and one that is left out is none.
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub struct RouteConfig(pub(super) RouteSettings);

setters! { RouteConfig.0 = Self(RouteSettings::default()); {
    /// Sets the longest that a call may take in all.
    with_total(total: Duration) => deadline.total = total;
    /// Sets how long an attempt may take.
    with_timeout(limit: Duration) => timeout.limit = limit;
    /// Sets how many attempts are made in all; 1 turns retries off.
    with_attempts(attempts: u32) => retry.attempts = attempts;
    /// Gives the route a circuit breaker of its own.
    with_breaker(breaker: BreakerConfig) => [breaker];
    /// Leaves the circuit breaker out on the route.
    without_breaker() => breaker.enabled = false;
    /// Gives the route a bulkhead of its own: so many calls may be in flight.
    with_bulkhead(bulkhead: BulkheadConfig) => [bulkhead];
    /// Leaves the bulkhead out on the route.
    without_bulkhead() => bulkhead.enabled = false;
    /// Sets how many attempts may be made in a time on the route, apart from all others.
    with_rate_limit(rate: RateConfig) => [rate];
    /// Leaves the rate limit out on the route.
    without_rate_limit() => rate.enabled = false;
    /// Says that the route's responses stream.
    streaming() => streaming = true;
} }

setters! { PeerConfig.said = Self {
    said: config::DEFAULTS.peer.clone(),
    routes: Vec::new(),
    incoming: DeadlineConfig::new(),
    incoming_attempt: None,
    budget: None,
    classifier: Classifier::new(),
    timeout_header: None,
}; {
    /// Sets the longest that a call may take in all; 10 s by default. Once set it holds for streams,
    /// too.
    with_total(total: Duration) => deadline.enabled = true, deadline.total = total;
    /// Sets no limit of its own: only the request's deadline and the incoming call's count.
    without_total() => deadline.enabled = false;
    /// Takes every response for one that streams: guards, and the total, end with its head.
    until_head() => streaming.all = true;
    /// Makes one attempt a call.
    without_retry() => retry.enabled = false;
    /// Sets how long an attempt may take; 3 s by default.
    with_timeout(limit: Duration) => timeout.enabled = true, timeout.limit = limit;
    /// Lets an attempt take as long as the whole call may.
    without_timeout() => timeout.enabled = false;
    /// Sets when the circuit breaker opens and closes.
    with_breaker(breaker: BreakerConfig) => [breaker];
    /// Leaves the circuit breaker out.
    without_breaker() => breaker.enabled = false;
    /// Sets how many calls may be in flight.
    with_bulkhead(bulkhead: BulkheadConfig) => [bulkhead];
    /// Leaves the bulkhead out.
    without_bulkhead() => bulkhead.enabled = false;
    /// Sets how many attempts may be made in a time; there is no limit by default.
    with_rate_limit(rate: RateConfig) => [rate];
} }

impl RouteConfig {
    fn overlay(&mut self, said: &RouteSettings) {
        over_breaker(&mut self.0.breaker, &said.breaker);
        self.0.overlay(said);
    }
}

impl PeerConfig {
    /// Says which gRPC methods stream: `package.Service/Method`, or `package.Service/*`.
    pub fn with_streaming<M: Into<String>>(mut self, methods: impl IntoIterator<Item = M>) -> Self {
        let listed = &mut self.said.streaming.methods;
        let mut all = listed.get().cloned().unwrap_or_default();
        for method in methods {
            let method: String = method.into();
            let method = method.strip_prefix('/').unwrap_or(&method).to_owned();
            if !all.contains(&method) {
                all.push(method);
            }
        }
        listed.set(all);
        self
    }

    /// Sets what is different for a route: `GET /items/{id}`, `/files/{*path}` (any method),
    /// `package.Service/Method` or `package.Service/*`. The first route that matches counts, and
    /// one stands before another that matches all its calls; it is the request's whole path that has to match,
    /// with that of the client's base URL. A route that is there, however it is spelt, is changed.
    ///
    /// ```
    /// use meshwise_resilience::{PeerConfig, RouteConfig};
    /// use std::time::Duration;
    /// let config = PeerConfig::new()
    ///     .with_route("GET /reports/{id}", RouteConfig::new().with_timeout(Duration::from_secs(8)))
    ///     .with_route("stock.v1.Stock/Watch", RouteConfig::new().streaming());
    /// ```
    pub fn with_route(mut self, route: impl Into<String>, settings: RouteConfig) -> Self {
        let route = route.into();
        let pattern = Pattern::parse(&route).ok();
        let wider = |(name, _): &(String, _)| {
            Pattern::parse(name).ok().zip(pattern.as_ref()).is_some_and(|(it, new)| it.covers(new))
        };
        let at = self.routes.iter().position(wider).unwrap_or(self.routes.len());
        match self.routes.get_mut(at) {
            Some((name, same)) if Pattern::parse(name).ok() == pattern => same.overlay(&settings.0),
            _ => self.routes.insert(at, (route, settings)),
        }
        self
    }

    /// Changes the routes of this path that are for the same methods; if there is none for just these, it
    /// is a route of its own.
    fn change_route(&mut self, route: &str, said: &RouteSettings) {
        let of = |name: &str| Pattern::parse(name).ok();
        let Some(wanted) = of(route) else {
            // Refused when the guards are made.
            return self.routes.push((route.to_owned(), RouteConfig(said.clone())));
        };
        let (mut known, mut own, mut least) = (false, RouteConfig::new(), 0);
        for (at, (name, config)) in self.routes.iter_mut().enumerate() {
            let Some(there) = of(name) else { continue };
            let same_path = there.path == wanted.path;
            if wanted.covers(&there) {
                // Before these none of them could be found.
                least = at + 1;
                known |= there == wanted;
                if same_path {
                    config.overlay(said);
                }
            } else if same_path && there.method.is_empty() {
                own = config.clone();
            }
        }
        if !known {
            own.overlay(said);
            let after =
                |(name, _): &(String, _)| of(name).map(|it| it.rank()) <= Some(wanted.rank());
            let at = self.routes.iter().position(after).unwrap_or(self.routes.len());
            self.routes.insert(at.max(least), (route.to_owned(), own));
        }
    }

    /// Sets how to find out what bounds the incoming call on whose behalf a call is made, and how many
    /// times it had been tried before. An attempt gets at most 0.8 of what is left of the incoming call's
    /// earliest limit, so that this service's own attempts end before its caller gives up.
    #[doc(hidden)]
    pub fn with_incoming(mut self, deadlines: DeadlineConfig, attempt: fn() -> u32) -> Self {
        (self.incoming, self.incoming_attempt) = (deadlines, Some(attempt));
        self
    }

    /// Sets the name of the header by which a request tells how much time the call has, in milliseconds;
    /// `x-request-timeout-ms` by default.
    #[doc(hidden)]
    pub fn with_timeout_header(mut self, header: HeaderName) -> Self {
        self.timeout_header = Some(header);
        self
    }

    /// Sets how often, when and within which budget calls are tried again; how to find the incoming
    /// call's attempts, and which methods may be repeated, stays as it was.
    pub fn with_retry(mut self, retry: RetryConfig) -> Self {
        let methods = mem::take(&mut self.said.retry.idempotent_methods);
        self.said.retry = retry.said;
        self.said.retry.idempotent_methods = methods;
        self.budget = retry.budget;
        self.incoming_attempt = retry.incoming.or(self.incoming_attempt);
        self
    }

    /// Sets which calls are tried again.
    #[allow(clippy::needless_pass_by_value, reason = "as all setters take theirs")]
    pub fn with_retries(mut self, retries: HttpRetries) -> Self {
        self.said.retry.idempotent_methods.set(retries.methods.to_vec());
        self
    }

    /// Sets how answers and errors are judged: what counts against the peer, what is tried again,
    /// what is overload.
    pub fn with_classifier(mut self, classifier: Classifier) -> Self {
        self.classifier = classifier;
        self
    }

    /// Returns how answers and errors are judged.
    #[doc(hidden)]
    pub const fn classifier(&self) -> &Classifier {
        &self.classifier
    }

    /// Returns the first setting that differs: its name, the value here and the other. How the
    /// incoming call is found, and how a transport's errors are looked into, is not compared: that
    /// is each client's own.
    pub(crate) fn difference(&self, other: &Self) -> Option<[String; 3]> {
        let routes = |of: &Self| of.routes.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        let budget = |of: &Self| of.budget.clone().filter(RetryBudget::is_of_tokens);
        let one_budget = match (budget(self), budget(other)) {
            (Some(one), Some(other)) => one.is(&other),
            (one, other) => one.is_none() && other.is_none(),
        };
        let source = |of: &Self| of.said.deadline.total.source().clone();
        let same_total = self.is_total_set() == other.is_total_set();
        let same_routes = routes(self) == routes(other);
        let same_tables = self.classifier.same_tables(&other.classifier);
        let beside: [(&str, bool, [&dyn fmt::Debug; 2]); 4] = [
            ("deadline.total", same_total, [&source(self), &source(other)]),
            ("routes", same_routes, [&routes(self), &routes(other)]),
            ("classifier", same_tables, [&self.classifier, &other.classifier]),
            ("retry.budget", one_budget, [&self.budget, &other.budget]),
        ];
        self.settings().difference(&other.settings()).or_else(|| {
            let (setting, _, both) = beside.into_iter().find(|(_, same, _)| !same)?;
            let [one, other] = both.map(|value| format!("{value:?}"));
            Some([setting.to_owned(), one, other])
        })
    }

    /// Tells whether the total was set on purpose: a default does not hold for streams.
    pub(super) fn is_total_set(&self) -> bool {
        let said = &self.said.deadline;
        said.enabled.or_none() && *said.total.source() != Source::Default
    }
}

impl PeerConfig {
    /// Puts what is set over what is here: where it is enabled, a guard that was left out is there again,
    /// and one that is not is left out. A leaf that is unset changes nothing.
    ///
    /// Routes that are named here too are changed, however they are spelt; one for any method changes all
    /// of its path, and one for a method begins from that for any. Others stand before the first that is
    /// no more particular than they are. Where the peer is, and faults, are for others to set.
    pub fn with_settings(mut self, settings: &PeerSettings) -> Self {
        let budget = &settings.retry.budget;
        if budget.share.is_set() || budget.per_second.is_set() {
            let own = self.budget.take();
            if own.is_some_and(|own| own.is_of_tokens()) {
                self.said.retry.budget = config::DEFAULTS.peer.retry.budget.clone();
            }
        }
        over_breaker(&mut self.said.breaker, &settings.breaker);
        let (url, fault) = (mem::take(&mut self.said.url), FaultSettings::default());
        self.said.overlay(settings);
        (self.said.url, self.said.fault, self.said.routes) = (url, fault, Map::default());
        let mut routes: Vec<_> = settings.routes.iter().collect();
        // What begins from others comes after them.
        routes.sort_by_key(|(route, _)| !route.trim_start().starts_with('/'));
        routes.into_iter().for_each(|(route, said)| self.change_route(route, said));
        self
    }

    /// Returns all settings of the guards, as they are; of a guard that is left out, no more than that.
    #[must_use]
    pub fn settings(&self) -> PeerSettings {
        macro_rules! left_out {
            ($all:expr; $($guard:ident)+) => { $(
                if $all.$guard.enabled.get() == Some(&false) {
                    let enabled = mem::take(&mut $all.$guard.enabled);
                    $all.$guard = Default::default();
                    $all.$guard.enabled = enabled;
                }
            )+ };
        }
        let mut all = self.said.clone();
        left_out!(all.bulkhead; adaptive);
        left_out!(all; deadline timeout retry breaker bulkhead rate);
        for (route, config) in &self.routes {
            *all.routes.entry(route) = config.0.clone();
        }
        all
    }
}

/// Puts what is said of a circuit breaker over another: a time that is set is meant to count, also where
/// code counts calls.
pub(super) fn over_breaker(breaker: &mut BreakerSettings, said: &BreakerSettings) {
    if said.window.time.is_set() && !said.window.calls.is_set() {
        breaker.window.calls.set(0_u32);
    }
    breaker.overlay(said);
}

#[cfg(test)]
mod tests;
