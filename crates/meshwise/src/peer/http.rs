//! HTTP clients.

use super::{
    ClientBuildError, Faulty, Guarding, PeerUrl, Versioned, guarding_setters, is_undeclared,
};
use crate::mesh::Mesh;
use http::{Request, Response};
#[cfg(feature = "api")]
use meshwise_api_http::UndeclaredCall;
use meshwise_core::{
    Classifier, ErrorType, Refused,
    outcome::{Fault, Faults},
};
use meshwise_http::{ClientLayer, ClientMode, ObservedBody};
use meshwise_reqwest::{BuildError, Observed, reqwest};
use meshwise_resilience::{PeerBody, PeerService};
use pin_project_lite::pin_project;
use std::{
    error::Error,
    fmt,
    pin::Pin,
    task::{Context, Poll},
};
use tower::{
    Service,
    util::{MapErr, MapErrLayer},
};

/// Calls one peer over HTTP, guarded and observed; made by [`Mesh::client`].
pub type Client = meshwise_reqwest::Client<GuardedHttp>;

type Attempts = PeerService<Faulty<MapErr<Observed, fn(reqwest::Error) -> ClientError>>>;
type HttpResponse = Response<PeerBody<ObservedBody<reqwest::Body>>>;
type Calls = Versioned<Attempts>;

/// The service that a [`Client`] sends requests through: API versions, guards, one span an attempt,
/// reqwest.
#[derive(Clone)]
pub struct GuardedHttp {
    calls: Calls,
}

// Any body that its transport takes: bytes, or a stream of them.
impl<B> Service<Request<B>> for GuardedHttp
where
    Calls: Service<Request<B>, Response = HttpResponse, Error = ClientError>,
{
    type Response = HttpResponse;
    type Error = ClientError;
    type Future = HttpFuture<B>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ClientError>> {
        Service::<Request<B>>::poll_ready(&mut self.calls, cx)
    }

    fn call(&mut self, request: Request<B>) -> HttpFuture<B> {
        HttpFuture { inner: self.calls.call(request) }
    }
}

impl fmt::Debug for GuardedHttp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuardedHttp").finish_non_exhaustive()
    }
}

pin_project! {
    /// Resolves to the response of a [`GuardedHttp`] service.
    #[doc(hidden)]
    pub struct HttpFuture<B>
    where
        Calls: Service<Request<B>>,
    {
        #[pin]
        inner: <Calls as Service<Request<B>>>::Future,
    }
}

impl<B> Future for HttpFuture<B>
where
    Calls: Service<Request<B>>,
{
    type Output = <<Calls as Service<Request<B>>>::Future as Future>::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().inner.poll(cx)
    }
}

impl<B> fmt::Debug for HttpFuture<B>
where
    Calls: Service<Request<B>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpFuture").finish_non_exhaustive()
    }
}

