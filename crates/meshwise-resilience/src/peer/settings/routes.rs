//! What is set for a route.

use super::guards;
use crate::peer::{PeerConfig, RouteConfig, config::RouteGuard};
use meshwise_core::settings::RouteSettings;
use std::cmp::Reverse;

impl PeerConfig {
    /// Puts what is set for a route over what code says of it, or adds the route.
    pub(super) fn set_route(&mut self, route: &str, said: &RouteSettings) {
        let known = self.routes.iter().position(|(name, _)| name.trim() == route.trim());
        let at = known.unwrap_or_else(|| {
            // The first route that matches counts.
            let own = rank(route);
            let at = self.routes.iter().position(|(name, _)| rank(name) <= own);
            let at = at.unwrap_or(self.routes.len());
            self.routes.insert(at, (route.to_owned(), RouteConfig::new()));
            at
        });
        let (breaker, bulkhead, rate) = (&self.breaker, &self.bulkhead, &self.rate);
        let Some((_, config)) = self.routes.get_mut(at) else { return };
        config.total = said.deadline.total.get().copied().or(config.total);
        config.timeout = said.timeout.limit.get().copied().or(config.timeout);
        config.attempts = said.retry.attempts.get().copied().or(config.attempts);
        config.streaming = said.streaming.or(config.streaming);
        set(&mut config.breaker, breaker.as_ref(), said.breaker != Default::default(), |own| {
            guards::breaker(own, &said.breaker);
        });
        set(&mut config.bulkhead, bulkhead.as_ref(), said.bulkhead != Default::default(), |own| {
            guards::bulkhead(own, &said.bulkhead);
        });
        set(&mut config.rate, rate.as_ref(), said.rate != Default::default(), |own| {
            guards::rate(own, &said.rate);
        });
    }
}

/// Changes a route's guard, if anything is said of it: it is then the route's own, and begins as the
/// peer's.
fn set<T: Clone>(
    guard: &mut RouteGuard<T>,
    peer: Option<&T>,
    is_said: bool,
    change: impl FnOnce(&mut Option<T>),
) {
    if !is_said {
        return;
    }
    let mut own = guard.or(peer);
    change(&mut own);
    *guard = own.map_or(RouteGuard::Without, RouteGuard::Own);
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

impl RouteConfig {
    /// Returns what is different for the route.
    pub(super) fn settings(&self) -> RouteSettings {
        let mut all = RouteSettings::default();
        if let Some(total) = self.total {
            all.deadline.total.set(total);
        }
        if let Some(limit) = self.timeout {
            all.timeout.limit.set(limit);
        }
        if let Some(attempts) = self.attempts {
            all.retry.attempts.set(attempts);
        }
        if self.streaming {
            all.streaming.set(true);
        }
        match &self.breaker {
            RouteGuard::Peer => {}
            RouteGuard::Without => all.breaker.enabled.set(false),
            RouteGuard::Own(own) => all.breaker = guards::breaker_settings(Some(own)),
        }
        match &self.bulkhead {
            RouteGuard::Peer => {}
            RouteGuard::Without => all.bulkhead.enabled.set(false),
            RouteGuard::Own(own) => all.bulkhead = guards::bulkhead_settings(Some(own)),
        }
        match &self.rate {
            RouteGuard::Peer => {}
            RouteGuard::Without => all.rate.enabled.set(false),
            RouteGuard::Own(own) => all.rate = guards::rate_settings(Some(own)),
        }
        all
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_route_stands_before_those_that_are_no_more_particular() {
        let mut config = PeerConfig::new()
            .with_route("GET /items/{id}", RouteConfig::new())
            .with_route("/items/{id}", RouteConfig::new())
            .with_route("/{*rest}", RouteConfig::new());
        for route in ["/files/{*path}", "GET /items/new", "/a/{b}", "/{*rest}"] {
            config.set_route(route, &RouteSettings::default());
        }
        let order: Vec<&str> = config.routes.iter().map(|(route, _)| route.as_str()).collect();
        let wanted = [
            "GET /items/new",
            "GET /items/{id}",
            "/a/{b}",
            "/items/{id}",
            "/files/{*path}",
            "/{*rest}",
        ];
        assert_eq!(order, wanted);
    }
}
