//! A handler as services have them: ten spans of its own, three lines, two HTTP calls and a gRPC call.

use crate::{
    client::{self, Peers},
    grpc,
    stacks::{self, Stack},
};
use axum::{
    Router,
    extract::{Path, State},
    routing::get,
};
use axum_prometheus::PrometheusMetricLayer;
use axum_tracing_opentelemetry::middleware::{OtelAxumLayer, OtelInResponseLayer};
use benches::{Bench, Contestant};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{Request, Response};
use http_body_util::BodyExt;
use meshwise::http::{AccessLog, ClientLayer, Recording, Telemetry};
use meshwise_tests::echo::{Echo, EchoServer};
use opentelemetry::trace::TracerProvider as _;
use std::{convert::Infallible, io, sync::Arc};
use tonic::service::Routes;
use tonic_tracing_opentelemetry::middleware::client::OtelGrpcLayer;
use tower::{Layer, Service, ServiceExt, service_fn};
use tracing::Dispatch;
use tracing_subscriber::{EnvFilter, Registry, layer::SubscriberExt};

const PATH: &str = "/handled/7";

type Ask = Arc<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>;

/// What the handler calls.
#[derive(Clone)]
struct Peer {
    http: Ask,
    grpc: Ask,
}

#[tracing::instrument(skip(peer))]
async fn step(number: u64, peer: &Peer) {
    match number {
        0 | 4 | 9 => tracing::info!(number, "a step"),
        2 | 6 => (peer.http)().await,
        5 => (peer.grpc)().await,
        _ => {}
    }
}

fn routes(peer: Peer) -> Router {
    async fn handler(State(peer): State<Peer>, Path(_): Path<u64>) -> &'static str {
        for number in 0..10 {
            step(number, &peer).await;
        }
        "handled"
    }
    Router::new().route("/handled/{id}", get(handler)).with_state(peer)
}

fn http_over<S, B>(service: S) -> Ask
where
    S: Service<Request<client::Body>, Response = Response<B>, Error = Infallible>,
    S: Clone + Send + Sync + 'static,
    S::Future: Send,
    B: Send,
{
    Arc::new(move || {
        let service = service.clone();
        Box::pin(async move {
            let request = Request::get(client::URL).body(client::Body::default());
            let answer = service.oneshot(request.expect("a request")).await.expect("infallible");
            assert!(answer.status().is_success());
        })
    })
}

fn reqwest(peers: Peers) -> Ask {
    let client = client::middleware(client::transport(), peers, true);
    Arc::new(move || {
        let client = client.clone();
        Box::pin(async move {
            let answer = client.get(client::URL).send().await.expect("an answer");
            assert!(answer.status().is_success());
        })
    })
}

fn grpc_over<S, B>(service: S) -> Ask
where
    S: Service<Request<tonic::body::Body>, Response = Response<B>>,
    S: Clone + Send + Sync + 'static,
    S::Future: Send,
    S::Error: std::fmt::Debug + Send,
    B: http_body::Body<Data = Bytes> + Send,
    B::Error: std::fmt::Debug,
{
    Arc::new(move || {
        let service = service.clone();
        Box::pin(async move {
            let answer = service.oneshot(grpc::request()).await.expect("an answer");
            let body = answer.into_body().collect().await.expect("a body");
            assert_eq!(body.trailers().expect("trailers")["grpc-status"], "0");
        })
    })
}

fn echo() -> Routes {
    Routes::new(EchoServer::new(Echo))
}

fn contestant(stack: Stack) -> Contestant {
    let Stack { app, dispatch, settle } = stack;
    let app = stacks::served(app);
    let contestant = Contestant::new(move || stacks::call(&app, PATH)).with_settle(settle);
    match dispatch {
        Some(dispatch) => contestant.with_dispatch(dispatch),
        None => contestant,
    }
}

fn bare(http: Ask) -> Contestant {
    contestant(stacks::bare_of(routes(Peer { http, grpc: grpc_over(echo()) })))
}

fn ours(sampled: bool) -> Contestant {
    let mesh = stacks::mesh(sampled);
    let recording = Recording::new(mesh.service().clone())
        .with_metrics(mesh.metrics().clone())
        .with_tracing(mesh.tracing().clone())
        .with_tracing_span(true);
    let telemetry = Telemetry::new(recording);
    let stock = ClientLayer::new(telemetry.clone(), "stock").layer(service_fn(client::answer));
    let echo = ClientLayer::new(telemetry.clone(), "echo").layer(echo());
    let layer = meshwise::axum::server_layer(telemetry).with_access_log(AccessLog::off());
    let peer = Peer { http: http_over(stock), grpc: grpc_over(echo) };
    let dispatch = Some(mesh.dispatch().clone());
    contestant(Stack { app: routes(peer).layer(layer), dispatch, settle: stacks::settle(mesh) })
}

/// The best peers, joined by hand.
fn peers(sampled: bool) -> Contestant {
    let provider = stacks::sdk(sampled);
    let spans = tracing_opentelemetry::layer().with_tracer(provider.tracer("bench"));
    let subscriber = Registry::default()
        .with(EnvFilter::new("info,otel::tracing=trace"))
        .with(tracing_subscriber::fmt::layer().json().with_writer(io::sink))
        .with(spans);
    let peer = Peer {
        http: reqwest(Peers::TracingAndRetry),
        grpc: grpc_over(OtelGrpcLayer.layer(echo())),
    };
    let app = routes(peer)
        .layer(OtelInResponseLayer)
        .layer(OtelAxumLayer::default())
        .layer(PrometheusMetricLayer::new());
    let dispatch = Some(Dispatch::new(subscriber));
    contestant(Stack { app, dispatch, settle: stacks::settle_sdk(provider) })
}

pub(crate) fn run(bench: &mut Bench) {
    for (sampled, word) in [(true, "sampled"), (false, "unsampled")] {
        bench.contest(&format!("a real handler, {word}"), |contest| {
            // Twelve spans a call; queues hold 65,536.
            contest.batch(500);
            contest.bare("the same, observed by no one", || {
                bare(http_over(service_fn(client::answer)))
            });
            contest.ours("meshwise", move || ours(sampled));
            contest.bare("the same, over reqwest-middleware", || bare(reqwest(Peers::Nothing)));
            contest.peer("the best peers, joined by hand", move || peers(sampled));
        });
    }
}
