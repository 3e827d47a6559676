//! Which API and version an outgoing request is for.

use crate::runtime::routes::{ApiRoutes, Asked, Found, RequestHead, main_of};
use http::Request;
use meshwise_api::{Declared, RequiredApi};
use meshwise_core::ApiVersion;
use std::sync::Arc;

/// Knows what is required of one peer.
#[derive(Debug)]
pub(super) struct Targets {
    declared: Declared,
    routes: ApiRoutes,
    peer: Arc<str>,
    /// The API of requests that no rule fits.
    default_api: Arc<str>,
}

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Target<'a> {
    pub(super) api: &'a str,
    /// None if no one said.
    pub(super) version: Option<&'a str>,
}

impl Targets {
    pub(super) fn new(declared: Declared, routes: ApiRoutes, peer: Arc<str>) -> Self {
        // What bears the peer's own name is meant; otherwise the only API that it provides.
        let mut provided = declared.requires.iter().filter(|api| api.provider == Some(&*peer));
        let only = provided.next().filter(|first| provided.all(|api| api.api == first.api));
        let default_api = match only {
            Some(only) if !declared.requires_api(&peer) => Arc::from(only.api),
            _ => Arc::clone(&peer),
        };
        Self { declared, routes, peer, default_api }
    }

    pub(super) fn peer(&self) -> &Arc<str> {
        &self.peer
    }

    /// Finds what a request is for. What it says itself, in its extensions, goes before all else.
    pub(super) fn find<'a, B>(&'a self, request: &'a Request<B>) -> Target<'a> {
        let head = RequestHead::of(request);
        let mut target = match self.routes.find(head) {
            Some(Found::Rule(number)) => match self.routes.rules.get(number) {
                Some(rule) => match &rule.version {
                    Asked::Fixed(version) => self.required(&rule.api, version),
                    Asked::Header(name) => {
                        let version = head.headers.get(name).and_then(|value| value.to_str().ok());
                        Target { api: &rule.api, version: version.or_else(|| self.only(&rule.api)) }
                    }
                    Asked::Nothing => self.by_default(),
                },
                None => self.by_default(),
            },
            Some(Found::Named(api, version)) => self.required(api, version),
            Some(Found::Package(api, main)) => self.required(api, main),
            Some(Found::Nothing) | None => self.by_default(),
        };
        if let Some(ApiVersion(version)) = request.extensions().get() {
            target.version = Some(version);
        }
        target
    }

    /// Tells whether calls to the API were declared.
    ///
    /// A peer that provides several APIs is itself declared: which of them a request is for
    /// cannot be told without rules.
    pub(super) fn is_declared(&self, api: &str) -> bool {
        let by_provider = || {
            let peer = &*self.peer;
            api == peer && self.declared.requires.iter().any(|api| api.provider == Some(peer))
        };
        self.declared.requires_api(api) || by_provider()
    }

    fn by_default(&self) -> Target<'_> {
        Target { api: &self.default_api, version: self.only(&self.default_api) }
    }

    /// Completes a main version to the one that is required.
    fn required<'a>(&self, api: &'a str, version: &'a str) -> Target<'a> {
        let text = version.strip_prefix('v').unwrap_or(version);
        let is_main = main_of(version) == Some(text);
        let exactly = |required: &&RequiredApi| required.version == version;
        let by_main = |required: &&RequiredApi| is_main && main_of(required.version) == Some(text);
        let mut candidates = self.declared.required(api).filter(by_main);
        let found = match self.declared.required(api).find(exactly) {
            None => candidates.next().filter(|_| candidates.next().is_none()),
            found => found,
        };
        Target { api, version: Some(found.map_or(version, |required| required.version)) }
    }

    /// Returns the version that is required of an API, if it is just one.
    fn only(&self, api: &str) -> Option<&'static str> {
        let mut required = self.declared.required(api).map(|required| required.version);
        let first = required.next()?;
        required.all(|version| version == first).then_some(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderName;

    const fn from(provider: &'static str, api: &'static str, version: &'static str) -> RequiredApi {
        RequiredApi { provider: Some(provider), ..RequiredApi::new(api, version) }
    }

    const REQUIRES: &[RequiredApi] = &[
        RequiredApi::new("auth", "1.1"),
        from("identity", "tokens", "2.0"),
        from("warehouse", "stock", "3.0"),
        from("warehouse", "shelves", "1.0"),
        RequiredApi::new("prices", "1.0"),
        RequiredApi::new("prices", "2.0"),
    ];

    fn targets(peer: &str, routes: ApiRoutes) -> Targets {
        Targets::new(
            Declared { requires: REQUIRES, ..Declared::new("orders") },
            routes,
            peer.into(),
        )
    }

    #[test]
    fn without_rules_the_peer_s_name_decides() {
        for (peer, api, version, declared) in [
            ("auth", "auth", Some("1.1"), true),
            ("identity", "tokens", Some("2.0"), true),
            ("warehouse", "warehouse", None, true),
            ("prices", "prices", None, true),
            ("stranger", "stranger", None, false),
        ] {
            let targets = targets(peer, ApiRoutes::new());
            let request = Request::get("/x").body(()).unwrap();
            assert_eq!(targets.find(&request), Target { api, version }, "{peer}");
            assert_eq!(targets.is_declared(api), declared, "{peer}");
        }
        assert!(!targets("auth", ApiRoutes::new()).is_declared("identity"));
    }

    #[test]
    fn rules_name_api_and_version() {
        let routes = ApiRoutes::new()
            .path("/v1", "prices", "v1")
            .path("/v9", "prices", "v9")
            .path("/t", "tokens", "2.0")
            .path_by_header("/h", "auth", HeaderName::from_static("accept-version"));
        let targets = targets("gateway", routes);
        let find = |path: &str, version: Option<&'static str>, extension: Option<&str>| {
            let mut request = Request::get(path).body(()).unwrap();
            if let Some(version) = version {
                request.headers_mut().insert("accept-version", version.parse().unwrap());
            }
            if let Some(version) = extension {
                request.extensions_mut().insert(ApiVersion(version.into()));
            }
            let target = targets.find(&request);
            format!("{}@{}", target.api, target.version.unwrap_or("-"))
        };
        assert_eq!(find("/v1/x", None, None), "prices@1.0");
        assert_eq!(find("/v9/x", None, None), "prices@v9");
        assert_eq!(find("/t", None, None), "tokens@2.0");
        assert_eq!(find("/h", None, None), "auth@1.1");
        assert_eq!(find("/h", Some("1.2"), None), "auth@1.2");
        assert_eq!(find("/h", Some("1.2"), Some("1.3")), "auth@1.3");
        assert_eq!(find("/else", None, None), "gateway@-");
    }
}
