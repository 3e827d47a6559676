//! The settings of the layer that serves versions.

use super::{
    admission::{AfterSunset, CallerHook, CallerInfo, MatchedHook, ServerShared},
    callers::{DeclaredCallers, UndeclaredCallers},
    calls::Calls,
    error::ApiConfigError,
    layer::ApiServerLayer,
    notice::NoticeLinks,
    versions::Versions,
};
use crate::runtime::{clock::Clock, counting_setters, recorder::Recorder, routes::ApiRoutes};
use http::Extensions;
use meshwise_api::Declared;
use std::{fmt, sync::Arc};

/// How many callers are told apart by default.
const MAX_CALLERS: usize = 200;

/// Puts an [`ApiServerLayer`] together.
///
/// | setting | default |
/// |---|---|
/// | [`with_routes`](Self::with_routes) | [`ApiRoutes::provided`] |
/// | [`with_after_sunset`](Self::with_after_sunset) | [`AfterSunset::Serve`] |
/// | [`with_caller`](Self::with_caller) | no hook |
/// | [`with_matched`](Self::with_matched) | no hook: every 404 is the router's |
/// | [`with_trusted_callers`](Self::with_trusted_callers) | yes: the `mw` entry of `tracestate` names the caller |
/// | [`with_undeclared_callers`](Self::with_undeclared_callers) | they are counted and served |
/// | [`with_declared_callers`](Self::with_declared_callers) | who names the version that it asks for |
/// | [`with_verified_callers_only`](Self::with_verified_callers_only) | no: a claimed name counts |
/// | [`with_max_callers`](Self::with_max_callers) | 200 |
/// | [`with_pages`](Self::with_pages) | `/apis` |
/// | [`with_documentation_links`](Self::with_documentation_links) | no |
/// | [`with_recorder`](Self::with_recorder) | the global one |
/// | [`with_clock`](Self::with_clock) | the system's |
#[derive(Clone)]
#[must_use]
pub struct ApiServerBuilder {
    declared: Declared,
    routes: Option<ApiRoutes>,
    after_sunset: AfterSunset,
    caller: Option<Arc<CallerHook>>,
    matched: Option<Arc<MatchedHook>>,
    trust_trace: bool,
    undeclared: UndeclaredCallers,
    declared_callers: DeclaredCallers,
    verified_only: bool,
    max_callers: usize,
    links: NoticeLinks,
    recorder: Recorder,
    clock: Clock,
}

impl ApiServerBuilder {
    pub(super) fn new(declared: Declared) -> Self {
        Self {
            declared,
            routes: None,
            after_sunset: AfterSunset::default(),
            caller: None,
            matched: None,
            trust_trace: true,
            undeclared: UndeclaredCallers::default(),
            declared_callers: DeclaredCallers::default(),
            verified_only: false,
            max_callers: MAX_CALLERS,
            links: NoticeLinks::default(),
            recorder: Recorder::default(),
            clock: Clock::default(),
        }
    }

    /// Sets how requests map to APIs and versions.
    pub fn with_routes(mut self, routes: ApiRoutes) -> Self {
        self.routes = Some(routes);
        self
    }

    /// Sets what becomes of calls to a version whose sunset has passed.
    pub fn with_after_sunset(mut self, after: AfterSunset) -> Self {
        self.after_sunset = after;
        self
    }

    /// Sets how it is found what the caller told of itself, from a request's extensions or from the
    /// current context. What it does not find, the `mw` entry is asked for. A
    /// [`VerifiedCaller`](meshwise_core::VerifiedCaller) in the extensions goes before both.
    pub fn with_caller(
        mut self,
        caller: impl Fn(&Extensions) -> CallerInfo + Send + Sync + 'static,
    ) -> Self {
        self.caller = Some(Arc::new(caller));
        self
    }

    /// Sets how it is known, by a request's extensions, that the router has found a handler: a 404 is
    /// the handler's then, and the request counts. Without it every 404 is the router's.
    #[doc(hidden)]
    pub fn with_matched(
        mut self,
        matched: impl Fn(&Extensions) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.matched = Some(Arc::new(matched));
        self
    }

