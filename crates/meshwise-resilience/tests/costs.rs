//! What a successful call allocates in each guard: nothing.
#![cfg(not(loom))]

use bytes::Bytes;
use futures_util::FutureExt;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use meshwise_core::Classifier;
use meshwise_resilience::{
    AdaptiveConfig, BreakerConfig, BreakerLayer, BulkheadConfig, BulkheadLayer, ShedConfig,
    ShedLayer,
};
use std::{future::ready, time::Duration};
use tower::{BoxError, Layer, Service, service_fn};

type Answer = Result<Response<Full<Bytes>>, BoxError>;

/// Calls a service often and reads each body; returns the allocations, of all calls.
fn allocations<S, B>(service: S) -> u64
where
    S: Service<Request<()>, Response = Response<B>> + Clone,
    B: http_body::Body,
{
    let call = move || {
        // As a client does that is shared: a clone for each call.
        let mut service = service.clone();
        assert!(
            service
                .poll_ready(&mut std::task::Context::from_waker(std::task::Waker::noop()))
                .is_ready()
        );
        let response = service.call(Request::new(())).now_or_never().and_then(Result::ok).unwrap();
        let mut body = std::pin::pin!(response.into_body());
        while let Some(Some(Ok(_))) = body.frame().now_or_never() {}
    };
    // What is only built once: the clock, the thread's place.
    call();
    allocation_counter::measure(|| (0..100).for_each(|_| call())).count_total
}

fn stock() -> impl Service<Request<()>, Response = Response<Full<Bytes>>, Error = BoxError> + Clone
{
    service_fn(|_| ready(Answer::Ok(Response::new(Full::from("well")))))
}

#[test]
fn a_successful_call_allocates_nothing() {
    assert_eq!(allocations(stock()), 0, "the bare service");

    for config in [
        BreakerConfig::new(),
        BreakerConfig::new().with_call_window(100),
        BreakerConfig::new().with_slow_calls(Duration::from_secs(1), 0.5),
    ] {
        let breaker = BreakerLayer::new("stock", config).unwrap();
        assert_eq!(allocations(breaker.layer(stock())), 0);
        let named = breaker.with_classifier(Classifier::new().with_error::<std::io::Error>());
        assert_eq!(allocations(named.layer(stock())), 0);
    }
    for config in [
        BulkheadConfig::new(),
        BulkheadConfig::new().with_adaptive_limit(AdaptiveConfig::gradient2()),
        BulkheadConfig::new().with_adaptive_limit(AdaptiveConfig::vegas()),
    ] {
        let bulkhead = BulkheadLayer::new("stock", config).unwrap();
        assert_eq!(allocations(bulkhead.layer(stock())), 0);
    }
    let shed = ShedLayer::new("orders", ShedConfig::new()).unwrap();
    assert_eq!(allocations(shed.layer(stock())), 0);

    let breaker = BreakerLayer::new("stock", BreakerConfig::new()).unwrap();
    let bulkhead = BulkheadLayer::new("stock", BulkheadConfig::new()).unwrap();
    assert_eq!(allocations(breaker.layer(bulkhead.layer(stock()))), 0, "stacked");
}