/// Says why a call to a peer got no response.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// A guard did not let it through, or broke it off.
    #[error("{0}")]
    Refused(#[from] Refused),
    /// This service has not declared that it needs the API, and such calls are refused.
    #[cfg(feature = "api")]
    #[error("{0}")]
    Undeclared(#[from] UndeclaredCall),
    /// The peer could not be reached, or did not answer as it should.
    #[error("no answer from the peer")]
    Transport(#[source] reqwest::Error),
}

impl ClientError {
    /// Returns the class of the error, as `error.type` and the metrics have it.
    #[doc(hidden)]
    #[must_use]
    pub fn error_type(&self) -> ErrorType {
        match self {
            Self::Refused(refused) => refused.rule().error_type(),
            #[cfg(feature = "api")]
            Self::Undeclared(_) => ErrorType::new("undeclared"),
            Self::Transport(error) => {
                let mut faults = Faults::new();
                faults.rule(meshwise_reqwest::fault);
                faults.of_chain(error).error_type()
            }
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

/// Translates the errors of this module; those of reqwest stand below them.
fn fault(error: &(dyn Error + 'static)) -> Option<Fault> {
    match error.downcast_ref::<ClientError>()? {
        #[cfg(feature = "api")]
        ClientError::Undeclared(_) => Some(Fault::named(ErrorType::new("undeclared"))),
        _ => None,
    }
}

/// Builds the client of one peer.
///
/// | setting | default |
/// |---|---|
/// | [`with_base_url`](Self::with_base_url) | `http://{peer}`; `MESHWISE_PEERS_{PEER}_URL` beats both |
/// | [`with_classifier`](Self::with_classifier) | the table at [`Classifier`] |
/// | [`with_guards`](Self::with_guards) | those of [`PeerConfig`](meshwise_resilience::PeerConfig) |
/// | [`with_mode`](Self::with_mode) | [`ClientMode::Internal`] |
/// | [`with_any_host`](Self::with_any_host) | `false` |
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

impl Mesh {
    /// Starts a client of the peer `peer`, guarded and observed.
    ///
    /// Its base URL is `peers.{peer}.url` of the operator's settings (`MESHWISE_PEERS_{PEER}_URL`, the name in
    /// upper case, with `_` for what is neither letter nor digit), or else what code says, or else
    /// `http://{peer}`.
    pub fn client(&self, peer: &str) -> ClientBuilder {
        ClientBuilder::new(self.clone(), peer, PeerUrl::of(&self.0.operator, peer))
    }
}

impl ClientBuilder {
    pub(crate) fn new(mesh: Mesh, peer: &str, said: Option<PeerUrl>) -> Self {
        mesh.0.named_peers.name(peer);
        let http = meshwise_reqwest::Client::builder(mesh.telemetry(), peer);
        let code = mesh.0.code.peer(peer).url;
        let http = match code.get() {
            Some(url) => http.with_base_url(url),
            None => http,
        };
        Self { mesh, peer: peer.to_owned(), http, guarding: Guarding::default(), said }
    }

    /// Sets where the peer is, unless `MESHWISE_PEERS_{PEER}_URL` does: scheme, host and port,
    /// and a path that goes before every request's.
    pub fn with_base_url(mut self, url: impl Into<String>) -> Self {
        self.http = self.http.with_base_url(url);
        self
    }

    /// Sets what the peer may learn; a third party wants [`ClientMode::External`].
    pub fn with_mode(mut self, mode: ClientMode) -> Self {
        self.http = self.http.with_mode(mode);
        self
    }

    /// Sends through a transport with settings of its own (proxies, certificates, pool sizes).
    /// Redirects and reqwest's own retries stay off: a redirect would take the context headers to
    /// whatever host it names.
    pub fn with_transport(mut self, client: reqwest::ClientBuilder) -> Self {
        self.http = self.http.with_transport(client);
        self
    }

    /// Sets whether a request goes to the host that its URI names, if it names one; `false` by default:
    /// where a stranger's request is handed on, the host would be the stranger's choice.
    pub fn with_any_host(mut self, any: bool) -> Self {
        self.http = self.http.with_any_host(any);
        self
    }

    /// Changes the layer that observes each attempt. A classifier that is set here judges its spans and metrics
    /// alone; [`with_classifier`](Self::with_classifier) judges for the guards too.
    pub fn with_layer(mut self, change: impl FnOnce(ClientLayer) -> ClientLayer) -> Self {
        self.http = self.http.with_layer(change);
        self
    }

    guarding_setters!();

    /// Makes the client. Its guards are on `/resilience` from then on.
    ///
    /// # Errors
    /// If the base URL is none, reqwest cannot be set up (TLS), or the guards' settings make no
    /// sense.
    pub fn build(self) -> Result<Client, ClientBuildError> {
        let Self { mesh, peer, http, guarding, said } = self;
        let undeclared = is_undeclared(&mesh, &peer);
        let mut decided = guarding.decide(&mesh, &peer);
        let http = http.with_layer(|layer| decided.judge(layer).with_undeclared(undeclared));
        let http = match &said {
            Some(said) => http.with_base_url(&said.url),
            None => http,
        };
        let errors = Classifier::new()
            .with_error::<ClientError>()
            .with_fault(fault)
            .with_fault(meshwise_reqwest::fault);
        let client = match (http.build(), said) {
            (Ok(client), _) => client,
            (Err(BuildError::BaseUrl { reason, .. }), Some(said)) => {
                return Err(said.refused("http://auth:8080", reason));
            }
            (Err(source), _) => return Err(ClientBuildError::Http { peer, source }),
        };
        let (api, guards, faults) = decided.build(&mesh, &peer, &errors)?;
        let to_error: fn(reqwest::Error) -> ClientError = ClientError::Transport;
        let client = client.layer(&MapErrLayer::new(to_error)).layer(&faults);
        let client = client.layer(&guards).layer(&api);
        Ok(client.layer(&tower::layer::layer_fn(|calls| GuardedHttp { calls })))
    }
}
