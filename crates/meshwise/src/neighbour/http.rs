//! HTTP clients.

use super::{ClientBuildError, Guarding, PeerUrl, unguarded};
use crate::Mesh;
use meshwise_api::{ApiClientBuilder, ApiClientService, UndeclaredCall};
use meshwise_core::{ErrorType, Refused};
use meshwise_http::{ClientLayer, ClientMode};
use meshwise_reqwest::{BuildError, Observed, error_kind, reqwest};
use meshwise_resilience::{NeighbourConfig, NeighbourService};
use std::error::Error;
use tower::util::{Either, MapErr};

/// Calls one neighbour over HTTP, guarded and observed; made by [`Mesh::client`].
pub type Client = meshwise_reqwest::Client<GuardedHttp>;

/// The service that a [`Client`] sends requests through: API versions, guards, one span an attempt,
/// reqwest.
pub type GuardedHttp = Either<ApiClientService<Attempts>, Attempts>;

type Attempts = NeighbourService<MapErr<Observed, fn(reqwest::Error) -> ClientError>>;

/// Says why a call to a neighbour got no response.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// A guard did not let it through, or broke it off.
    #[error("{0}")]
    Refused(#[from] Refused),
    /// This service has not declared that it needs the API, and such calls are refused.
    #[error("{0}")]
    Undeclared(#[from] UndeclaredCall),
    /// The neighbour could not be reached, or did not answer as it should.
    #[error("no answer from the neighbour")]
    Transport(#[source] reqwest::Error),
}

impl ClientError {
    /// Returns the class of the error, as `error.type` and the metrics have it.
    #[must_use]
    pub fn error_type(&self) -> ErrorType {
        match self {
            Self::Refused(refused) => refused.rule().error_type(),
            Self::Undeclared(_) => ErrorType::new("undeclared"),
            Self::Transport(error) => error_kind(error).unwrap_or(ErrorType::OTHER),
        }
    }

    /// Returns what a guard said, if it refused the call.
    #[must_use]
    pub fn refused(&self) -> Option<&Refused> {
        match self {
            Self::Refused(refused) => Some(refused),
            _ => None,
        }
    }
}

/// Finds the kind of an error within a guard's view of it.
fn kind(error: &(dyn Error + 'static)) -> Option<ErrorType> {
    error.downcast_ref::<ClientError>().map(ClientError::error_type)
}

/// Builds the client of one neighbour.
///
/// | setting | default |
/// |---|---|
/// | [`with_base_url`](Self::with_base_url) | `http://{peer}`; `MESHWISE_CLIENT_{PEER}_URL` beats both |
/// | [`with_guards`](Self::with_guards) | those of [`NeighbourConfig`] |
/// | [`with_mode`](Self::with_mode) | [`ClientMode::Internal`] |
/// | [`with_transport`](Self::with_transport) | a `reqwest::Client` that follows no redirects |
#[derive(Debug)]
#[must_use]
pub struct ClientBuilder {
    mesh: Mesh,
    peer: String,
    http: meshwise_reqwest::ClientBuilder,
    guarding: Guarding,
    said: Option<PeerUrl>,
}

impl ClientBuilder {
    pub(crate) fn new(mesh: Mesh, peer: &str, said: Option<PeerUrl>) -> Self {
        let http = meshwise_reqwest::Client::builder(mesh.telemetry(), peer)
            .with_layer(crate::neighbour::observe);
        Self { mesh, peer: peer.to_owned(), http, guarding: Guarding::new(), said }
    }

    /// Sets where the neighbour is, unless `MESHWISE_CLIENT_{PEER}_URL` does: scheme, host and port,
    /// and a path that goes before every request's.
    pub fn with_base_url(mut self, url: impl Into<String>) -> Self {
        self.http = self.http.with_base_url(url);
        self
    }

    /// Sets what the neighbour may learn; a third party wants [`ClientMode::External`].
    pub fn with_mode(mut self, mode: ClientMode) -> Self {
        self.http = self.http.with_mode(mode);
        self
    }

    /// Sends through a `reqwest::Client` of one's own (proxies, certificates, pool sizes).
    pub fn with_transport(mut self, client: reqwest::Client) -> Self {
        self.http = self.http.with_transport(client);
        self
    }

    /// Changes the layer that observes each attempt.
    pub fn with_layer(mut self, change: impl FnOnce(ClientLayer) -> ClientLayer) -> Self {
        self.http = self.http.with_layer(change);
        self
    }

    /// Changes the guards: each can be tuned or left out.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # fn f(mesh: &meshwise::Mesh) {
    /// mesh.client("stock").with_guards(|guards| {
    ///     guards.with_timeout(Duration::from_millis(400)).without_retry()
    /// });
    /// # }
    /// ```
    pub fn with_guards(
        mut self,
        change: impl FnOnce(NeighbourConfig) -> NeighbourConfig + Send + 'static,
    ) -> Self {
        self.guarding.guards(change);
        self
    }

    /// Leaves all guards out: one attempt, however long it takes. Deadlines of requests, and of the
    /// call being served, still hold.
    pub fn without_guards(self) -> Self {
        self.with_guards(unguarded)
    }

    /// Changes what is known of the neighbour's API versions, if the mesh has
    /// [`apis`](crate::MeshBuilder::apis).
    pub fn with_api(
        mut self,
        change: impl FnOnce(ApiClientBuilder) -> ApiClientBuilder + Send + 'static,
    ) -> Self {
        self.guarding.api(change);
        self
    }

    /// Makes the client. Its guards are on `/resilience` from then on.
    ///
    /// # Errors
    /// If the base URL is none, reqwest can't be set up (TLS), or the guards' settings make no
    /// sense.
    pub fn build(self) -> Result<Client, ClientBuildError> {
        let Self { mesh, peer, http, guarding, said } = self;
        let http = match &said {
            Some(said) => http.with_base_url(&said.url),
            None => http,
        };
        let known =
            |config: NeighbourConfig| config.with_error::<ClientError>().with_error_kind(kind);
        let layers = guarding.build(&mesh, &peer, known);
        let (api, guards) = match layers {
            Ok(layers) => layers,
            Err(source) => return Err(ClientBuildError::Guards { peer, source }),
        };
        let client = match http.build() {
            Ok(client) => client,
            Err(source) => {
                return Err(match (source, said) {
                    (BuildError::BaseUrl { reason, .. }, Some(said)) => {
                        said.refused("http://auth:8080", reason)
                    }
                    (source, _) => ClientBuildError::Http { peer, source },
                });
            }
        };
        let to_error: fn(reqwest::Error) -> ClientError = ClientError::Transport;
        Ok(client.layer(&tower::util::MapErrLayer::new(to_error)).layer(&guards).layer(&api))
    }
}
