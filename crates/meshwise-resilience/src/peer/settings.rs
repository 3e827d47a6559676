//! What an operator says, put over what code says, and both shown.

use super::PeerConfig;
use crate::setters;
use meshwise_core::settings::{BreakerSettings, FaultSettings, Map, PeerSettings};
use std::{cmp::Reverse, mem};

impl PeerConfig {
    /// Puts what is set over what is here: where it is enabled, a guard that was left out is there again,
    /// and one that is not is left out. A leaf that is unset changes nothing.
    ///
    /// Routes that are named here too are changed; others stand before the first that is no more
    /// particular than they are. Where the peer is, and faults, are for others to set.
    ///
    /// ```
    /// use meshwise_core::settings::Settings;
    /// use meshwise_resilience::PeerConfig;
    /// use std::time::Duration;
    /// let mut settings = Settings::default();
    /// settings.peer.timeout.limit.set(Duration::from_millis(400));
    /// settings.peer.breaker.enabled.set(true);
    ///
    /// let author = PeerConfig::new().with_timeout(Duration::from_secs(1)).without_breaker();
    /// let config = author.with_settings(&settings.peer("stock"));
    /// assert_eq!(config.settings().timeout.limit.get(), Some(&Duration::from_millis(400)));
    /// assert_eq!(config.settings().breaker.enabled.get(), Some(&true));
    /// ```
    #[must_use]
    pub fn with_settings(mut self, settings: &PeerSettings) -> Self {
        let budget = &settings.retry.budget;
        if budget.share.is_set() || budget.per_second.is_set() {
            let own = self.budget.take();
            if own.is_some_and(|own| own.said().is_none()) {
                self.said.retry.budget = setters::defaults().retry.budget.clone();
            }
        }
        over_breaker(&mut self.said.breaker, &settings.breaker);
        let (url, fault) = (mem::take(&mut self.said.url), FaultSettings::default());
        self.said.overlay(settings);
        (self.said.url, self.said.fault, self.said.routes) = (url, fault, Map::default());
        for (route, said) in settings.routes.iter() {
            let known = self.routes.iter().position(|(name, _)| name.trim() == route.trim());
            let at = known.unwrap_or_else(|| {
                // The first route that matches counts.
                let own = rank(route);
                let at = self.routes.iter().position(|(name, _)| rank(name) <= own);
                let at = at.unwrap_or(self.routes.len());
                self.routes.insert(at, (route.to_owned(), Default::default()));
                at
            });
            if let Some((_, config)) = self.routes.get_mut(at) {
                over_breaker(&mut config.0.breaker, &said.breaker);
                config.0.overlay(said);
            }
        }
        self
    }

    /// Returns all settings of the guards, as they are; of a guard that is left out, no more than that.
    #[must_use]
    pub fn settings(&self) -> PeerSettings {
        macro_rules! left_out {
            ($($all:ident: $($guard:ident)+;)+) => { $($(
                if $all.$guard.enabled.get() == Some(&false) {
                    let enabled = mem::take(&mut $all.$guard.enabled);
                    $all.$guard = Default::default();
                    $all.$guard.enabled = enabled;
                }
            )+)+ };
        }
        let mut all = self.said.clone();
        let bulkhead = &mut all.bulkhead;
        left_out!(bulkhead: adaptive;);
        left_out!(all: deadline timeout retry breaker bulkhead rate;);
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

/// Tells how particular a route is: the more of its parts are names, and none is left open, the more.
fn rank(route: &str) -> (Reverse<usize>, Reverse<usize>, usize, bool) {
    let (method, path) = match route.trim().split_once(' ') {
        Some((method, path)) => (method, path.trim_start()),
        None => ("", route.trim()),
    };
    let is_rest = |part: &str| part == "*" || part.starts_with("{*");
    let parts = || path.split('/').filter(|part| !part.is_empty());
    let rest = parts().filter(|part| is_rest(part)).count();
    let open = parts().filter(|part| part.starts_with('{') && !is_rest(part)).count();
    (Reverse(rest), Reverse(open), parts().count(), !method.is_empty())
}

#[cfg(test)]
mod tests;
