//! gRPC clients.

use super::{
    ClientBuildError, Decided, Faulty, Guarding, PeerUrl, Versioned, guarding_setters,
    is_undeclared,
};
use crate::mesh::Mesh;
use http::{Request, Response};
use http_body::{Body as HttpBody, Frame, SizeHint};
#[cfg(feature = "api")]
use meshwise_api_http::UndeclaredCall;
use meshwise_core::{Classifier, Refused, outcome::Faults};
use meshwise_http::{ClientLayer, ClientMode, ObservedBody};
use meshwise_resilience::{PeerBody, PeerService, ReplayBody};
use meshwise_tonic::{BuildError, Observed as ObservedGrpc, TransportBody};
use pin_project_lite::pin_project;
use std::{
    error::Error,
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tonic::{
    Code, Status,
    body::Body,
    transport::{Channel, Endpoint},
};
use tower::{
    Layer, Service,
    util::{MapErr, MapRequest},
};

type BoxError = Box<dyn Error + Send + Sync>;

/// Calls one peer over gRPC, guarded and observed: what generated clients take as their
/// service. Made by [`Mesh::grpc_client`]; clones share connections and guards.
///
/// Whatever goes wrong comes as a [`Status`]: a refusal of the guards has the code of its rule
/// (`UNAVAILABLE`, `RESOURCE_EXHAUSTED`, `DEADLINE_EXCEEDED`) and the [`Refused`] as its source.
///
/// `S` is its transport: tonic's channel, or what
/// [`build_over`](GrpcClientBuilder::build_over) was given.
#[derive(Clone)]
pub struct GrpcClient<S = Channel> {
    calls: Calls<S>,
}

type Observed<S> = MapRequest<ObservedGrpc<S>, fn(Request<ReplayBody<Body>>) -> Request<Body>>;
type Attempts<S> = PeerService<Faulty<MapErr<Observed<S>, fn(Status) -> BoxError>>>;
type Calls<S> = Versioned<Attempts<S>>;
type Answer = Response<PeerBody<ObservedBody<TransportBody>>>;

impl<S> Service<Request<Body>> for GrpcClient<S>
where
    S: Service<Request<Body>, Response = Response<Body>> + Clone + 'static,
    S::Error: Into<BoxError>,
{
    type Response = Response<GrpcBody>;
    type Error = Status;
    type Future = GrpcFuture<S>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Status>> {
        self.calls.poll_ready(cx).map_err(to_status)
    }

    fn call(&mut self, request: Request<Body>) -> GrpcFuture<S> {
        GrpcFuture { inner: self.calls.call(request) }
    }
}

impl<S> fmt::Debug for GrpcClient<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrpcClient").finish_non_exhaustive()
    }
}

pin_project! {
    /// Resolves to the response of a [`GrpcClient`].
    #[doc(hidden)]
    pub struct GrpcFuture<S = Channel>
    where
        Calls<S>: Service<Request<Body>>,
    {
        #[pin]
        inner: <Calls<S> as Service<Request<Body>>>::Future,
    }
}

impl<S> Future for GrpcFuture<S>
where
    Calls<S>: Service<Request<Body>, Response = Answer, Error = BoxError>,
{
    type Output = Result<Response<GrpcBody>, Status>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(match ready!(self.project().inner.poll(cx)) {
            Ok(response) => Ok(response.map(|inner| GrpcBody { inner })),
            Err(error) => Err(to_status(error)),
        })
    }
}

impl<S> fmt::Debug for GrpcFuture<S>
where
    Calls<S>: Service<Request<Body>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrpcFuture").finish_non_exhaustive()
    }
}

pin_project! {
    /// The body of a [`GrpcClient`]'s response: what generated clients read, interceptors included.
    #[derive(Default)]
    pub struct GrpcBody {
        #[pin]
        inner: PeerBody<ObservedBody<TransportBody>>,
    }
}

impl HttpBody for GrpcBody {
    type Data = bytes::Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<bytes::Bytes>, Status>>> {
        let frame = ready!(self.project().inner.poll_frame(cx));
        Poll::Ready(frame.map(|frame| frame.map_err(to_status)))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl fmt::Debug for GrpcBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrpcBody").finish_non_exhaustive()
    }
}

