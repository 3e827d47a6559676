//! Guards and spans tell one story of a call, also where the time of this side decides: on a paused clock, over a transport
//! that is a function.

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt;
use meshwise::{
    GrpcClient, Mesh, builder,
    core::Env,
    log::{LogLines, LogOutput},
    opentelemetry_sdk::trace::SpanData,
    resilience::{BreakerSnapshot, PeerConfig, RouteConfig},
    trace::{MemorySpans, SpanExport},
};
use std::{
    future::{Future, pending, ready},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::{Sleep, sleep, timeout};
use tonic::{Status, body::Body};
use tower::{ServiceExt, service_fn, util::BoxCloneSyncService};

type Transport = BoxCloneSyncService<Request<Body>, Response<Body>, Status>;

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// A piece each second, so many of them; after them nothing, for ever or not.
struct Pieces {
    next: Pin<Box<Sleep>>,
    left: u32,
    hangs: bool,
}

impl Pieces {
    fn new(left: u32) -> Self {
        Self { next: Box::pin(sleep(secs(1))), left, hangs: false }
    }

    fn and_hangs(left: u32) -> Self {
        Self { hangs: true, ..Self::new(left) }
    }
}

impl HttpBody for Pieces {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.left == 0 {
            return if self.hangs { Poll::Pending } else { Poll::Ready(None) };
        }
        ready!(self.next.as_mut().poll(cx));
        self.next = Box::pin(sleep(secs(1)));
        self.left -= 1;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"piece")))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

struct Stock {
    mesh: Mesh,
    spans: MemorySpans,
    client: GrpcClient<Transport>,
}

impl Stock {
    /// A client of a peer that answers like this, with the default guards but for what is changed.
    fn new<F>(
        guards: impl FnOnce(PeerConfig) -> PeerConfig + Send + 'static,
        answer: impl Fn(Request<Body>) -> F + Clone + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<Response<Body>, Status>> + Send + 'static,
    {
        let (spans, lines) = (MemorySpans::new(), LogLines::new());
        let mesh = builder("orders", "1")
            .with_env(Env::from_pairs::<&str, &str>([]))
            .logs(move |logs| logs.with_output(LogOutput::memory(&lines)))
            .traces({
                let spans = spans.clone();
                move |traces| traces.with_exporter(SpanExport::memory(&spans))
            })
            .build()
            .expect("a mesh");
        let client = mesh.grpc_client("stock").with_guards(guards);
        let client = client.build_over(BoxCloneSyncService::new(service_fn(answer)));
        Self { client: client.expect("a client"), mesh, spans }
    }

    fn breaker(&self) -> BreakerSnapshot {
        self.mesh.guards().breaker("stock").expect("a breaker").snapshot()
    }

    /// Calls, and reads the answer until it ends or the caller has had enough.
    async fn call(&self, request: Request<Body>, patience: Duration) {
        let call = self.client.clone().oneshot(request);
        let read = async { call.await?.into_body().collect().await.map(drop) };
        drop(timeout(patience, read).await);
    }

    /// What the one span says of how the call ended, and whether the guards count a failure.
    fn ended(&self) -> (Option<String>, bool) {
        let spans = self.spans.spans();
        let [SpanData { attributes, .. }] = &*spans else { panic!("one span: {spans:?}") };
        let error = attributes.iter().find(|one| one.key.as_str() == "error.type");
        (error.map(|one| one.value.to_string()), self.breaker().failed > 0)
    }
}

fn post(path: &str, grpc: bool, body: Body) -> Request<Body> {
    let mut request = Request::post(format!("http://stock{path}")).body(body).expect("a request");
    if grpc {
        let grpc = http::HeaderValue::from_static("application/grpc");
        request.headers_mut().insert("content-type", grpc);
    }
    request
}

fn answer(grpc: bool, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    if grpc {
        let grpc = http::HeaderValue::from_static("application/grpc");
        response.headers_mut().insert("content-type", grpc);
    }
    response
}

#[tokio::test(start_paused = true)]
async fn a_stream_by_the_settings_that_its_reader_leaves_has_not_timed_out() {
    type Change = fn(PeerConfig) -> PeerConfig;
    let settings: [(Change, bool); 4] = [
        (|guards| guards.with_streaming(["shop.Stock/Watch"]), true),
        (|guards| guards.with_route("shop.Stock/*", RouteConfig::new().streaming()), true),
        (PeerConfig::until_head, true),
        (PeerConfig::until_head, false),
    ];
    for (at, (guards, grpc)) in settings.into_iter().enumerate() {
        let quiet = move |_| ready(Ok(answer(grpc, Body::new(Pieces::and_hangs(0)))));
        let stock = Stock::new(guards, quiet);
        stock.call(post("/shop.Stock/Watch", grpc, Body::empty()), secs(11)).await;
        let expected = grpc.then(|| "cancelled".to_owned());
        assert_eq!(stock.ended(), (expected, false), "{at}");
    }
    // What was set on purpose holds for it, too.
    let quiet = |_| ready(Ok(answer(true, Body::new(Pieces::and_hangs(0)))));
    let stock =
        Stock::new(|guards| guards.with_streaming(["shop.Stock/Watch"]).with_total(secs(5)), quiet);
    stock.call(post("/shop.Stock/Watch", true, Body::empty()), secs(11)).await;
    assert_eq!(stock.ended().0.as_deref(), Some("timeout"));
}

/// Reads the request to its end, and answers or hangs then.
async fn reader(hangs: bool, request: Request<Body>) -> Result<Response<Body>, Status> {
    request.into_body().collect().await?;
    if hangs {
        pending::<()>().await;
    }
    Ok(Response::new(Body::empty()))
}

#[tokio::test(start_paused = true)]
async fn an_upload_that_its_caller_gives_up_has_not_timed_out() {
    // How many seconds of upload, after how many milliseconds its caller leaves, and whether that is the peer's
    // failure: its attempt has three seconds from when all is sent.
    for (upload, leaves, timed_out) in [
        (20, 2_500, false),
        (20, 8_000, false),
        (20, 8_999, false),
        (20, 15_500, false),
        (5, 7_000, false),
        (5, 7_999, true),
        (5, 9_000, true),
    ] {
        for grpc in [false, true] {
            let stock = Stock::new(|guards| guards, |request| reader(true, request));
            let upload = Body::new(Pieces::new(upload));
            let patience = Duration::from_millis(leaves);
            stock.call(post("/shop.Stock/Fill", grpc, upload), patience).await;
            let expected = if timed_out { "timeout" } else { "cancelled" };
            assert_eq!(stock.ended(), (Some(expected.to_owned()), timed_out), "{leaves} ms");
        }
    }
    // A deadline that was set on purpose is one for both, and no one's fault.
    let stock = Stock::new(|guards| guards.with_total(secs(4)), |request| reader(false, request));
    stock.call(post("/", false, Body::new(Pieces::new(20))), secs(9)).await;
    assert_eq!(stock.ended(), (Some("timeout".to_owned()), false));
}
