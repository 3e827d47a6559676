//! Which bodies are sent again, and which responses are never asked for twice.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_response_body_that_was_seen_is_never_retried() {
    let tries = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&tries);
    let service = service_fn(move |_: Sent| {
        counted.fetch_add(1, SeqCst);
        let frames = [
            Ok(Frame::data(Bytes::from_static(b"half"))),
            Err(io::Error::from(io::ErrorKind::ConnectionReset)),
        ];
        ready(Ok::<_, BoxError>(Response::new(StreamBody::new(stream::iter(frames)))))
    });
    let response = layer().layer(service).oneshot(get()).await.unwrap();
    assert!(response.into_body().collect().await.is_err());
    assert_eq!(tries.load(SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_retry_whose_body_was_half_sent_sends_it_whole() {
    type Stream = Channel<Bytes, BoxError>;
    let bodies: Arc<Mutex<Vec<String>>> = Arc::default();
    let seen = Arc::clone(&bodies);
    // Answers 503 after the first piece, without reading on; holds on to the body for good, as a
    // transport may.
    let service = service_fn(move |request: Request<ReplayBody<Stream>>| {
        let bodies = Arc::clone(&seen);
        async move {
            let first = bodies.lock().unwrap().is_empty();
            let mut body = request.into_body();
            if first {
                let piece = body.frame().await.unwrap()?.into_data().unwrap();
                bodies.lock().unwrap().push(String::from_utf8(piece.to_vec())?);
                std::mem::forget(body);
                return status(503);
            }
            let all = body.collect().await?.to_bytes();
            bodies.lock().unwrap().push(String::from_utf8(all.to_vec())?);
            status(200)
        }
    });
    let (mut sender, body) = Stream::new(1);
    let put = Request::put("/").body(body).unwrap();
    let (response, sent) = tokio::join!(layer().layer(service).oneshot(put), async {
        for piece in ["one ", "two ", "three"] {
            sender.send_data(piece.into()).await?;
        }
        drop(sender);
        Ok::<_, BoxError>(())
    });
    sent.unwrap();
    assert_eq!(response.unwrap().status(), 200);
    assert_eq!(*bodies.lock().unwrap(), ["one ", "one two three"]);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_too_long_or_may_not_be_sent_twice_is_sent_once() {
    let read_all = |tries: &Arc<AtomicU32>| {
        let tries = Arc::clone(tries);
        service_fn(move |request: Sent| {
            let tries = Arc::clone(&tries);
            async move {
                tries.fetch_add(1, SeqCst);
                request.into_body().collect().await?;
                status(503)
            }
        })
    };
    let tries = Arc::new(AtomicU32::new(0));
    let sized = |method: Method, bytes: usize| {
        Request::builder().method(method).body(Full::new(Bytes::from(vec![7; bytes]))).unwrap()
    };
    for (method, bytes, times) in
        [(Method::PUT, 64 * 1024, 3), (Method::PUT, 64 * 1024 + 1, 1), (Method::POST, 10, 1)]
    {
        let service = layer().layer(read_all(&tries));
        assert_eq!(service.oneshot(sized(method, bytes)).await.unwrap().status(), 503);
        assert_eq!(tries.swap(0, SeqCst), times, "{bytes}");
    }
    // Whatever its length: no one has read it yet.
    assert!(attempts(&layer(), sized(Method::POST, 1 << 20), |_| connect()).await > 3);
}

#[tokio::test(start_paused = true)]
async fn the_failed_response_is_dropped_before_the_wait() {
    let held = Arc::new(());
    let mine = Arc::clone(&held);
    let service = service_fn(move |_: Sent| {
        let held = Arc::clone(&mine);
        let body = StreamBody::new(stream::poll_fn(move |_| {
            let _held = &held;
            Poll::<Option<Result<Frame<Bytes>, BoxError>>>::Pending
        }));
        ready(Ok::<_, BoxError>(Response::builder().status(503).body(body).unwrap()))
    });
    let config = RetryConfig::new().with_backoff(Backoff::new(ms(10), ms(10)).without_jitter());
    let mut service = RetryLayer::new("stock", config).unwrap().layer(service);
    let idle = Arc::strong_count(&held);
    let mut call = task::spawn(service.ready().await.unwrap().call(get()));
    assert_eq!(Arc::strong_count(&held), idle + 1, "the response is there");
    assert_pending!(call.poll());
    assert_eq!(Arc::strong_count(&held), idle);
}

/// Keeps the bound on bodies where it can be seen.
#[allow(dead_code, reason = "it is there to compile")]
fn bodies_are_not_boxed<B>(body: ReplayBody<B>) -> impl Body<Data = Bytes, Error = BoxError>
where
    B: Body + Unpin,
    B::Error: Into<BoxError>,
{
    body
}
