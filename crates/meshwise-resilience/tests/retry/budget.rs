//! What retries cost a peer that is down.

use super::*;

#[tokio::test(start_paused = true)]
async fn an_incoming_retry_has_fewer_tries_here() {
    thread_local!(static TRIED: std::cell::Cell<u32> = const { std::cell::Cell::new(0) });
    let config = RetryConfig::new().with_incoming(|| TRIED.get());
    let layer = RetryLayer::new("stock", config).unwrap();
    for (tried, times) in [(0, 3), (1, 2), (2, 1), (3, 1), (u32::MAX, 1)] {
        TRIED.set(tried);
        assert_eq!(attempts(&layer, get(), |_| status(503)).await, times, "{tried}");
    }
}

/// One hop: takes a call, calls on with what it knows of the call's attempts.
async fn hop<B>(
    service: BoxCloneService<Request<Full<Bytes>>, Response<B>, BoxError>,
    attempt: u32,
) -> Answer {
    let mut request = get();
    request.extensions_mut().insert(Attempt(attempt));
    Ok(service.oneshot(request).await?.map(|_| Full::default()))
}

#[tokio::test(start_paused = true)]
async fn three_hops_of_three_tries_under_total_failure_stay_below_1_3() {
    const CALLS: u32 = 10_000;
    let attempt = |request: &Sent| request.extensions().get::<Attempt>().map_or(0, |n| n.0);
    let stock = Peer::default();
    let config = || RetryConfig::new();
    let first = RetryLayer::new("stock", config()).unwrap();
    let second = RetryLayer::new("orders", config()).unwrap();
    let third = RetryLayer::new("gateway", config()).unwrap();

    let failing = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let down = Arc::clone(&failing);
    let stock_answers = stock.service(move |_| status(if down.load(SeqCst) { 503 } else { 200 }));
    let orders = BoxCloneService::new(first.layer(stock_answers));
    let orders = service_fn(move |request: Sent| hop(orders.clone(), attempt(&request)));
    let gateway = BoxCloneService::new(second.layer(orders));
    let gateway = service_fn(move |request: Sent| hop(gateway.clone(), attempt(&request)));
    let caller = BoxCloneService::new(third.layer(gateway));

    let mut amplification = Vec::new();
    // Healthy, then 50 s of total failure, 200 calls a second.
    for fails in [false, true] {
        failing.store(fails, SeqCst);
        let mut calls = tokio::task::JoinSet::new();
        for _ in 0..CALLS {
            advance(ms(5)).await;
            calls.spawn(hop(caller.clone(), 0));
        }
        while let Some(answer) = calls.join_next().await {
            let expected = if fails { 503 } else { 200 };
            assert_eq!(answer.unwrap().unwrap().status(), expected);
        }
        amplification.push(f64::from(stock.attempts()) / f64::from(CALLS));
    }
    println!(
        "attempts at the last hop, per call: {:.3} in health, {:.3} under total failure \
         (27 without a budget)",
        amplification[0], amplification[1]
    );
    assert_eq!(amplification[0], 1.0);
    assert!(amplification[1] < 1.3, "{}", amplification[1]);
    assert!(amplification[1] > 1.0, "some are tried again");
}

#[tokio::test(start_paused = true)]
async fn when_the_budget_is_spent_the_failure_is_handed_on() {
    let budget = RetryBudget::ratio(0.5, 0).unwrap();
    let config = RetryConfig::new().with_budget(budget.clone());
    let layer = RetryLayer::new("stock", config).unwrap();
    let other = RetryLayer::new("stock", RetryConfig::new().with_budget(budget)).unwrap();
    assert_eq!(attempts(&layer, get(), |_| status(503)).await, 1, "nothing went well yet");
    for _ in 0..4 {
        assert_eq!(attempts(&layer, get(), |_| status(200)).await, 1);
    }
    assert_eq!(layer.handle().budget().available(), 2);
    assert_eq!(attempts(&other, get(), |_| status(503)).await, 3, "shared");
    assert_eq!(attempts(&layer, get(), |_| status(503)).await, 1);
    // 4xx are answers, 500 is no success.
    attempts(&layer, get(), |_| status(404)).await;
    attempts(&layer, get(), |_| status(404)).await;
    attempts(&layer, get(), |_| status(500)).await;
    assert_eq!(layer.handle().budget().available(), 1);

    let tokens = RetryConfig::new().with_budget(RetryBudget::tokens(4, 0.5).unwrap());
    let layer = RetryLayer::new("stock", tokens).unwrap();
    assert_eq!(attempts(&layer, get(), |_| status(503)).await, 2, "two of four are left");
    assert_eq!(attempts(&layer, get(), |_| status(503)).await, 1);
}

