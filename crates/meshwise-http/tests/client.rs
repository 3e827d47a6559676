//! What the client layer writes into a request, and what it records.

mod support;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::Body as _;
use http_body_util::Empty;
use meshwise_core::{
    ApiVersion, Attempt, CallInfo, Deadline, Service,
    internal::{Limits, parse_grpc_timeout},
};
use meshwise_http::{ClientLayer, ClientMode, ServerLayer, Telemetry, UrlTemplate};
use opentelemetry::{
    Context,
    trace::{Span as _, SpanKind, Status, TraceContextExt, Tracer as _},
};
use opentelemetry_sdk::trace::SpanData;
use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use support::{Observed, PARENT, TRACE, assert_attribute, get, observed, ok, traceparent};
use tower::{Layer, ServiceExt, service_fn};

/// What a peer received.
#[derive(Clone, Default)]
struct Received(Arc<Mutex<Option<http::request::Parts>>>);

impl Received {
    fn headers(&self) -> HeaderMap {
        self.0.lock().expect("not poisoned").as_ref().expect("a request").headers.clone()
    }

    fn deadline(&self) -> Option<Deadline> {
        let parts = self.0.lock().expect("not poisoned");
        parts.as_ref().expect("a request").extensions.get::<Deadline>().copied()
    }
}

/// Calls a peer that answers with `status`.
async fn call(layer: &ClientLayer, request: Request<Empty<Bytes>>, status: u16) -> Received {
    let received = Received::default();
    let inner = received.clone();
    let service = service_fn(move |request: Request<Empty<Bytes>>| {
        *inner.0.lock().expect("not poisoned") = Some(request.into_parts().0);
        let mut response = ok("");
        *response.status_mut() = status.try_into().expect("a status");
        async move { Ok::<_, Infallible>(response) }
    });
    drop(layer.layer(service).oneshot(request).await);
    received
}

