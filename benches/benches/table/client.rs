//! What observing an outgoing call adds, over a transport that answers at once and over a socket.

use crate::stacks;
use benches::{Bench, Contestant};
use futures_util::FutureExt;
use http::{Extensions, Request, Response};
use meshwise::http::{Recording, Telemetry};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_http::HeaderInjector;
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware, Middleware, Next};
use reqwest_retry::{RetryTransientMiddleware, policies::ExponentialBackoff};
use reqwest_tracing::TracingMiddleware;
use std::{convert::Infallible, io};
use tower::{Layer, Service, ServiceExt, service_fn};
use tracing::Dispatch;
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::{EnvFilter, Registry, layer::SubscriberExt};

pub(crate) const URL: &str = "http://stock:8080/items/7";

/// Answers without sending anything.
struct Answer;

#[async_trait::async_trait]
impl Middleware for Answer {
    async fn handle(
        &self,
        _: reqwest::Request,
        _: &mut Extensions,
        _: Next<'_>,
    ) -> reqwest_middleware::Result<reqwest::Response> {
        Ok(Response::new("an item").into())
    }
}

/// Writes the current span's context into a request. reqwest-tracing does this itself for
/// OpenTelemetry up to 0.32; for 0.33 these are its own lines.
struct Inject;

#[async_trait::async_trait]
impl Middleware for Inject {
    async fn handle(
        &self,
        mut request: reqwest::Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<reqwest::Response> {
        opentelemetry::global::get_text_map_propagator(|propagator| {
            let context = tracing::Span::current().context();
            propagator.inject_context(&context, &mut HeaderInjector(request.headers_mut()));
        });
        next.run(request, extensions).await
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peers {
    Nothing,
    Tracing,
    TracingAndRetry,
}

pub(crate) fn middleware(
    client: reqwest::Client,
    peers: Peers,
    answered: bool,
) -> ClientWithMiddleware {
    let mut builder = ClientBuilder::new(client);
    if peers == Peers::TracingAndRetry {
        let policy = ExponentialBackoff::builder().build_with_max_retries(2);
        builder = builder.with(RetryTransientMiddleware::new_with_policy(policy));
    }
    if peers != Peers::Nothing {
        builder = builder.with(TracingMiddleware::default()).with(Inject);
    }
    if answered {
        builder = builder.with(Answer);
    }
    builder.build()
}

pub(crate) fn transport() -> reqwest::Client {
    reqwest::Client::builder().build().expect("a client")
}

fn peer(peers: Peers, sampled: bool) -> Contestant {
    let provider = stacks::sdk(sampled);
    let spans = tracing_opentelemetry::layer().with_tracer(provider.tracer("bench"));
    let client = middleware(transport(), peers, true);
    let contestant = Contestant::new(move || {
        let answer = client.get(URL).send().now_or_never().expect("nothing waits here");
        assert!(answer.expect("an answer").status().is_success());
    });
    let subscriber = Registry::default().with(EnvFilter::new("info")).with(spans);
    contestant.with_dispatch(Dispatch::new(subscriber)).with_settle(stacks::settle_sdk(provider))
}

fn ours(sampled: Option<bool>, span: bool) -> Contestant {
    ours_to(sampled, span, Telemetry::new)
}

fn ours_to(
    sampled: Option<bool>,
    span: bool,
    telemetry: impl FnOnce(Recording) -> Telemetry,
) -> Contestant {
    let mesh = stacks::mesh(sampled.unwrap_or(false));
    let mut recording = Recording::new(mesh.service().clone())
        .with_metrics(mesh.metrics().clone())
        .with_tracing_span(span);
    if sampled.is_some() {
        recording = recording.with_tracing(mesh.tracing().clone());
    }
    let layer = meshwise::http::ClientLayer::new(telemetry(recording), "stock");
    let dispatch = mesh.dispatch().clone();
    contestant(layer.layer(service_fn(answer)))
        .with_dispatch(dispatch)
        .with_settle(stacks::settle(mesh))
}

pub(crate) type Body = http_body_util::Full<bytes::Bytes>;

pub(crate) async fn answer(_: Request<Body>) -> Result<Response<Body>, Infallible> {
    Ok(Response::new(Body::from("an item")))
}

fn contestant<S, B>(service: S) -> Contestant
where
    S: Service<Request<Body>, Response = Response<B>> + Clone + 'static,
{
    Contestant::new(move || {
        let request = Request::get(URL).body(Body::default()).expect("a request");
        let answer = service.clone().oneshot(request).now_or_never().expect("nothing waits here");
        assert!(answer.is_ok_and(|answer| answer.status().is_success()));
    })
}

pub(crate) fn run(bench: &mut Bench) {
    for (sampled, word) in [(true, "sampled"), (false, "unsampled")] {
        bench.contest(&format!("client, {word}"), |contest| {
            contest.bare("a service that answers", || contestant(service_fn(answer)));
            contest.ours("meshwise ClientLayer", move || ours(Some(sampled), true));
            contest
                .ours("meshwise ClientLayer, no tracing spans", move || ours(Some(sampled), false));
            contest.bare("reqwest-middleware that answers", || peer(Peers::Nothing, false));
            contest.peer("reqwest-tracing", move || peer(Peers::Tracing, sampled));
            contest.peer("reqwest-tracing, reqwest-retry", move || {
                peer(Peers::TracingAndRetry, sampled)
            });
        });
    }
    bench.contest("client, metrics only", |contest| {
        contest.bare("a service that answers", || contestant(service_fn(answer)));
        contest.ours("meshwise ClientLayer", || ours(None, false));
    });
    bench.contest("client, map and register", |contest| {
        contest.bare("meshwise ClientLayer without them", || {
            ours_to(None, false, Telemetry::without_overview)
        });
        contest.ours("meshwise ClientLayer", || ours(None, false));
    });
    over_a_socket(bench);
}

/// Serves on a thread of its own, so that what it allocates is not counted.
fn serve() -> String {
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
            tell.send(listener.local_addr().expect("an address")).expect("a thread listens");
            axum::serve(listener, stacks::routes()).await.expect("a server");
        });
    });
    format!("http://{}", told.recv().expect("an address"))
}

