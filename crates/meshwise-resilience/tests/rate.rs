//! How many calls pass in a time, who waits, and what a call that is given up leaves behind.

use meshwise_resilience::{
    AnyCalls, DeadlineConfig, DeadlineLayer, RateConfig, RateLimitLayer, Refused, Rule,
};
use std::{
    error::Error,
    hash::{Hash, Hasher},
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::time::{Instant, advance};
use tokio_test::{assert_pending, assert_ready, assert_ready_ok, task};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_test::mock;

type BoxError = Box<dyn Error + Send + Sync>;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn config(calls: u32) -> RateConfig {
    RateConfig::new(calls, Duration::from_secs(1))
}

fn wait(result: Result<u32, BoxError>) -> Option<Duration> {
    result.err().map(|error| {
        let refused: &Refused = error.downcast_ref().expect("a refusal");
        assert_eq!((refused.rule(), refused.peer()), (Rule::RateLimited, "stock"));
        refused.retry_after().expect("the wait is told")
    })
}

#[tokio::test(start_paused = true)]
async fn past_the_burst_calls_are_refused_and_told_when_to_come_back() {
    let layer = RateLimitLayer::new("stock", config(10).with_burst(3)).unwrap();
    let echo = service_fn(async |n: u32| Ok::<_, BoxError>(n));
    let (one, two) = (layer.layer(echo), layer.layer(echo));
    for service in [&one, &two, &one] {
        assert_eq!(wait(service.clone().oneshot(1).await), None);
    }
    assert_eq!(wait(two.clone().oneshot(1).await), Some(ms(100)), "one limit for all clones");
    advance(ms(60)).await;
    assert_eq!(wait(one.clone().oneshot(1).await), Some(ms(40)));
    advance(ms(40)).await;
    assert_eq!(wait(one.clone().oneshot(1).await), None);
    assert_eq!(wait(one.oneshot(1).await), Some(ms(100)));
}

#[tokio::test(start_paused = true)]
async fn those_who_may_wait_pass_in_turn() {
    let config = config(10).with_burst(1).with_max_wait(ms(250));
    let layer = RateLimitLayer::new("stock", config).unwrap();
    let start = Instant::now();
    let service = layer.layer(service_fn(move |n: u32| async move {
        Ok::<_, BoxError>(n + start.elapsed().as_millis() as u32)
    }));
    let calls = (0..5).map(|_| service.clone().oneshot(0));
    let answers = futures_util::future::join_all(calls).await;
    let mut times: Vec<_> =
        answers.into_iter().map(|answer| answer.map_err(|e| wait(Err(e)))).collect();
    let refused = times.split_off(3);
    for (time, expected) in times.into_iter().zip([0, 100, 200]) {
        assert!((expected..expected + 2).contains(&time.unwrap()));
    }
    assert_eq!(refused, [Err(Some(ms(300))), Err(Some(ms(300)))]);
}

#[tokio::test(start_paused = true)]
async fn no_one_waits_past_the_deadline() {
    let config = config(10).with_burst(1).with_max_wait(ms(1000));
    let layer = RateLimitLayer::new("stock", config).unwrap();
    let deadline = DeadlineConfig::new().with_total(ms(50));
    let deadline = DeadlineLayer::new("gate", deadline).unwrap().with_calls(AnyCalls::new());
    let service = deadline.layer(layer.layer(service_fn(async |n: u32| Ok::<_, BoxError>(n))));
    assert_eq!(wait(service.clone().oneshot(1).await), None);
    let start = Instant::now();
    assert_eq!(wait(service.oneshot(1).await), Some(ms(100)));
    assert_eq!(start.elapsed(), Duration::ZERO, "refused at once");
}

/// Queues up 49 of 50 calls, then one with 20 ms to go, and counts those that passed two seconds later.
async fn assert_in_turn<S>(limited: S)
where
    S: Service<u32, Response = u32, Error = BoxError> + Clone + 'static,
{
    let hurried = DeadlineConfig::new().with_total(ms(20));
    let hurried = DeadlineLayer::new("gate", hurried).unwrap().with_calls(AnyCalls::new());
    let ask = || task::spawn(limited.clone().oneshot(7));
    let mut calls: Vec<_> = (0..50).map(|_| ask()).collect();
    assert_ready_ok!(calls[0].poll());
    drop(calls.remove(0));
    calls.iter_mut().for_each(|call| assert!(call.poll().is_pending()));
    advance(ms(1)).await;
    assert_eq!(wait(hurried.layer(limited.clone()).oneshot(7).await), Some(ms(4_999)));
    calls.extend((0..20).map(|_| ask()));
    calls.iter_mut().for_each(|call| assert!(call.poll().is_pending()));
    advance(ms(2000)).await;
    let passed = calls.iter_mut().map(|call| call.poll().map(Result::unwrap).is_ready());
    assert_eq!(passed.filter(|passed| *passed).count(), 20);
}

#[tokio::test(start_paused = true)]
async fn a_call_in_a_hurry_does_not_jump_the_queue() {
    let config = config(10).with_burst(1).with_max_wait(ms(10_000));
    let echo = service_fn(async |n: u32| Ok::<_, BoxError>(n));
    assert_in_turn(RateLimitLayer::new("stock", config.clone()).unwrap().layer(echo)).await;
    let key = |key: &u32, hasher: &mut dyn Hasher| hasher.write_u32(*key);
    assert_in_turn(RateLimitLayer::per_key("stock", config, 100, key).unwrap().layer(echo)).await;
}

#[tokio::test(start_paused = true)]
async fn a_call_given_up_while_it_waits_gives_its_turn_back() {
    let config = config(10).with_burst(1).with_max_wait(ms(150));
    let layer = RateLimitLayer::new("stock", config).unwrap();
    let (mut service, mut handle) =
        mock::spawn_with(|mock: mock::Mock<u32, u32>| layer.layer(mock));
    handle.allow(5);
    assert_ready_ok!(service.poll_ready());
    let first = service.call(1);
    for polls in 0..2 {
        assert_ready_ok!(service.poll_ready());
        let mut second = task::spawn(service.call(2));
        for _ in 0..polls {
            assert_pending!(second.poll());
        }
        drop(second);
    }
    // The turn of the one that left is free: this one takes it.
    assert_ready_ok!(service.poll_ready());
    let mut third = task::spawn(service.call(3));
    assert_pending!(third.poll());
    let (request, _) = handle.next_request().await.unwrap();
    assert_eq!(request, 1);
    advance(ms(101)).await;
    assert_pending!(third.poll());
    let (request, respond) = handle.next_request().await.unwrap();
    assert_eq!(request, 3, "nothing was sent for those who left");
    respond.send_response(7);
    assert_eq!(assert_ready_ok!(third.poll()), 7);
    drop(first);
}

#[tokio::test(start_paused = true)]
async fn a_service_ready_only_once_per_clone_waits_with_its_call() {
    let config = config(10).with_burst(1).with_max_wait(ms(150));
    let layer = RateLimitLayer::new("stock", config).unwrap();
    let (mut service, mut handle) =
        mock::spawn_with(|mock: mock::Mock<u32, u32>| layer.layer(mock));
    handle.allow(2);
    assert_ready_ok!(service.poll_ready());
    let _first = service.call(1);
    assert_ready_ok!(service.poll_ready());
    let mut second = task::spawn(service.call(2));
    assert_pending!(second.poll());
    advance(ms(101)).await;
    // The mock panics if it is called without having been ready.
    assert_pending!(second.poll());
    handle.next_request().await.unwrap();
    assert_eq!(handle.next_request().await.unwrap().0, 2);
}

#[tokio::test(start_paused = true)]
async fn each_key_has_its_own_limit_in_bounded_memory() {
    let by_value = |key: &u32, mut hasher: &mut dyn Hasher| (key % 1000).hash(&mut hasher);
    let layer = RateLimitLayer::per_key("stock", config(2), 4096, by_value).unwrap();
    let service = layer.layer(service_fn(async |n: u32| Ok::<_, BoxError>(n)));
    for key in 0..100 {
        assert_eq!(wait(service.clone().oneshot(key).await), None);
        assert_eq!(wait(service.clone().oneshot(key).await), None);
        assert_eq!(wait(service.clone().oneshot(key).await), Some(ms(500)), "{key}");
    }
    // More keys than there is room for: the limits hold for those that find none, together.
    let few =
        RateLimitLayer::per_key("stock", config(1), 8, |key: &u32, hasher: &mut dyn Hasher| {
            hasher.write_u32(*key);
        });
    let service = few.unwrap().layer(service_fn(async |n: u32| Ok::<_, BoxError>(n)));
    let mut passed = 0;
    for key in 0..1000 {
        passed += u32::from(wait(service.clone().oneshot(key).await).is_none());
    }
    assert_eq!(passed, 8 + 1);
}

#[tokio::test(start_paused = true)]
async fn the_limit_can_be_changed_and_taken_away_at_run_time() {
    let layer = RateLimitLayer::new("stock", config(5)).unwrap();
    let handle = layer.handle();
    handle.set_config(None).unwrap();
    let service = layer.layer(service_fn(async |n: u32| Ok::<_, BoxError>(n)));
    let passed = async || {
        let mut passed = 0;
        for _ in 0..100 {
            passed += u32::from(wait(service.clone().oneshot(1).await).is_none());
        }
        passed
    };
    assert_eq!((handle.config(), passed().await), (None, 100));
    handle.set_config(Some(config(10))).unwrap();
    assert_eq!((handle.config(), passed().await), (Some(config(10)), 10));
    let error = handle.set_config(Some(config(0))).unwrap_err();
    assert_eq!(error.to_string(), "rate.calls is 0: set it to 1 to 1000000");
    assert_eq!(handle.config(), Some(config(10)), "nothing is changed");
    handle.set_config(None).unwrap();
    assert_eq!((handle.peer(), passed().await), ("stock", 100));
}

/// Whatever is turned while calls wait, neither they nor those who come get more than the rate.
#[tokio::test(start_paused = true)]
async fn a_limit_that_is_turned_while_calls_wait_holds_for_them_and_for_those_who_come() {
    let slow = |secs| RateConfig::new(1, Duration::from_secs(secs)).with_burst(1);
    let waits = slow(10).with_max_wait(Duration::from_secs(60));
    for (turned, spacing, wait_longer) in
        [(slow(10), 10, false), (slow(20), 20, true), (waits.clone(), 10, false)]
    {
        let layer = RateLimitLayer::new("stock", waits.clone()).unwrap();
        let (start, passed) = (Instant::now(), Arc::new(Mutex::new(Vec::new())));
        let times = Arc::clone(&passed);
        let service = layer.layer(service_fn(move |_: u32| {
            times.lock().unwrap().push(start.elapsed().as_secs());
            async { Ok::<_, BoxError>(0) }
        }));
        let call = || tokio::spawn(service.clone().oneshot(1));
        let mut calls: Vec<_> = (0..5).map(|_| call()).collect();
        tokio::time::sleep(ms(500)).await;
        layer.handle().set_config(Some(turned)).unwrap();
        for _ in 0..45 {
            calls.push(call());
            tokio::time::sleep(ms(1000)).await;
        }
        tokio::time::sleep(Duration::from_secs(200)).await;
        let passed = passed.lock().unwrap().clone();
        // The time before it was turned counts as it did then.
        assert!(passed[1] + 1 >= spacing, "{passed:?}");
        assert!(passed[1..].windows(2).all(|two| two[1] - two[0] >= spacing), "{passed:?}");
        assert!(passed.len() >= if wait_longer { 3 } else { 5 }, "{passed:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_used_of_a_limit_is_used_of_the_one_it_is_turned_to() {
    let layer = RateLimitLayer::new("stock", config(1).with_burst(10)).unwrap();
    let service = layer.layer(service_fn(async |n: u32| Ok::<_, BoxError>(n)));
    for _ in 0..4 {
        assert_eq!(wait(service.clone().oneshot(1).await), None);
    }
    let set = |config| layer.handle().set_config(Some(config)).unwrap();
    set(config(10).with_burst(5));
    assert_eq!(wait(service.clone().oneshot(1).await), None, "one of five is left");
    assert_eq!(wait(service.clone().oneshot(1).await), Some(ms(100)));
    // One that was narrower locks the door for no longer than the new one's own time.
    set(RateConfig::new(1, Duration::from_secs(3600)));
    set(config(10).with_burst(1));
    assert_eq!(wait(service.clone().oneshot(1).await), Some(ms(100)));
}

#[test]
fn settings_that_make_no_sense_say_what_is_allowed() {
    let text = |config: RateConfig| RateLimitLayer::new("x", config).unwrap_err().to_string();
    assert_eq!(text(config(5).with_burst(0)), "rate.burst is 0: set it to 1 to 1000000");
    assert_eq!(
        text(RateConfig::new(1, Duration::ZERO)),
        "rate.per is 0ns: set it to at least 1ms and at most 365 days"
    );
    assert_eq!(
        text(RateConfig::new(u32::MAX, ms(1))),
        "rate.calls is 4294967295: set it to 1 to 1000000"
    );
    let year = RateConfig::new(1, Duration::from_secs(86_400)).with_burst(400);
    assert_eq!(text(year), "rate.burst is 400: set it to no more than the rate brings in a year");
    assert!(RateLimitLayer::new("x", config(1).with_max_wait(Duration::MAX)).is_err());
    let no_keys = RateLimitLayer::per_key("x", config(1), 0, |_: &(), _: &mut dyn Hasher| {});
    assert_eq!(no_keys.unwrap_err().setting(), "rate.keys");
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_jumps_neither_opens_nor_wedges_the_limit() {
    let layer = RateLimitLayer::new("stock", config(10)).unwrap();
    let mut service = layer.layer(service_fn(async |n: u32| Ok::<_, BoxError>(n)));
    for jump in [0, 86_400_000, 365 * 86_400_000] {
        advance(ms(jump)).await;
        let mut passed = 0;
        for _ in 0..100 {
            let mut call = task::spawn(service.ready().await.unwrap().call(1));
            passed += u32::from(assert_ready!(call.poll()).is_ok());
        }
        assert_eq!(passed, 10, "one burst, however long the pause");
    }
}

#[tokio::test(start_paused = true)]
async fn places_given_up_in_the_middle_of_a_queue_go_to_those_who_come_next() {
    let config = config(10).with_burst(1).with_max_wait(ms(500));
    let echo = service_fn(async |n: u32| Ok::<_, BoxError>(n));
    let key = |key: &u32, hasher: &mut dyn Hasher| hasher.write_u32(*key);
    let one = RateLimitLayer::new("stock", config.clone()).unwrap().layer(echo);
    let keyed = RateLimitLayer::per_key("stock", config, 100, key).unwrap().layer(echo);
    async fn assert_filled<S>(limited: S)
    where
        S: Service<u32, Response = u32, Error = BoxError> + Clone,
    {
        let ask = || task::spawn(limited.clone().oneshot(7));
        let mut calls: Vec<_> = (0..6).map(|_| ask()).collect();
        assert_ready_ok!(calls[0].poll());
        drop(calls.remove(0));
        calls.iter_mut().for_each(|call| assert!(call.poll().is_pending()));
        assert_eq!(wait(limited.clone().oneshot(7).await), Some(ms(600)), "the queue is full");
        // Those of 200 and 300 ms leave, and two others come.
        drop(calls.drain(1..3));
        calls.extend([ask(), ask()]);
        calls.iter_mut().for_each(|call| assert!(call.poll().is_pending()));
        assert_eq!(wait(limited.clone().oneshot(7).await), Some(ms(600)), "and it is full again");
        for hundreds in 1..=5 {
            advance(ms(101)).await;
            let before = calls.len();
            calls.retain_mut(|call| call.poll().is_pending());
            assert_eq!(before - calls.len(), 1, "one each 100 ms, {hundreds}");
        }
    }
    assert_filled(one).await;
    assert_filled(keyed).await;
}