/// Makes calls with one attempt each, read to their ends, and returns what the budget has then.
async fn after(
    budget: RetryBudget,
    kind: &str,
    answer: impl Fn() -> Response<StreamBody<stream::Iter<std::vec::IntoIter<Piece>>>>
    + Clone
    + Send
    + 'static,
) -> u64 {
    let retry = RetryConfig::new().with_budget(budget.clone()).with_attempts(1);
    let layer = PeerLayer::new("stock", PeerConfig::new().without_breaker().with_retry(retry));
    let stock = layer.unwrap().layer(service_fn(move |_: Sent| ready(Ok::<_, BoxError>(answer()))));
    for _ in 0..8 {
        let request = Request::post("/a.B/C").header("content-type", kind);
        let request = request.body(Full::new(Bytes::new())).unwrap();
        _ = stock.clone().oneshot(request).await.unwrap().into_body().collect().await;
    }
    budget.available()
}

type Piece = Result<Frame<Bytes>, BoxError>;

fn answers(
    status: u16,
    kind: &str,
    pieces: Vec<Piece>,
) -> Response<StreamBody<stream::Iter<std::vec::IntoIter<Piece>>>> {
    let response = Response::builder().status(status).header("content-type", kind);
    response.body(StreamBody::new(stream::iter(pieces))).unwrap()
}

#[tokio::test(start_paused = true)]
async fn only_what_went_well_to_its_end_pays() {
    let grpc = |code: &'static str| {
        let code = HeaderMap::from_iter([("grpc-status".parse().unwrap(), code.parse().unwrap())]);
        answers(200, "application/grpc", vec![Ok(Frame::trailers(code))])
    };
    let broken = || {
        answers(
            200,
            "text/plain",
            vec![Err(io::Error::from(io::ErrorKind::ConnectionReset).into())],
        )
    };
    let ratio = || RetryBudget::ratio(1.0, 0).unwrap();
    // Three of ten are left: two below half.
    let tokens = || {
        let budget = RetryBudget::tokens(10, 1.0).unwrap();
        (0..7).for_each(|_| budget.failed());
        budget
    };
    for (code, by_ratio, by_tokens) in
        [("0", 8, 5), ("5", 8, 0), ("7", 8, 0), ("8", 0, 0), ("14", 0, 0)]
    {
        assert_eq!(
            after(ratio(), "application/grpc", move || grpc(code)).await,
            by_ratio,
            "{code}"
        );
        assert_eq!(
            after(tokens(), "application/grpc", move || grpc(code)).await,
            by_tokens,
            "{code}"
        );
    }
    assert_eq!(after(ratio(), "text/plain", || answers(200, "text/plain", vec![])).await, 8);
    assert_eq!(after(ratio(), "text/plain", || answers(429, "text/plain", vec![])).await, 0);
    assert_eq!(after(ratio(), "text/plain", broken).await, 0);
    assert_eq!(after(tokens(), "text/plain", broken).await, 0);
}

fn counts(snapshotter: &Snapshotter) -> BTreeMap<String, u64> {
    let snapshot = snapshotter.snapshot().into_vec();
    let counts = snapshot.into_iter().filter_map(|(key, _, _, value)| {
        assert_eq!(key.key().name(), "meshwise_retries_total");
        let label = |name| key.key().labels().find(|label| label.key() == name).unwrap().value();
        assert_eq!(label("peer"), "stock");
        let DebugValue::Counter(count) = value else { panic!("a counter") };
        (count > 0).then(|| (label("result").to_owned(), count))
    });
    counts.collect()
}

#[tokio::test(start_paused = true)]
async fn what_became_of_retries_is_counted() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let config = RetryConfig::new().with_budget(RetryBudget::ratio(0.0, 1).unwrap());
    let layer =
        metrics::with_local_recorder(&recorder, || RetryLayer::new("stock", config)).unwrap();

    attempts(&layer, get(), |_| status(200)).await;
    assert_eq!(counts(&snapshotter), BTreeMap::new(), "a call that goes well is not counted");
    attempts(&layer, get(), |n| status(if n == 0 { 503 } else { 200 })).await;
    attempts(&layer, get(), |_| status(503)).await;
    attempts(&layer, request(Method::POST), |_| status(503)).await;
    let long = Request::put("/").body(Full::new(Bytes::from(vec![0; 100_000]))).unwrap();
    let reads = service_fn(|request: Sent| async move {
        request.into_body().collect().await?;
        status(503)
    });
    assert_eq!(layer.layer(reads).oneshot(long).await.unwrap().status(), 503);
    for _ in 0..5 {
        attempts(&layer, get(), |_| status(503)).await;
    }
    let expected = [
        ("body_not_kept", 1),
        ("budget_exhausted", 2),
        ("failure", 9),
        ("not_idempotent", 1),
        ("success", 1),
    ];
    assert_eq!(counts(&snapshotter), expected.map(|(k, v)| (k.to_owned(), v)).into());
}