fn over_a_socket(bench: &mut Bench) {
    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
    }
    bench.contest("client, sampled, over a socket", |contest| {
        contest.bare("reqwest", || {
            let (url, client, runtime) = (serve() + "/quiet/7", transport(), runtime());
            Contestant::new(move || {
                runtime.block_on(async {
                    let answer = client.get(&url).send().await.expect("an answer");
                    answer.bytes().await.expect("a body");
                });
            })
            .that_waits()
        });
        contest.ours("meshwise Client", || {
            let mesh = stacks::mesh(true);
            let client = mesh.client("stock").with_base_url(serve());
            let (client, runtime) = (client.build().expect("a client"), runtime());
            Contestant::new(move || {
                runtime.block_on(async {
                    let answer = client.get("/quiet/7").send().await.expect("an answer");
                    answer.bytes().await.expect("a body");
                });
            })
            .that_waits()
            .with_settle(stacks::settle(mesh))
        });
        contest.peer("reqwest-middleware, reqwest-tracing, reqwest-retry", || {
            let provider = stacks::sdk(true);
            let spans = tracing_opentelemetry::layer().with_tracer(provider.tracer("bench"));
            let subscriber = Registry::default()
                .with(EnvFilter::new("info"))
                .with(tracing_subscriber::fmt::layer().json().with_writer(io::sink))
                .with(spans);
            let (url, runtime) = (serve() + "/quiet/7", runtime());
            let client = middleware(transport(), Peers::TracingAndRetry, false);
            Contestant::new(move || {
                runtime.block_on(async {
                    let answer = client.get(&url).send().await.expect("an answer");
                    answer.bytes().await.expect("a body");
                });
            })
            .that_waits()
            .with_dispatch(Dispatch::new(subscriber))
            .with_settle(stacks::settle_sdk(provider))
        });
    });
}
