//! What faults are made, and that none is made unasked.

use super::*;
use bytes::Bytes;
use http::{HeaderName, StatusCode};
use http_body_util::Full;
use meshwise_core::GrpcCode;
use std::{convert::Infallible, future::ready};
use tokio::time::Instant;
use tower::{ServiceExt, service_fn};

fn service(
    layer: &FaultLayer,
) -> impl Service<Request<()>, Response = Response<Full<Bytes>>, Error = Infallible> + Clone {
    layer.layer(service_fn(|_| ready(Ok(Response::new(Full::from("well"))))))
}

fn unavailable() -> Abort {
    Abort::Status(StatusCode::SERVICE_UNAVAILABLE)
}

#[tokio::test(start_paused = true)]
async fn nothing_happens_until_it_is_switched_on() {
    let config = FaultConfig::new().with_abort(1.0, unavailable());
    let layer = FaultLayer::new("stock", config).unwrap();
    let handle = layer.handle();
    let status = async || service(&layer).oneshot(Request::new(())).await.unwrap().status();
    assert_eq!((handle.is_on(), status().await), (false, StatusCode::OK));
    handle.switch(true);
    assert_eq!((handle.is_on(), status().await), (true, StatusCode::SERVICE_UNAVAILABLE));
    handle.switch(false);
    assert_eq!((handle.peer(), status().await), ("stock", StatusCode::OK));
}

#[tokio::test(start_paused = true)]
async fn shares_are_kept_and_delays_take_their_time() {
    let config =
        FaultConfig::new().with_delay(0.25, Duration::from_secs(1)).with_abort(0.5, unavailable());
    let layer = FaultLayer::new("stock", config).unwrap();
    layer.handle().switch(true);
    let (mut late, mut failed, mut both) = (0, 0, 0);
    for _ in 0..4000 {
        let start = Instant::now();
        let response = service(&layer).oneshot(Request::new(())).await.unwrap();
        let slow = start.elapsed() >= Duration::from_secs(1);
        let bad = response.status() == 503;
        late += u32::from(slow);
        failed += u32::from(bad);
        both += u32::from(slow && bad);
    }
    // Ten standard deviations either way.
    assert!((720..1280).contains(&late), "{late}");
    assert!((1680..2320).contains(&failed), "{failed}");
    assert!((290..710).contains(&both), "{both}");
}

#[tokio::test(start_paused = true)]
async fn only_requests_with_the_headers_are_meddled_with() {
    let config = FaultConfig::new()
        .with_abort(1.0, Abort::Grpc(GrpcCode::Unavailable))
        .with_header(HeaderName::from_static("x-chaos"), None)
        .with_header(HeaderName::from_static("x-user"), Some(HeaderValue::from_static("test")));
    let layer = FaultLayer::new("stock", config.clone()).unwrap();
    layer.handle().switch(true);
    let aborted = async |headers: &[(&'static str, &'static str)]| {
        let mut request = Request::new(());
        let grpc = ("content-type", "application/grpc");
        for (name, value) in headers.iter().chain([&grpc]) {
            request.headers_mut().append(*name, HeaderValue::from_static(value));
        }
        let response = service(&layer).oneshot(request).await.unwrap();
        response.headers().get("grpc-status").map(|code| code.to_str().unwrap().to_owned())
    };
    assert_eq!(aborted(&[]).await, None);
    assert_eq!(aborted(&[("x-chaos", "1")]).await, None);
    assert_eq!(aborted(&[("x-chaos", "1"), ("x-user", "me")]).await, None);
    let both = [("x-chaos", "1"), ("x-user", "me"), ("x-user", "test")];
    assert_eq!(aborted(&both).await.as_deref(), Some("14"));
    layer.handle().set_config(FaultConfig::new()).unwrap();
    assert_eq!(aborted(&both).await, None);
    assert_ne!(layer.handle().config(), config);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_no_grpc_call_gets_no_success_for_a_grpc_code() {
    let config = FaultConfig::new().with_abort(1.0, Abort::Grpc(GrpcCode::NotFound));
    let layer = FaultLayer::new("stock", config).unwrap();
    layer.handle().switch(true);
    let response = service(&layer).oneshot(Request::new(())).await.unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.headers().get("grpc-status"), None);
}

#[tokio::test(start_paused = true)]
async fn a_service_ready_only_once_per_clone_waits_with_its_call() {
    let config = FaultConfig::new().with_delay(1.0, Duration::from_secs(1));
    let layer = FaultLayer::new("stock", config).unwrap();
    layer.handle().switch(true);
    let (mut service, mut handle) = tower_test::mock::spawn_with(
        |mock: tower_test::mock::Mock<Request<()>, Response<Full<Bytes>>>| layer.layer(mock),
    );
    handle.allow(1);
    tokio_test::assert_ready_ok!(service.poll_ready());
    // The mock panics if it is called without having been ready.
    let mut call = tokio_test::task::spawn(service.call(Request::new(())));
    tokio_test::assert_pending!(call.poll());
    tokio::time::advance(Duration::from_secs(1)).await;
    tokio_test::assert_pending!(call.poll());
    assert!(handle.next_request().await.is_some());
}

#[test]
fn shares_that_make_no_sense_say_what_is_allowed() {
    let text = |config| FaultLayer::new("stock", config).unwrap_err().to_string();
    assert_eq!(
        text(FaultConfig::new().with_abort(50.0, unavailable())),
        "fault.abort.share is 50: set it to at least 0 and at most 1"
    );
    let delay = FaultConfig::new().with_delay(f64::NAN, Duration::ZERO);
    assert_eq!(FaultLayer::new("stock", delay).unwrap_err().setting(), "fault.delay.share");
    let layer = FaultLayer::new("stock", FaultConfig::new()).unwrap();
    let endless = FaultConfig::new().with_delay(1.0, Duration::MAX);
    assert!(layer.handle().set_config(endless).is_err());
}

#[test]
fn faults_are_made_as_they_are_set() {
    let mut settings = FaultSettings::default();
    assert_eq!(FaultConfig::from_settings(&settings), FaultConfig::new());
    settings.delay.share.set(0.5);
    settings.delay.time.set(Duration::from_secs(2));
    settings.abort.share.set(1.0);
    settings.headers.entry("x-chaos").set("*".to_owned());
    let config = FaultConfig::from_settings(&settings);
    let FaultSettings { delay, abort, .. } = &config.0;
    assert_eq!((delay.share.get(), delay.time.get()), (Some(&0.5), Some(&Duration::from_secs(2))));
    assert_eq!(abort.share.get(), Some(&1.0));
    assert_eq!(config.abort(Protocol::Http), Abort::Status(StatusCode::SERVICE_UNAVAILABLE));
    let mut headers = HeaderMap::new();
    assert!(!config.matches(&headers));
    headers.insert("x-chaos", HeaderValue::from_static("1"));
    assert!(config.matches(&headers));
    settings.abort.grpc_code.set(14_u32);
    let config = FaultConfig::from_settings(&settings);
    assert_eq!(config.0.abort.share.get(), Some(&1.0));
    assert_eq!(config.abort(Protocol::Grpc), Abort::Grpc(GrpcCode::Unavailable));
    settings.headers.entry("x y").set("1".to_owned());
    let error = FaultConfig::from_settings(&settings).check().unwrap_err().to_string();
    assert_eq!(error, "fault.headers is x y: set it to names of headers");
}
