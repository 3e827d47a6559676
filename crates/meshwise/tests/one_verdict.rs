//! Guards and spans tell one story of a call, also where the time of this side decides: on a paused clock, over a transport
//! that is a function.

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt;
use meshwise::{
    GrpcClient, Mesh, builder,
    core::{Deadline, Env},
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
use tokio::time::{Instant, Sleep, sleep, timeout};
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

/// Answers after half a second with these pieces, and goes on to read the request; of `gives_up` pieces it has had enough.
async fn early(
    request: Request<Body>,
    pieces: impl FnOnce() -> Pieces,
    gives_up: Option<usize>,
) -> Result<Response<Body>, Status> {
    let grpc = request.headers().contains_key("content-type");
    let mut upload = request.into_body();
    tokio::spawn(async move {
        for _ in 0..gives_up.unwrap_or(usize::MAX) {
            if upload.frame().await.is_none() {
                break;
            }
        }
    });
    // As over a network: it is read before the head is there.
    sleep(Duration::from_millis(500)).await;
    Ok(answer(grpc, Body::new(pieces())))
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_begins_early_streams_while_the_upload_runs_and_has_its_limits_from_then_on()
{
    // Seconds of upload, of which so many are read, of the answer, and after which it is cut.
    for (upload, read, flows, hangs, cut) in [
        (12, None, 15, false, None),
        // The default total of ten seconds, from the upload's end on.
        (12, None, 3, true, Some(22)),
        (12, None, 40, false, Some(22)),
        (30, Some(5), 3, true, Some(15)),
        // An upload that is over at the head: ten seconds in all.
        (0, None, 3, true, Some(10)),
    ] {
        let answer = move |request| {
            let pieces = move || if hangs { Pieces::and_hangs(flows) } else { Pieces::new(flows) };
            early(request, pieces, read)
        };
        let stock = Stock::new(|guards| guards, answer);
        let began = Instant::now();
        stock.call(post("/", false, Body::new(Pieces::new(upload))), secs(1_000)).await;
        let took = began.elapsed().as_secs();
        let expected = cut.unwrap_or(flows.into());
        assert_eq!(took, expected, "{upload} {read:?} {flows}");
        let failed = cut.is_some();
        let error = failed.then(|| "timeout".to_owned());
        assert_eq!(stock.ended(), (error, failed), "{upload} {read:?} {flows}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_leaves_an_early_answer_leaves_its_head_s_verdict() {
    // Seconds of upload, and after how many milliseconds the reader leaves, which waits for a second piece.
    for (upload, leaves, timed_out) in
        [(30, 11_000, false), (30, 25_000, false), (5, 14_900, false), (5, 14_999, true)]
    {
        let answer = |request| early(request, || Pieces::and_hangs(1), None);
        let stock = Stock::new(|guards| guards, answer);
        let upload = Body::new(Pieces::new(upload));
        stock.call(post("/", false, upload), Duration::from_millis(leaves)).await;
        let error = timed_out.then(|| "timeout".to_owned());
        assert_eq!(stock.ended(), (error, timed_out), "{leaves} ms");
    }
}

#[tokio::test(start_paused = true)]
async fn both_directions_of_a_grpc_call_flow_as_long_as_they_like() {
    let message = || Bytes::from_static(&[0, 0, 0, 0, 0]);
    let stock = Stock::new(
        |guards| guards,
        move |request: Request<Body>| async move {
            // An answer to each message, once all of it is there.
            let answers = request.into_body().map_frame(move |_| Frame::data(message()));
            Ok(answer(true, Body::new(answers)))
        },
    );
    let began = Instant::now();
    stock.call(post("/shop.Stock/Talk", true, Body::new(Pieces::new(60))), secs(1_000)).await;
    assert_eq!(began.elapsed(), secs(60));
    assert!(stock.breaker().failed <= 1, "the end without a status");
    let (error, _) = stock.ended();
    assert_ne!(error.as_deref(), Some("timeout"));
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_works_on_the_first_message_of_a_grpc_call_and_leaves_has_not_timed_out() {
    let message = Bytes::from_static(&[0, 0, 0, 0, 0]);
    let stock = Stock::new(
        |guards| guards,
        move |_| ready(Ok(answer(true, Body::new(FirstPiece(Some(message.clone())))))),
    );
    let call = stock.client.clone().oneshot(post("/shop.Stock/Watch", true, Body::empty()));
    let mut body = Box::pin(call.await.expect("a head").into_body());
    body.frame().await.expect("a frame").expect("a good one");
    sleep(secs(11)).await;
    drop(body);
    assert_eq!(stock.ended(), (Some("cancelled".to_owned()), false));
}

/// A first piece, and nothing after it for ever.
struct FirstPiece(Option<Bytes>);

impl HttpBody for FirstPiece {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        self.0.take().map_or(Poll::Pending, |first| Poll::Ready(Some(Ok(Frame::data(first)))))
    }
}

/// Always has another piece, so many of them, and fails then or ends.
struct Ready {
    left: u32,
    fails: bool,
}

impl HttpBody for Ready {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        Poll::Ready(match (self.left, self.fails) {
            (0, false) => None,
            (0, true) => Some(Err(Status::internal("broken"))),
            _ => {
                self.left -= 1;
                Some(Ok(Frame::data(Bytes::from_static(b"piece"))))
            }
        })
    }
}

#[tokio::test(start_paused = true)]
async fn an_upload_that_the_peer_takes_slowly_runs_too_and_one_that_fails_is_over() {
    for (fails, total, cut) in [(false, None, 22), (true, None, 22), (false, Some(5), 5)] {
        let slowly = move |request: Request<Body>| async move {
            let mut upload = request.into_body();
            tokio::spawn(async move {
                while let Some(Ok(_)) = upload.frame().await {
                    sleep(secs(1)).await;
                }
            });
            sleep(Duration::from_millis(500)).await;
            Ok(answer(false, Body::new(Pieces::and_hangs(3))))
        };
        let guards = move |guards: PeerConfig| match total {
            Some(total) => guards.with_total(secs(total)),
            None => guards,
        };
        let stock = Stock::new(guards, slowly);
        let began = Instant::now();
        let upload = Body::new(Ready { left: 12, fails });
        stock.call(post("/", false, upload), secs(1_000)).await;
        assert_eq!(began.elapsed().as_secs(), cut, "{fails} {total:?}");
        // What was set on purpose is no fault of a peer that has had no time of its own.
        let failed = total.is_none();
        assert_eq!(stock.ended(), (Some("timeout".to_owned()), failed), "{fails} {total:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_time_that_a_reader_takes_is_not_the_peer_s() {
    // Seconds that the reader takes with the head, and with a first piece that lay ready; when the call is cut, and
    // whether that is the peer's failure: it had 0.4 of an attempt's time, while the reader waited for more.
    for (head, piece, cut, failed) in [
        (0, 0, 10_000, true),
        (0, 1, 10_000, true),
        (0, 8, 10_000, true),
        (0, 9, 10_000, false),
        // Time is up before the reader is back, to which more of what was sent meanwhile may still come.
        (0, 12, 12_050, false),
        (12, 0, 12_000, false),
    ] {
        let first = || Body::new(FirstPiece(Some(Bytes::from_static(b"piece"))));
        let stock = Stock::new(|guards| guards, move |_| ready(Ok(answer(false, first()))));
        let began = Instant::now();
        let call = stock.client.clone().oneshot(post("/", false, Body::empty()));
        let mut body = Box::pin(call.await.expect("a head").into_body());
        sleep(secs(head)).await;
        if body.frame().await.expect("a frame").is_ok() {
            sleep(secs(piece)).await;
            body.frame().await.expect("a frame").expect_err("its time is up");
        }
        assert_eq!(began.elapsed().as_millis(), cut, "{head} {piece}");
        assert_eq!(stock.ended(), (Some("timeout".to_owned()), failed), "{head} {piece}");
    }
}

#[tokio::test(start_paused = true)]
async fn limits_that_end_at_one_moment_are_the_attempt_s() {
    // Seconds of an attempt, in all, and of a deadline that the request carries.
    for (attempt, total, deadline) in
        [(3, 3, None), (3, 10, Some(3)), (2, 2, Some(2)), (9, 4, Some(4))]
    {
        for grpc in [false, true] {
            let guards = move |guards: PeerConfig| {
                guards.with_timeout(secs(attempt)).with_total(secs(total))
            };
            let stock = Stock::new(guards, |_| pending());
            let mut request = post("/shop.Stock/Take", grpc, Body::empty());
            if let Some(deadline) = deadline {
                let deadline = Deadline::after(Instant::now().into_std(), secs(deadline));
                request.extensions_mut().insert(deadline);
            }
            let began = Instant::now();
            stock.call(request, secs(100)).await;
            assert_eq!(began.elapsed(), secs(attempt.min(total)));
            let what = format!("{attempt} {total} {deadline:?}");
            assert_eq!(stock.ended(), (Some("timeout".to_owned()), true), "{what}");
        }
    }
}
