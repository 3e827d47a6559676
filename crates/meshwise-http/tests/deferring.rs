//! What runs with the call's context: a service that is called, unless the layer knows that it only
//! makes its future, and that future in any case.

mod support;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{Empty, Full};
use meshwise_http::{ClientLayer, ObservedService, ServerLayer};
use opentelemetry::{Context, trace::TraceContextExt};
use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    task::{self, Poll},
};
use support::{get, observed, ok};
use tower::{Layer, Service, ServiceExt};

/// Tells in its answer's headers whether its call and its future ran with a span.
#[derive(Clone)]
struct Looks;

impl Service<Request<Empty<Bytes>>> for Looks {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut task::Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Empty<Bytes>>) -> Self::Future {
        let called = has_span();
        Box::pin(async move {
            let mut response = ok("");
            response.headers_mut().insert("called", called);
            response.headers_mut().insert("polled", has_span());
            Ok(response)
        })
    }
}

fn has_span() -> http::HeaderValue {
    u64::from(Context::map_current(TraceContextExt::has_active_span)).into()
}

/// Returns what the service saw of the call's context when it was called, and when it was polled.
async fn seen(layer: impl Layer<Looks, Service = ObservedService<Looks>>) -> [String; 2] {
    let response = layer.layer(Looks).oneshot(get("/")).await.expect("an answer");
    ["called", "polled"].map(|name| response.headers()[name].to_str().expect("a text").to_owned())
}

#[tokio::test]
async fn a_call_runs_in_its_context_and_a_deferring_service_s_once_it_is_polled() {
    struct Other;
    let o = observed();
    let layer = || ServerLayer::new(o.telemetry.clone());
    assert_eq!(seen(layer()).await, ["1", "1"]);
    assert_eq!(seen(layer().with_deferring::<Other>()).await, ["1", "1"], "of another type");
    assert_eq!(seen(layer().with_deferring::<Looks>()).await, ["0", "1"]);
    let client = || ClientLayer::new(o.telemetry.clone(), "stock");
    assert_eq!(seen(client()).await, ["1", "1"]);
    assert_eq!(seen(client().with_deferring::<Looks>()).await, ["0", "1"]);
    assert_eq!(o.spans.spans().len(), 5);
    o.assert_idle();
}