fn to_status(error: BoxError) -> Status {
    let error = match error.downcast::<Status>() {
        Ok(status) => return *status,
        Err(error) => error,
    };
    let code = match Faults::new().refused(&error).map(Refused::rule) {
        Some(rule) => Code::from_i32(rule.grpc_code() as i32),
        #[cfg(feature = "api")]
        None if error.is::<UndeclaredCall>() => Code::FailedPrecondition,
        None => return Status::from_error(error),
    };
    let mut status = Status::new(code, error.to_string());
    status.set_source(error.into());
    status
}

/// Builds the gRPC client of one peer.
///
/// | setting | default |
/// |---|---|
/// | [`with_endpoint`](Self::with_endpoint), [`with_endpoints`](Self::with_endpoints) | `http://{peer}`; `MESHWISE_PEERS_{PEER}_URL` beats both |
/// | [`with_classifier`](Self::with_classifier) | the table at [`Classifier`] |
/// | [`with_guards`](Self::with_guards) | those of [`PeerConfig`](meshwise_resilience::PeerConfig) |
/// | [`with_mode`](Self::with_mode) | [`ClientMode::Internal`] |
/// | [`with_channel`](Self::with_channel) | a channel to the endpoints that connects when it is first used |
///
/// A method is tried again only if its request says that this is safe: put
/// [`Idempotent`](meshwise_resilience::Idempotent) among its extensions.
#[derive(Debug)]
#[must_use]
pub struct GrpcClientBuilder {
    mesh: Mesh,
    peer: String,
    grpc: meshwise_tonic::GrpcClientBuilder,
    guarding: Guarding,
    said: Option<PeerUrl>,
}

impl Mesh {
    /// Starts a gRPC client of the peer `peer`; generated clients take what it builds.
    ///
    /// Its endpoint is `peers.{peer}.url` of the operator's settings (`MESHWISE_PEERS_{PEER}_URL`, the name in
    /// upper case, with `_` for what is neither letter nor digit; several are separated by commas), or else what code says, or else
    /// `http://{peer}`.
    pub fn grpc_client(&self, peer: &str) -> GrpcClientBuilder {
        GrpcClientBuilder::new(self.clone(), peer, PeerUrl::of(&self.0.operator, peer))
    }
}

impl GrpcClientBuilder {
    pub(crate) fn new(mesh: Mesh, peer: &str, said: Option<PeerUrl>) -> Self {
        mesh.0.named_peers.name(peer);
        let grpc = meshwise_tonic::GrpcClientBuilder::new(mesh.telemetry(), peer);
        let code = mesh.0.code.peer(peer).url;
        let grpc = match code.get() {
            Some(urls) => at(grpc, urls),
            None => grpc,
        };
        Self { mesh, peer: peer.to_owned(), grpc, guarding: Guarding::default(), said }
    }

    /// Sets where the peer is, unless `MESHWISE_PEERS_{PEER}_URL` does: scheme, host and port,
    /// such as `http://auth:50051`.
    pub fn with_endpoint(mut self, url: impl Into<String>) -> Self {
        self.grpc = self.grpc.with_endpoint(url);
        self
    }

    /// Sets the peer's instances, which calls are balanced over.
    pub fn with_endpoints(mut self, urls: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.grpc = self.grpc.with_endpoints(urls);
        self
    }

    /// Changes the settings of each endpoint: TLS, keep-alive, limits, window sizes.
    pub fn with_endpoint_settings(
        mut self,
        change: impl Fn(Endpoint) -> Result<Endpoint, tonic::transport::Error> + Send + 'static,
    ) -> Self {
        self.grpc = self.grpc.with_endpoint_settings(change);
        self
    }

    /// Sends through a channel of one's own; endpoints and their settings are not used then.
    pub fn with_channel(mut self, channel: Channel) -> Self {
        self.grpc = self.grpc.with_channel(channel);
        self
    }

    /// Sets what the peer may learn; a third party wants [`ClientMode::External`].
    pub fn with_mode(mut self, mode: ClientMode) -> Self {
        self.grpc = self.grpc.with_mode(mode);
        self
    }

    /// Changes the layer that observes each attempt. A classifier that is set here judges its spans and metrics
    /// alone; [`with_classifier`](Self::with_classifier) judges for the guards too.
    pub fn with_layer(mut self, change: impl FnOnce(ClientLayer) -> ClientLayer) -> Self {
        self.grpc = self.grpc.with_layer(change);
        self
    }