    /// Sets whether callers are believed who they say they are in the `mw` entry of `tracestate`.
    /// Say no where strangers call.
    pub fn with_trusted_callers(mut self, trust: bool) -> Self {
        self.trust_trace = trust;
        self
    }

    /// Sets what becomes of calls whose caller has declared nothing.
    pub fn with_undeclared_callers(mut self, undeclared: UndeclaredCallers) -> Self {
        self.undeclared = undeclared;
        self
    }

    /// Sets who has declared that it calls. Without a list it is who names the version that it asks
    /// for, as meshwise's clients do for what their `api.toml` requires.
    pub fn with_declared_callers(mut self, callers: DeclaredCallers) -> Self {
        self.declared_callers = callers;
        self
    }

    /// Sets whether only a [`VerifiedCaller`](meshwise_core::VerifiedCaller) counts as one that
    /// has declared; a claim does by default.
    pub fn with_verified_callers_only(mut self, only: bool) -> Self {
        self.verified_only = only;
        self
    }

    /// Sets how many callers are told apart; calls of further ones count for `_other`. 65536 at
    /// most.
    pub fn with_max_callers(mut self, callers: usize) -> Self {
        self.max_callers = callers;
        self
    }

    /// Sets where the pages about APIs are reached: a path or URL, to which links lead.
    pub fn with_pages(mut self, url: impl Into<String>) -> Self {
        let mut url = url.into();
        url.truncate(url.trim_end_matches('/').len());
        self.links.pages = Some(url);
        self
    }

    /// Says that those who call here do not reach the pages about APIs: no link leads there.
    #[doc(hidden)]
    pub fn without_pages(mut self) -> Self {
        self.links.pages = None;
        self
    }

    /// Sets whether responses also link to what people should read, as `rel="deprecation"` and
    /// `rel="sunset"`: the version's `migration` if that is a URL, otherwise its page.
    pub fn with_documentation_links(mut self, on: bool) -> Self {
        self.links.documentation = on;
        self
    }

    /// Adds a link to the responses of a version once it is deprecated; one with the same relation
    /// is replaced. `successor-version` leads by default to the version that `api.toml` names, if this
    /// service provides it: to its path, in the form in which the request named its own
    /// (`/shop/orders/v2` for `/shop/orders/v1/7`) or a rule has it, or else to its page.
    pub fn with_link(
        mut self,
        api: impl Into<String>,
        version: impl Into<String>,
        rel: impl Into<String>,
        target: impl Into<String>,
    ) -> Self {
        let (api, version, rel) = (api.into(), version.into(), rel.into().to_ascii_lowercase());
        self.links.own.retain(|own| (&own.0, &own.1, &own.2) != (&api, &version, &rel));
        self.links.own.push((api, version, rel, target.into()));
        self
    }

    counting_setters!();

    /// Makes the layer; counting begins.
    ///
    /// # Errors
    /// If a route or link names an API or version that was not declared, a prefix begins without a
    /// slash, or a link is none.
    pub fn build(self) -> Result<ApiServerLayer, ApiConfigError> {
        let routes = self.routes.unwrap_or_else(|| ApiRoutes::provided(&self.declared));
        let versions = Versions::new(&self.declared, routes, &self.links)?;
        let calls = Calls::new(self.recorder, self.max_callers, versions.rows());
        Ok(ApiServerLayer::from_shared(ServerShared {
            service: self.declared.service,
            versions,
            calls,
            clock: self.clock,
            after_sunset: self.after_sunset,
            caller: self.caller,
            matched: self.matched,
            trust_trace: self.trust_trace,
            undeclared: self.undeclared,
            declared_callers: self.declared_callers,
            verified_only: self.verified_only,
        }))
    }
}

impl fmt::Debug for ApiServerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiServerBuilder")
            .field("service", &self.declared.service)
            .field("routes", &self.routes)
            .field("after_sunset", &self.after_sunset)
            .field("links", &self.links)
            .field("recorder", &self.recorder)
            .finish_non_exhaustive()
    }
}
