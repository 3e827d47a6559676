//! tower's contract, callers that leave, and handles.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_service_ready_only_once_per_clone_is_asked_before_each_attempt() {
    // The mock panics when it is called before it was ready; its clones are not ready.
    let layer = RetryLayer::new("stock", RetryConfig::new()).unwrap();
    let (mut service, mut handle) =
        mock::spawn_with(|mock: mock::Mock<Sent, Response<Full<Bytes>>>| layer.layer(mock));
    handle.allow(1);
    assert_ready_ok!(service.poll_ready());
    let mut call = task::spawn(service.call(get()));
    assert_pending!(call.poll());
    handle.next_request().await.unwrap().1.send_response(status(503).unwrap());
    assert_pending!(call.poll());
    advance(ms(30)).await;
    assert_pending!(call.poll(), "the next attempt waits until a clone is ready");
    assert!(handle.next_request().now_or_never().is_none());
    handle.allow(1);
    assert!(call.is_woken());
    assert_pending!(call.poll());
    handle.next_request().await.unwrap().1.send_response(status(200).unwrap());
    assert_eq!(assert_ready_ok!(call.poll()).status(), 200);
    assert_pending!(service.poll_ready(), "the service itself was used up by the first");
}

#[tokio::test(start_paused = true)]
async fn cancelling_at_any_await_point_loses_no_budget_and_holds_nothing() {
    // The await points: the first attempt, the wait, becoming ready, the second attempt.
    for point in 0..4 {
        let held = Arc::new(());
        let budget = RetryBudget::default();
        let config = RetryConfig::new()
            .with_budget(budget.clone())
            .with_backoff(Backoff::new(ms(10), ms(10)).without_jitter());
        let layer = RetryLayer::new("stock", config).unwrap();
        let (mut service, mut handle) =
            mock::spawn_with(|mock: mock::Mock<_, Response<Full<Bytes>>>| layer.layer(mock));
        handle.allow(1);
        assert_ready_ok!(service.poll_ready());
        let body = {
            let held = Arc::clone(&held);
            StreamBody::new(stream::poll_fn(move |_| {
                let _held = &held;
                Poll::<Option<Result<Frame<Bytes>, BoxError>>>::Pending
            }))
        };
        let mut call = task::spawn(service.call(Request::put("/").body(body).unwrap()));
        assert_pending!(call.poll());
        let (request, respond) = handle.next_request().await.unwrap();
        let mut requests: Vec<Request<ReplayBody<_>>> = vec![request];
        if point > 0 {
            respond.send_response(status(503).unwrap());
            assert_pending!(call.poll());
            assert_eq!(budget.available(), 99);
        }
        if point > 1 {
            advance(ms(11)).await;
            assert_pending!(call.poll());
        }
        if point > 2 {
            handle.allow(1);
            assert_pending!(call.poll());
            requests.push(handle.next_request().await.unwrap().0);
        }
        drop(call);
        let spent = u64::from(point == 3);
        assert_eq!(budget.available(), 100 - spent, "point {point}: only a begun retry costs");
        drop(requests);
        assert_eq!(Arc::strong_count(&held), 1, "point {point}: the body is released");
    }
}

#[tokio::test(start_paused = true)]
async fn attempts_can_be_changed_at_run_time() {
    let layer = layer();
    let handle = layer.handle();
    handle.set_attempts(1).unwrap();
    assert_eq!(attempts(&layer, get(), |_| status(503)).await, 1);
    handle.set_attempts(5).unwrap();
    assert_eq!(attempts(&layer, get(), |_| status(503)).await, 5);
    let error = handle.set_attempts(0).unwrap_err();
    assert_eq!(error.to_string(), "retry.attempts is 0: set it to 1 to 10");
    assert_eq!((handle.peer(), handle.attempts()), ("stock", 5));
    assert!(RetryLayer::new("stock", RetryConfig::new().with_attempts(11)).is_err());
    let wait = RetryConfig::new().with_longest_asked(Duration::MAX);
    assert_eq!(RetryLayer::new("stock", wait).unwrap_err().setting(), "retry.longest_asked");
}

#[tokio::test(start_paused = true)]
async fn any_service_s_calls_can_be_retried() {
    let tries = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&tries);
    let flaky = service_fn(move |n: u32| {
        ready(if counted.fetch_add(1, SeqCst) < 2 { Err(BoxError::from("not yet")) } else { Ok(n) })
    });
    let layer = layer().with_calls(AnyRetries);
    assert_eq!(layer.layer(flaky).oneshot(7).await.ok(), Some(7));
    assert_eq!(tries.load(SeqCst), 3);
}

#[tokio::test(start_paused = true)]
async fn what_a_guard_refused_is_not_retried_whatever_the_kind_of_calls() {
    for (rule, tried) in [(Rule::BreakerOpen, 1), (Rule::BulkheadFull, 1), (Rule::TimedOut, 3)] {
        let tries = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&tries);
        let refused = service_fn(move |_: u32| {
            counted.fetch_add(1, SeqCst);
            ready(Err::<u32, _>(BoxError::from(Refused::new(rule, "stock"))))
        });
        let layer = layer().with_calls(AnyRetries);
        layer.layer(refused).oneshot(7).await.unwrap_err();
        assert_eq!(tries.load(SeqCst), tried, "{rule:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_of_readiness_ends_the_call() {
    let (mut service, mut handle) =
        mock::spawn_with(|mock: mock::Mock<Sent, Response<Full<Bytes>>>| layer().layer(mock));
    handle.allow(1);
    assert_ready_ok!(service.poll_ready());
    let mut call = task::spawn(service.call(get()));
    assert_pending!(call.poll());
    handle.next_request().await.unwrap().1.send_response(status(503).unwrap());
    assert_pending!(call.poll());
    handle.send_error("gone");
    advance(ms(30)).await;
    assert_eq!(assert_ready!(call.poll()).unwrap_err().to_string(), "gone");
}

#[test]
fn a_retrying_service_is_clone_send_and_sync_and_its_future_send() {
    fn check<S: Service<Request<Empty<Bytes>>, Future: Send> + Clone + Send + Sync>(_: S) {}
    check(layer().layer(service_fn(|_: Request<ReplayBody<Empty<Bytes>>>| async { status(200) })));
}