    guarding_setters!();

    /// Makes the client; it connects when it is first called, and again whenever it must. Its
    /// guards are on `/resilience` from then on.
    ///
    /// Call it within a tokio runtime: the channel runs there.
    ///
    /// # Errors
    /// If there is no endpoint, one is no URL, or settings make no sense.
    pub fn build(self) -> Result<GrpcClient, ClientBuildError> {
        let Self { mesh, peer, grpc, guarding, said } = self;
        let mut decided = guarding.decide(&mesh, &peer);
        match endpoints(&mesh, &peer, grpc, &mut decided, said.as_ref()).build() {
            Ok(observed) => guard(&mesh, &peer, observed, decided),
            Err(source) => Err(refused(peer, source, said)),
        }
    }

    /// Makes the client over a transport of one's own: any service of requests and responses with tonic's
    /// [`Body`], such as a channel within layers. Endpoints and their settings are not used then.
    ///
    /// # Errors
    /// If settings make no sense.
    pub fn build_over<S>(self, transport: S) -> Result<GrpcClient<S>, ClientBuildError>
    where
        S: Service<Request<Body>, Response = Response<Body>> + Clone,
        S::Error: Into<BoxError>,
    {
        let Self { mesh, peer, grpc, guarding, .. } = self;
        let mut decided = guarding.decide(&mesh, &peer);
        let grpc = endpoints(&mesh, &peer, grpc, &mut decided, None);
        guard(&mesh, &peer, grpc.build_over(transport), decided)
    }

    /// Makes the client and connects it, so that a peer who is not there is an error now.
    ///
    /// # Errors
    /// As [`build`](Self::build), and if the only endpoint cannot be connected to.
    pub async fn connect(self) -> Result<GrpcClient, ClientBuildError> {
        let Self { mesh, peer, grpc, guarding, said } = self;
        let mut decided = guarding.decide(&mesh, &peer);
        match endpoints(&mesh, &peer, grpc, &mut decided, said.as_ref()).connect().await {
            Ok(observed) => guard(&mesh, &peer, observed, decided),
            Err(source) => Err(refused(peer, source, said)),
        }
    }
}

/// Tells the layer how the guards judge and whether calls are declared, and lets the operator have the last word.
fn endpoints(
    mesh: &Mesh,
    peer: &str,
    grpc: meshwise_tonic::GrpcClientBuilder,
    decided: &mut Decided,
    said: Option<&PeerUrl>,
) -> meshwise_tonic::GrpcClientBuilder {
    let undeclared = is_undeclared(mesh, peer);
    let grpc = grpc.with_layer(|layer| decided.judge(layer).with_undeclared(undeclared));
    match said {
        Some(said) => at(grpc, &said.url),
        None => grpc,
    }
}

/// Sets the endpoints as settings name them.
fn at(grpc: meshwise_tonic::GrpcClientBuilder, urls: &str) -> meshwise_tonic::GrpcClientBuilder {
    grpc.with_endpoints(urls.split(',').map(str::trim))
}

fn refused(peer: String, source: BuildError, said: Option<PeerUrl>) -> ClientBuildError {
    match (source, said) {
        (BuildError::Endpoint { reason, .. }, Some(said)) => {
            said.refused("http://auth:50051", reason)
        }
        (source, _) => ClientBuildError::Grpc { peer, source },
    }
}

fn guard<S>(
    mesh: &Mesh,
    peer: &str,
    observed: ObservedGrpc<S>,
    decided: Decided,
) -> Result<GrpcClient<S>, ClientBuildError>
where
    S: Service<Request<Body>, Response = Response<Body>> + Clone,
    S::Error: Into<BoxError>,
{
    let errors = Classifier::new().with_error::<Status>().with_fault(meshwise_tonic::fault);
    let (api, guards, faults) = decided.build(mesh, peer, &errors)?;
    let unwrap: fn(Request<ReplayBody<Body>>) -> Request<Body> = |request| request.map(Body::new);
    let boxed: fn(Status) -> BoxError = Into::into;
    let attempt = MapErr::new(MapRequest::new(observed, unwrap), boxed);
    Ok(GrpcClient { calls: api.layer(guards.layer(faults.layer(attempt))) })
}