/// Calls a peer from within a call that came with these headers.
async fn relay(
    o: &Observed,
    headers: &[(&'static str, String)],
    client: ClientLayer,
    request: impl Fn() -> Request<Empty<Bytes>> + Sync,
) -> Received {
    let mut incoming = get("/");
    for (name, value) in headers {
        incoming.headers_mut().append(*name, value.parse().expect("a value"));
    }
    let received = Mutex::new(Received::default());
    let service = service_fn(async |_: Request<Empty<Bytes>>| {
        let got = call(&client, request(), 200).await;
        *received.lock().expect("not poisoned") = got;
        Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
    });
    drop(ServerLayer::new(o.telemetry.clone()).layer(service).oneshot(incoming).await);
    received.into_inner().expect("not poisoned")
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).map(|value| value.to_str().expect("text").to_owned())
}

fn span(o: &Observed, kind: &SpanKind) -> SpanData {
    o.spans.spans().into_iter().find(|span| span.span_kind == *kind).expect("a span of the kind")
}

#[tokio::test]
async fn context_is_handed_on_in_full() {
    let o = observed();
    let client = ClientLayer::new(o.telemetry.clone(), "auth");
    let headers = [
        ("traceparent", traceparent("01")),
        ("tracestate", format!("mw=p:{PARENT};s:gateway;a:1,vendor=x,a@b-c-d-e-f-g-h-i-j-k-l-m=y")),
        ("baggage", "user=ada;p=1,x=%20".to_owned()),
        ("x-request-id", "r-1".to_owned()),
        ("x-request-timeout-ms", "5000".to_owned()),
    ];
    let received = relay(&o, &headers, client, || get("http://auth/check")).await;
    let got = received.headers();
    let (server, client) = (span(&o, &SpanKind::Server), span(&o, &SpanKind::Client));
    assert_eq!(client.parent_span_id, server.span_context.span_id());
    let id = client.span_context.span_id();
    assert_eq!(text(&got, "traceparent"), Some(format!("00-{TRACE}-{id}-01")));
    assert_eq!(
        text(&got, "tracestate"),
        Some(format!("mw=p:{id};s:orders;a:1,vendor=x,a@b-c-d-e-f-g-h-i-j-k-l-m=y")),
        "our entry first, the others in their order, even such as OpenTelemetry's type refuses"
    );
    let baggage = text(&got, "baggage").expect("baggage");
    assert!(baggage.contains("user=ada;p=1") && baggage.contains("x=%20"), "{baggage}");
    assert_eq!(text(&got, "x-request-id").as_deref(), Some("r-1"));
    let left: u64 = text(&got, "x-request-timeout-ms").expect("a timeout").parse().expect("ms");
    assert!((1..=5000).contains(&left), "{left}");
    assert!(received.deadline().is_some(), "the transport is told when to stop");
}

#[tokio::test]
async fn a_third_party_learns_nothing_but_the_trace() {
    let o = observed();
    let client = ClientLayer::new(o.telemetry.clone(), "bank").with_mode(ClientMode::External);
    let headers = [
        ("traceparent", traceparent("01")),
        ("baggage", "user=ada".to_owned()),
        ("x-request-id", "r-1".to_owned()),
        ("x-request-timeout-ms", "5000".to_owned()),
    ];
    let received = relay(&o, &headers, client, || get("http://bank/")).await;
    let got = received.headers();
    assert!(text(&got, "traceparent").is_some());
    for name in ["tracestate", "baggage", "x-request-id", "x-request-timeout-ms"] {
        assert_eq!(text(&got, name), None, "{name}");
    }
    assert!(received.deadline().is_some(), "it still bounds how long we wait");
}

#[tokio::test]
async fn an_unsampled_trace_is_handed_on_unsampled() {
    let o = observed();
    let client = ClientLayer::new(o.telemetry.clone(), "auth");
    let headers = [("traceparent", traceparent("00")), ("tracestate", "vendor=x".to_owned())];
    let got = relay(&o, &headers, client, || get("http://auth/")).await.headers();
    let sent = text(&got, "traceparent").expect("a traceparent");
    assert!(sent.starts_with(&format!("00-{TRACE}-")) && sent.ends_with("-00"), "{sent}");
    assert!(!sent.contains(PARENT));
    assert!(text(&got, "tracestate").expect("a tracestate").ends_with(",vendor=x"));
    assert!(o.spans.spans().is_empty());
}

#[tokio::test]
async fn without_an_incoming_call_a_trace_begins_here() {
    let o = observed();
    let client = ClientLayer::new(o.telemetry.clone(), "auth");
    let got = call(&client, get("http://auth/"), 200).await.headers();
    let span = o.span();
    let ids = &span.span_context;
    assert_eq!(
        text(&got, "traceparent"),
        Some(format!("00-{}-{}-03", ids.trace_id(), ids.span_id()))
    );
    assert_eq!(text(&got, "tracestate"), Some(format!("mw=p:{};s:orders", ids.span_id())));
}

#[tokio::test]
async fn the_shorter_of_two_deadlines_holds() {
    for (incoming, own, most) in [("5000", 100, 100), ("50", 60_000, 50)] {
        let o = observed();
        let client = ClientLayer::new(o.telemetry.clone(), "auth");
        let headers = [("x-request-timeout-ms", incoming.to_owned())];
        let received = relay(&o, &headers, client, || {
            let mut request = get("http://auth/");
            let deadline = Deadline::after(Instant::now(), Duration::from_millis(own));
            request.extensions_mut().insert(deadline);
            request
        })
        .await;
        let left = text(&received.headers(), "x-request-timeout-ms").expect("a timeout");
        assert!(left.parse::<u64>().expect("ms") <= most, "{left}");
    }
}

#[tokio::test]
async fn a_shorter_timeout_that_the_request_carries_stays() {
    for (own, expected) in [("10", "10"), ("90000", "")] {
        let o = observed();
        let client = ClientLayer::new(o.telemetry.clone(), "auth");
        let headers = [("x-request-timeout-ms", "5000".to_owned())];
        let received = relay(&o, &headers, client, || {
            let mut request = get("http://auth/");
            let value = own.parse().expect("a value");
            request.headers_mut().insert("x-request-timeout-ms", value);
            request
        })
        .await;
        let sent = text(&received.headers(), "x-request-timeout-ms").expect("a timeout");
        assert!(sent == expected || (expected.is_empty() && sent.len() == 4), "{own}: {sent}");
    }
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Returns what is told of time: `grpc-timeout` and `x-request-timeout-ms`, in milliseconds.
fn told(received: &Received) -> (Option<u128>, Option<u128>) {
    let headers = received.headers();
    let grpc = text(&headers, "grpc-timeout");
    let grpc = grpc.and_then(|value| parse_grpc_timeout(value.as_bytes()));
    let http = text(&headers, "x-request-timeout-ms").map(|ms| ms.parse().expect("ms"));
    (grpc.map(|timeout| timeout.as_millis()), http)
}

fn grpc() -> Request<Empty<Bytes>> {
    let mut request = get("http://auth/a.A/A");
    let value = http::HeaderValue::from_static("application/grpc");
    request.headers_mut().insert("content-type", value);
    request
}

#[tokio::test(start_paused = true)]
async fn the_peer_is_told_the_deadline_and_the_attempt_s_limit_apart() {
    let o = observed();
    let client = ClientLayer::new(o.telemetry.clone(), "auth");
    // It stands still, so that what is left is known.
    let now = tokio::time::Instant::now().into_std();
    let limits = Limits::new(now);
    let deadline = Deadline::after(now, ms(900));
    for (limits, expected) in [
        (limits, (None, None)),
        (limits.with_attempt(ms(300)), (None, Some(300))),
        (limits.with_total(ms(500)), (None, Some(500))),
        (limits.with_told(deadline), (Some(900), Some(900))),
        (limits.with_told(deadline).with_attempt(ms(300)), (Some(900), Some(300))),
        (limits.with_told(deadline).with_attempt(ms(3000)), (Some(900), Some(900))),
        (limits.with_attempt(Duration::from_micros(300_900)), (None, Some(300))),
    ] {
        for request in [grpc(), get("http://auth/")] {
            let is_grpc = request.headers().contains_key("content-type");
            let call = call(&client, request, 200);
            let mut call = std::pin::pin!(call);
            let received = std::future::poll_fn(|cx| {
                let _entered = limits.enter();
                call.as_mut().poll(cx)
            })
            .await;
            let expected = (expected.0.filter(|_| is_grpc), expected.1);
            assert_eq!(told(&received), expected, "{limits:?}");
            assert_eq!(received.deadline(), None, "the guard sees to it");
        }
    }
}

#[tokio::test]
async fn a_deadline_that_no_guard_knows_is_the_transport_s() {
    let o = observed();
    let client = ClientLayer::new(o.telemetry.clone(), "auth");
    let now = Instant::now();
    let deadline = Deadline::after(now, ms(900));
    for (limits, enforced) in [
        (None, true),
        // A total does not hold for a stream; a later deadline is not this one.
        (Some(Limits::new(now).with_total(ms(500))), true),
        (Some(Limits::new(now).with_told(Deadline::after(now, ms(901)))), true),
        (Some(Limits::new(now).with_told(deadline)), false),
        (Some(Limits::new(now).with_told(Deadline::after(now, ms(100)))), false),
    ] {
        // Set in the incoming call, so that it is in no extension yet.
        let mut info = CallInfo::default();
        info.deadline = Some(deadline);
        let cx = Context::new().with_value(info);
        let received = cx_scope(cx, limits, call(&client, get("http://auth/"), 200)).await;
        assert_eq!(received.deadline(), enforced.then_some(deadline), "{limits:?}");
    }
}

/// Polls a future within a context and limits.
async fn cx_scope<F: Future>(cx: Context, limits: Option<Limits>, future: F) -> F::Output {
    let mut future = std::pin::pin!(future);
    std::future::poll_fn(|task| {
        let _cx = cx.clone().attach();
        let _limits = limits.map(Limits::enter);
        future.as_mut().poll(task)
    })
    .await
}

#[tokio::test]
async fn a_timeout_set_by_hand_is_a_deadline() {
    let o = observed();
    for (request, name, value, expected) in [
        (grpc(), "grpc-timeout", "300m", (Some(300), Some(300))),
        (grpc(), "x-request-timeout-ms", "300", (Some(300), Some(300))),
        (get("http://auth/"), "x-request-timeout-ms", "300", (None, Some(300))),
        (get("http://auth/"), "x-request-timeout-ms", "x", (None, None)),
    ] {
        for mode in [ClientMode::Internal, ClientMode::External] {
            let client = ClientLayer::new(o.telemetry.clone(), "auth").with_mode(mode);
            let mut request = request.clone();
            request.headers_mut().insert(name, value.parse().expect("a value"));
            let received = call(&client, request, 200).await;
            if mode == ClientMode::Internal && expected.1.is_some() {
                assert_eq!(told(&received), expected, "{name}");
            }
            let left = received.deadline().and_then(|by| by.remaining(Instant::now()));
            assert_eq!(left.is_some(), expected.1.is_some(), "{name} {mode:?}");
            assert!(left.is_none_or(|left| left <= ms(300)));
        }
    }
}

#[tokio::test]
async fn a_limit_of_the_caller_s_attempt_goes_on_as_one() {
    let o = observed();
    let client = ClientLayer::new(o.telemetry.clone(), "auth");
    let headers = [("x-request-timeout-ms", "60000".to_owned())];
    // As it came, or with the header that came handed on as it stands.
    for handed_on in [false, true] {
        let received = relay(&o, &headers, client.clone(), || {
            let mut request = grpc();
            if handed_on {
                let value = "60000".parse().expect("a value");
                request.headers_mut().insert("x-request-timeout-ms", value);
            }
            request
        })
        .await;
        let (grpc, http) = told(&received);
        assert_eq!(grpc, None, "no deadline was set");
        assert!(http.is_some_and(|ms| ms < 60_000), "the time that passed is taken off: {http:?}");
    }
}

#[tokio::test]
async fn the_span_says_what_the_conventions_ask() {
    let o = observed();
    let client = ClientLayer::new(o.telemetry.clone(), "auth");
    let mut request = get("http://me:pw@auth:81/users/7?sig=x");
    request.extensions_mut().insert(UrlTemplate("/users/{id}"));
    request.extensions_mut().insert(Attempt(2));
    call(&client, request, 404).await;
    let span = o.span();
    assert_eq!(span.name, "GET /users/{id}");
    assert_eq!(span.span_kind, SpanKind::Client);
    for (key, value) in [
        ("http.request.method", "GET"),
        ("url.full", "http://REDACTED:REDACTED@auth:81/users/7?sig=REDACTED"),
        ("url.template", "/users/{id}"),
        ("server.address", "auth"),
        ("server.service.name", "auth"),
        ("error.type", "404"),
    ] {
        assert_attribute(&span, key, value);
    }
    assert_attribute(&span, "server.port", 81);
    assert_attribute(&span, "http.request.resend_count", 2);
    assert_eq!(span.status, Status::error(""), "4xx is an error for a client");
    assert_eq!(
        o.metric(&[
            "http_client_request_duration_seconds_count",
            "server_address=\"auth\"",
            "server_port=\"81\"",
            "server_service_name=\"auth\"",
            "http_response_status_code=\"404\"",
        ]),
        1.0
    );
}

#[tokio::test]
async fn a_request_sent_again_carries_one_context() {
    let o = observed();
    let client = ClientLayer::new(o.telemetry.clone(), "auth");
    let first = call(&client, get("http://auth/"), 503).await.headers();
    let mut again = get("http://auth/");
    *again.headers_mut() = first.clone();
    let second = call(&client, again, 200).await.headers();
    assert_ne!(text(&first, "traceparent"), text(&second, "traceparent"));
    for name in ["traceparent", "tracestate"] {
        assert_eq!(second.get_all(name).iter().count(), 1, "{name}");
    }
}

#[tokio::test]
async fn the_api_version_asked_for_is_told_to_the_mesh_only() {
    let o = observed();
    let asking = || {
        let mut request = get("http://auth/");
        request.extensions_mut().insert(ApiVersion("v1_20171001-2".into()));
        request
    };
    let client = ClientLayer::new(o.telemetry.clone(), "auth");
    let got = call(&client, asking(), 200).await.headers();
    let sent = text(&got, "tracestate").expect("a tracestate");
    assert!(sent.ends_with(";s:orders;v:v1_20171001-2"), "{sent}");
    let got = call(&client.with_mode(ClientMode::External), asking(), 200).await.headers();
    assert_eq!(text(&got, "tracestate"), None);
}

#[tokio::test]
async fn a_client_that_makes_no_spans_leaves_the_current_one_alone() {
    let o = observed();
    let telemetry = Telemetry::new(Service::new("orders", "1.2.3"));
    let span = o.tracing.tracer().start("the app's own");
    let ids = span.span_context().clone();
    let _attached = Context::current_with_span(span).attach();

    let received = Received::default();
    let inner = received.clone();
    let service = service_fn(move |request: Request<Empty<Bytes>>| {
        *inner.0.lock().expect("not poisoned") = Some(request.into_parts().0);
        let recording = Context::map_current(|cx| cx.span().is_recording());
        async move { Ok::<_, Infallible>(ok(if recording { "recording" } else { "" })) }
    });
    let layer = ClientLayer::new(telemetry, "stock");
    let answer = layer.layer(service).oneshot(get("http://stock/")).await.expect("an answer");
    assert_eq!(answer.into_body().size_hint().exact(), Some(9), "what runs below may record");
    let sent = received.headers()["traceparent"].to_str().expect("text").to_owned();
    assert!(sent.contains(&ids.span_id().to_string()), "{sent} names {}", ids.span_id());
}
