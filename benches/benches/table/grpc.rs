//! What observing a gRPC call adds to a bare tonic service and its client.

use crate::stacks;
use benches::{Bench, Contestant};
use bytes::Bytes;
use futures_util::FutureExt;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use meshwise::http::{AccessLog, Recording, Telemetry};
use meshwise_tests::echo::{Echo, EchoServer};
use std::convert::Infallible;
use tonic::{body::Body, service::Routes};
use tonic_tracing_opentelemetry::middleware::server::OtelGrpcLayer;
use tower::{Layer, Service, ServiceExt};
use tracing::Dispatch;
use tracing_subscriber::{EnvFilter, Registry, layer::SubscriberExt};

/// Asks for the text "tea".
const ASK: &[u8] = &[0, 0, 0, 0, 5, 0x0a, 3, b't', b'e', b'a'];

pub(crate) fn request() -> Request<Body> {
    Request::post("/meshwise.test.v1.Echo/Unary")
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Body::new(Full::new(Bytes::from_static(ASK))))
        .expect("a request")
}

/// Asks as a client would, and reads the answer to its trailers.
fn call<S, B>(service: &S)
where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible> + Clone,
    B: http_body::Body<Data = Bytes>,
    B::Error: std::fmt::Debug,
{
    let answered = async {
        let response = service.clone().oneshot(request()).await.expect("infallible");
        let body = response.into_body().collect().await.expect("a body");
        assert_eq!(body.trailers().expect("trailers")["grpc-status"], "0");
    };
    answered.now_or_never().expect("nothing waits here");
}

fn bare() -> Contestant {
    let service = Routes::new(EchoServer::new(Echo));
    Contestant::new(move || call(&service))
}

fn ours(sampled: Option<bool>) -> Contestant {
    let mesh = stacks::mesh(sampled.unwrap_or(false));
    let recording = Recording::new(mesh.service().clone())
        .with_metrics(mesh.metrics().clone())
        .with_tracing_span(sampled.is_some());
    let recording = match sampled {
        Some(_) => recording.with_tracing(mesh.tracing().clone()),
        None => recording,
    };
    let layer =
        meshwise::grpc::server_layer(Telemetry::new(recording)).with_access_log(AccessLog::off());
    let service = layer.layer(Routes::new(EchoServer::new(Echo)));
    let dispatch = mesh.dispatch().clone();
    Contestant::new(move || call(&service))
        .with_dispatch(dispatch)
        .with_settle(stacks::settle(mesh))
}

/// tonic-tracing-opentelemetry; it has no metrics.
fn usual(sampled: bool) -> Contestant {
    use opentelemetry::trace::TracerProvider as _;
    let provider = stacks::sdk(sampled);
    let spans = tracing_opentelemetry::layer().with_tracer(provider.tracer("bench"));
    let subscriber =
        Registry::default().with(EnvFilter::new("info,otel::tracing=trace")).with(spans);
    let service = OtelGrpcLayer::default().layer(Routes::new(EchoServer::new(Echo)));
    Contestant::new(move || call(&service))
        .with_dispatch(Dispatch::new(subscriber))
        .with_settle(stacks::settle_sdk(provider))
}

pub(crate) fn run(bench: &mut Bench) {
    for (sampled, word) in [(true, "sampled"), (false, "unsampled")] {
        bench.contest(&format!("gRPC server, {word}"), |contest| {
            contest.bare("bare tonic", bare);
            contest.ours("meshwise, metrics too", move || ours(Some(sampled)));
            contest.peer("tonic-tracing-opentelemetry", move || usual(sampled));
        });
    }
}
