//! Guards put together through the front door, in ways that no fault report named: over real sockets, on a clock
//! that only the test moves.

mod budgets;
mod chains;
mod limits;
mod peers;
mod streams;

use axum::{
    Router,
    body::Body,
    extract::{Path, Request, State},
    http::{HeaderMap, StatusCode},
    middleware::{Next, from_fn_with_state},
    response::{
        IntoResponse, Response, Sse,
        sse::{Event, KeepAlive},
    },
    routing::{any, get},
};
use futures_util::StreamExt;
use meshwise::{
    Mesh,
    client::{Client, reqwest},
    resilience::{
        BreakerConfig, BreakerSnapshot, BreakerState, BulkheadConfig, BulkheadSnapshot, PeerConfig,
    },
};
use meshwise_testing::TestMesh;
use meshwise_tests::{
    Served,
    echo::{Ask, Echo, EchoClient, EchoServer},
    serve,
};
use std::{
    convert::Infallible,
    future::{Future, pending},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU16, AtomicUsize, Ordering::SeqCst},
        mpsc,
    },
    time::Duration,
};
use tokio::{
    task::{JoinHandle, yield_now},
    time::{Instant, advance, sleep},
};
use tonic::{Code, Status, service::Routes};

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// A paused clock that does not run ahead while sockets are waited for.
struct Clock {
    _running: mpsc::Sender<()>,
}

impl Clock {
    fn held() -> Self {
        let (running, ends) = mpsc::channel::<()>();
        // As long as a blocking task runs, tokio does not move a paused clock by itself.
        drop(tokio::task::spawn_blocking(move || ends.recv().is_err()));
        Self { _running: running }
    }

    /// Has all tasks do what they can do now.
    async fn settle(&self) {
        for _ in 0..40 {
            yield_now().await;
        }
    }

    /// Lets time pass, in steps that no timer takes for a standstill.
    async fn pass(&self, time: Duration) {
        self.pass_by(ms(10), time).await;
    }

    async fn pass_by(&self, step: Duration, time: Duration) {
        let end = Instant::now() + time;
        self.settle().await;
        while Instant::now() < end {
            advance(step.min(end - Instant::now())).await;
            self.settle().await;
        }
    }

    /// Lets time pass until a task is over.
    async fn until<T: Send + 'static>(&self, task: impl Future<Output = T> + Send + 'static) -> T {
        let task = tokio::spawn(task);
        for _ in 0..200_000 {
            self.settle().await;
            if task.is_finished() {
                break;
            }
            advance(ms(10)).await;
        }
        task.await.expect("a task that ends")
    }
}

/// A peer over HTTP and gRPC, which answers each path by its name.
struct Peer {
    served: Served,
    /// What it answers all calls of HTTP with, if that is not 0.
    sick: Arc<AtomicU16>,
    asked: Arc<AtomicUsize>,
}

impl Peer {
    async fn start() -> Self {
        let (sick, asked) = (Arc::default(), Arc::default());
        let http = Router::new()
            .route("/status/{code}", any(status))
            .route("/after/{millis}", any(after))
            .route("/hang", any(pending::<()>))
            .route("/events/{millis}", get(events))
            .route("/pieces/{count}/{millis}", any(pieces))
            .fallback(async || "well");
        let grpc = Routes::new(EchoServer::new(Echo)).into_axum_router().reset_fallback();
        let gate = from_fn_with_state((Arc::clone(&sick), Arc::clone(&asked)), gate);
        Self { served: serve(http.merge(grpc).layer(gate)).await, sick, asked }
    }

    fn turn(&self, status: u16) {
        self.sick.store(status, SeqCst);
    }

    fn asked(&self) -> usize {
        self.asked.load(SeqCst)
    }

    fn client(
        &self,
        mesh: &Mesh,
        guards: impl FnOnce(PeerConfig) -> PeerConfig + Send + 'static,
    ) -> Client {
        let client = mesh.client("stock").with_base_url(self.served.url("")).with_guards(guards);
        client.build().expect("a client")
    }

    fn grpc(
        &self,
        mesh: &Mesh,
        guards: impl FnOnce(PeerConfig) -> PeerConfig + Send + 'static,
    ) -> EchoClient<meshwise::GrpcClient> {
        let client = mesh.grpc_client("stock").with_endpoint(self.served.url(""));
        EchoClient::new(client.with_guards(guards).build().expect("a client"))
    }
}

async fn gate(
    State((sick, asked)): State<(Arc<AtomicU16>, Arc<AtomicUsize>)>,
    request: Request,
    next: Next,
) -> Response {
    asked.fetch_add(1, SeqCst);
    match sick.load(SeqCst) {
        0 => next.run(request).await,
        status => StatusCode::from_u16(status).expect("a status").into_response(),
    }
}

async fn status(Path(code): Path<u16>) -> StatusCode {
    StatusCode::from_u16(code).expect("a status")
}

async fn after(Path(millis): Path<u64>) -> &'static str {
    sleep(ms(millis)).await;
    "late"
}

async fn events(
    Path(millis): Path<u64>,
) -> Sse<impl futures_util::Stream<Item = Result<Event, Infallible>>> {
    let ticks = futures_util::stream::repeat(()).then(move |()| async move {
        sleep(ms(millis)).await;
        Ok(Event::default().data("tick"))
    });
    Sse::new(ticks).keep_alive(KeepAlive::default().interval(secs(100_000)))
}

async fn pieces(Path((count, millis)): Path<(usize, u64)>) -> Response {
    let pieces = futures_util::stream::iter(0..count).then(move |_| async move {
        sleep(ms(millis)).await;
        Ok::<_, Infallible>("piece")
    });
    Response::new(Body::from_stream(pieces))
}

/// Asks over HTTP; the status, or 0 if there was no answer.
async fn ask(client: &Client, path: &str) -> u16 {
    match client.get(path).send().await {
        Ok(answer) => {
            let status = answer.status().as_u16();
            answer.bytes().await.map_or(0, |_| status)
        }
        Err(_) => 0,
    }
}

fn breaker(mesh: &Mesh) -> BreakerSnapshot {
    mesh.guards().breaker("stock").expect("a breaker").snapshot()
}

fn bulkhead(mesh: &Mesh) -> BulkheadSnapshot {
    mesh.guards().bulkhead("stock").expect("a bulkhead").snapshot()
}

fn count(mesh: &TestMesh, metric: &str, label: &str, value: &str) -> f64 {
    let metric = mesh.metric(metric).label("peer", "stock").label(label, value);
    metric.value().unwrap_or_default()
}

/// The changes of the breaker's state, as events tell them.
fn changes(mesh: &TestMesh) -> Vec<String> {
    let lines = mesh.lines().containing("circuit breaker");
    let to = |line: &serde_json::Value| {
        let message = line["message"].as_str().unwrap_or_default();
        message.trim_start_matches("circuit breaker ").to_owned()
    };
    lines.json().iter().map(to).collect()
}

#[tokio::test(start_paused = true)]
async fn the_clock_stands_while_sockets_are_waited_for_and_moves_as_it_is_told() {
    let (clock, peer, mesh) = (Clock::held(), Peer::start().await, TestMesh::new("front"));
    let (client, began) = (peer.client(&mesh, |guards| guards), Instant::now());
    assert_eq!(ask(&client, "/").await, 200);
    assert_eq!(began.elapsed(), Duration::ZERO);
    clock.until(async move { ask(&client, "/after/2500").await }).await;
    assert_eq!(began.elapsed(), ms(2_500));
}
