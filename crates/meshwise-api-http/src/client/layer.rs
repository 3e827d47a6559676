//! The layer that calls a peer's APIs, and its settings.

use super::{
    notices::Notices, service::ApiClientService, shared::ClientShared, targets::Targets,
    undeclared::Undeclared,
};
use crate::runtime::{clock::Clock, counting_setters, recorder::Recorder, routes::ApiRoutes};
use meshwise_api::Declared;
use std::sync::Arc;
use tower_layer::Layer;

/// Hears of the end of a peer's API versions, and notices calls that no one declared.
///
/// One for each peer. Put it outside the layer that observes calls, so that the version it
/// names reaches the wire, and outside of retries, so that a call counts once.
///
/// | what happens | what comes of it |
/// |---|---|
/// | an answer carries `Deprecation` or `Sunset` | `meshwise_api_deprecated_responses_total{peer,api,version}`; one warning a day (target `meshwise::api`) with dates, successor and the number of such answers |
/// | a call is for an API that is not in `[[requires]]` | `meshwise_api_undeclared_calls_total{peer,api}`; one warning for each API; refused if so set |
/// | the version asked for is known | it stands in the request's extensions, as [`ApiVersion`] |
///
/// The API of a request is the one that a rule names ([`ApiRoutes`]); without one it is what bears
/// the peer's name, or the only one that the lock file says it provides. A request that carries
/// an [`ApiVersion`] already keeps it.
///
/// ```
/// use meshwise_api::{Declared, RequiredApi};
/// use meshwise_api_http::{ApiClientLayer, Undeclared};
/// # fn client() -> impl Clone {}
/// use tower_layer::Layer;
///
/// # const DECLARED: Declared = Declared {
/// #     requires: &[RequiredApi::new("auth", "1.1")], ..Declared::new("orders")
/// # };
/// let layer = ApiClientLayer::builder(DECLARED, "auth")    // meshwise_api::declared!()
///     .with_undeclared(Undeclared::Refuse)
///     .build();
/// let service = layer.layer(client());
/// ```
///
/// [`ApiVersion`]: meshwise_core::ApiVersion
#[derive(Clone, Debug)]
pub struct ApiClientLayer {
    shared: Arc<ClientShared>,
}

impl ApiClientLayer {
    /// Calls the peer `peer` with the default settings.
    #[must_use]
    pub fn new(declared: Declared, peer: impl Into<Arc<str>>) -> Self {
        Self::builder(declared, peer).build()
    }

    /// Starts with the default settings for the peer `peer`.
    pub fn builder(declared: Declared, peer: impl Into<Arc<str>>) -> ApiClientBuilder {
        ApiClientBuilder {
            declared,
            peer: peer.into(),
            routes: None,
            undeclared: Undeclared::default(),
            recorder: Recorder::default(),
            clock: Clock::default(),
        }
    }
}

impl<S> Layer<S> for ApiClientLayer {
    type Service = ApiClientService<S>;

    fn layer(&self, inner: S) -> ApiClientService<S> {
        ApiClientService::new(inner, Arc::clone(&self.shared))
    }
}

/// Puts an [`ApiClientLayer`] together.
///
/// | setting | default |
/// |---|---|
/// | [`with_routes`](Self::with_routes) | [`ApiRoutes::required`] |
/// | [`with_undeclared`](Self::with_undeclared) | [`Undeclared::Warn`] |
/// | [`with_recorder`](Self::with_recorder) | the global one |
/// | [`with_clock`](Self::with_clock) | the system's |
#[derive(Clone, Debug)]
#[must_use]
pub struct ApiClientBuilder {
    declared: Declared,
    peer: Arc<str>,
    routes: Option<ApiRoutes>,
    undeclared: Undeclared,
    recorder: Recorder,
    clock: Clock,
}

impl ApiClientBuilder {
    /// Sets how requests map to the peer's APIs and versions. Unlike on a server, they may name
    /// what was not declared.
    pub fn with_routes(mut self, routes: ApiRoutes) -> Self {
        self.routes = Some(routes);
        self
    }

    /// Sets what becomes of calls that no one declared.
    pub fn with_undeclared(mut self, undeclared: Undeclared) -> Self {
        self.undeclared = undeclared;
        self
    }

    counting_setters!();

    /// Makes the layer.
    #[must_use]
    pub fn build(self) -> ApiClientLayer {
        let routes = self.routes.unwrap_or_else(|| ApiRoutes::required(&self.declared));
        ApiClientLayer {
            shared: Arc::new(ClientShared {
                service: self.declared.service,
                notices: Notices::new(self.recorder, &self.peer),
                targets: Targets::new(self.declared, routes, self.peer),
                undeclared: self.undeclared,
                clock: self.clock,
            }),
        }
    }
}
