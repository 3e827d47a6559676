//! When the next attempt begins.

use super::*;

#[tokio::test(start_paused = true)]
async fn retry_after_is_heeded_as_seconds_and_as_a_date_an_hour_long_or_negative() {
    async fn waits(answer: impl Fn(u32) -> Answer + Clone + Send + 'static) -> Vec<Duration> {
        let peer = Peer::default();
        let _answer = layer().layer(peer.service(answer)).oneshot(get()).await;
        peer.waits()
    }
    fn near(waits: &[Duration], millis: u64) {
        assert_eq!(waits.len(), 2, "{waits:?}");
        // Never before what was asked, and spread by the usual backoff on top. Tokio's timer counts
        // in milliseconds.
        let spread = |wait: &Duration| (ms(millis)..ms(millis + millis / 5 + 52)).contains(wait);
        assert!(waits.iter().all(spread), "{waits:?}");
    }
    near(&waits(|_| with_header(503, "retry-after", "2")).await, 2000);
    near(&waits(|_| with_header(429, "retry-after", "7")).await, 7000);
    let dated = |_| {
        with_header(503, "retry-after", "Tue, 02 Jan 2035 10:00:03 GMT").map(|mut response| {
            let date = "Tue, 02 Jan 2035 10:00:00 GMT".parse().unwrap();
            response.headers_mut().insert("date", date);
            response
        })
    };
    near(&waits(dated).await, 3000);
    near(&waits(|_| with_header(503, "retry-after", "Sun, 06 Nov 1994 08:49:37 GMT")).await, 0);
    let hour = waits(|_| with_header(503, "retry-after", "3600")).await;
    assert_eq!(hour, [], "nobody waits an hour: the answer is handed on at once");
    let ages = waits(|_| with_header(503, "retry-after", "99999999999999999999")).await;
    assert_eq!(ages, []);
    // What makes no sense was not said: the usual waits.
    let negative = waits(|_| with_header(503, "retry-after", "-5")).await;
    assert_eq!(negative.len(), 2);
    assert!(negative[0] <= ms(26) && negative[1] <= ms(51), "{negative:?}");

    // gRPC's pushback counts in milliseconds, and stops when it is negative.
    let grpc_call = || {
        let mut call = request(Method::POST);
        call.extensions_mut().insert(Idempotent(true));
        call.headers_mut().insert("content-type", "application/grpc".parse().unwrap());
        call
    };
    for (pushback, times) in [("150", 3), ("-1", 1), ("soon", 1), ("20000", 1)] {
        // Overload is tried again, too, if the peer says when.
        for code in ["14", "8"] {
            let peer = Peer::default();
            let answer =
                move |_| grpc(&[("grpc-status", code), ("grpc-retry-pushback-ms", pushback)]);
            let _answer = layer().layer(peer.service(answer)).oneshot(grpc_call()).await;
            let waits = peer.waits();
            assert_eq!(waits.len() + 1, times, "{code} {pushback}");
            if times == 3 {
                near(&waits, 150);
            }
        }
    }
    let waits_of_grpc = async |answer: fn(u32) -> Answer| {
        let peer = Peer::default();
        let _answer = layer().layer(peer.service(answer)).oneshot(grpc_call()).await;
        peer.waits()
    };
    assert_eq!(waits_of_grpc(|_| grpc(&[("grpc-status", "8")])).await, [], "it does not say when");
    // What stands before the peer says it in HTTP's way; a gRPC answer does not.
    near(&waits_of_grpc(|_| with_header(429, "retry-after", "7")).await, 7000);
    let other_way = |_| grpc(&[("grpc-status", "8"), ("retry-after", "7")]);
    assert_eq!(waits_of_grpc(other_way).await, []);
}

#[tokio::test(start_paused = true)]
async fn no_retry_begins_at_or_past_the_deadline() {
    let config = RetryConfig::new().with_backoff(Backoff::new(ms(100), ms(100)).without_jitter());
    let retry = RetryLayer::new("stock", config).unwrap();
    for (total, times) in [(99, 1), (100, 1), (101, 2), (199, 2), (202, 3)] {
        let peer = Peer::default();
        let config = DeadlineConfig::new().with_total(ms(total));
        let deadline = DeadlineLayer::new("stock", config).unwrap();
        let service = deadline.layer(retry.layer(peer.service(|_| status(503))));
        let start = Instant::now();
        assert_eq!(service.oneshot(get()).await.unwrap().status(), 503);
        assert_eq!(peer.attempts(), times, "{total} ms");
        assert!(start.elapsed() < ms(total), "what cannot be mended is told at once");

        let mut told = get();
        told.extensions_mut().insert(Deadline::after(Instant::now().into_std(), ms(total)));
        assert_eq!(attempts(&retry, told, |_| status(503)).await, times, "by extension");
    }
    // A peer that asks for more time than there is.
    let config = DeadlineConfig::new().with_total(ms(1500));
    let peer = Peer::default();
    let service = retry.layer(peer.service(|_| with_header(503, "retry-after", "2")));
    let service = DeadlineLayer::new("stock", config).unwrap().layer(service);
    assert_eq!(service.oneshot(get()).await.unwrap().status(), 503);
    assert_eq!(peer.attempts(), 1);
}

#[tokio::test(start_paused = true)]
async fn each_attempt_has_its_own_timeout_and_number() {
    let seen: Arc<Mutex<Vec<Option<u32>>>> = Arc::default();
    let numbers = Arc::clone(&seen);
    let hang = service_fn(move |request: Sent| {
        let number = request.extensions().get::<Attempt>().map(|attempt| attempt.0);
        numbers.lock().unwrap().push(number);
        pending::<Answer>()
    });
    let timeout = TimeoutLayer::new("stock", ms(200)).unwrap();
    let service = layer().layer(timeout.layer(hang));
    let start = Instant::now();
    let error = service.clone().oneshot(get()).await.unwrap_err();
    assert_eq!(error.downcast_ref::<Refused>().unwrap().rule(), Rule::TimedOut);
    assert!((ms(600)..ms(680)).contains(&start.elapsed()), "{:?}", start.elapsed());
    assert_eq!(std::mem::take(&mut *seen.lock().unwrap()), [None, Some(1), Some(2)]);

    // Inside another retry, numbers go on, and there are fewer.
    let mut second = get();
    second.extensions_mut().insert(Attempt(1));
    let _error = service.oneshot(second).await.unwrap_err();
    assert_eq!(*seen.lock().unwrap(), [Some(1), Some(2)]);
}
