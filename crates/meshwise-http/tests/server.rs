//! What the server layer takes from a request, and what it records.

mod support;

use bytes::Bytes;
use http::{Extensions, HeaderName, HeaderValue, Method, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use meshwise_core::{CallInfo, Deadline, Service};
use meshwise_http::{
    AccessLog, RequestIdPolicy, ServerLayer, ServerMode, Telemetry, incoming_deadline,
    incoming_limit,
};
use meshwise_trace::SamplerConfig;
use opentelemetry::{
    Context, KeyValue,
    baggage::BaggageExt,
    trace::{FutureExt, SpanKind, Status, TraceContextExt},
};
use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use support::{
    Observed, PARENT, TRACE, assert_attribute, attribute, get, observed, observed_with, ok,
    traceparent,
};
use tower::{Layer, ServiceExt, service_fn};

/// Sends one request through a layer and returns what `look` saw while it was handled.
async fn serve<T: Send + 'static>(
    layer: &ServerLayer,
    request: Request<Empty<Bytes>>,
    look: impl Fn() -> T + Clone + Send,
) -> (Response<()>, T) {
    let seen = Mutex::new(None);
    let service = service_fn(async |_: Request<Empty<Bytes>>| {
        *seen.lock().expect("not poisoned") = Some(look());
        Ok::<_, Infallible>(ok(""))
    });
    let response = layer.layer(service).oneshot(request).await.expect("an answer");
    let seen = seen.into_inner().expect("not poisoned").expect("the handler ran");
    (response.map(drop), seen)
}

fn layer(o: &Observed) -> ServerLayer {
    ServerLayer::new(o.telemetry.clone())
}

fn with(
    mut request: Request<Empty<Bytes>>,
    headers: &[(&'static str, &str)],
) -> Request<Empty<Bytes>> {
    for (name, value) in headers {
        request.headers_mut().append(*name, value.parse().expect("a value"));
    }
    request
}

#[tokio::test]
async fn the_caller_s_trace_is_continued() {
    let o = observed();
    let request = with(get("/"), &[("traceparent", &traceparent("01"))]);
    let (_, inside) =
        serve(&layer(&o), request, || Context::current().span().span_context().clone()).await;
    let span = o.span();
    assert_eq!(span.span_context.trace_id().to_string(), TRACE);
    assert_eq!(span.parent_span_id.to_string(), PARENT);
    assert!(span.parent_span_is_remote);
    assert_eq!(span.span_kind, SpanKind::Server);
    assert_eq!(inside.span_id(), span.span_context.span_id(), "the handler runs inside the span");
}

#[tokio::test]
async fn a_caller_that_does_not_sample_is_followed() {
    let o = observed();
    let request = with(get("/"), &[("traceparent", &traceparent("00"))]);
    let (_, inside) =
        serve(&layer(&o), request, || Context::current().span().span_context().clone()).await;
    assert!(o.spans.spans().is_empty());
    assert_eq!(inside.trace_id().to_string(), TRACE, "log lines still name the trace");
    assert_ne!(inside.span_id().to_string(), PARENT);
    assert!(!inside.is_sampled());
    assert_eq!(o.metric(&["http_server_request_duration_seconds_count"]), 1.0);
}

#[tokio::test]
async fn an_edge_starts_its_own_trace_and_trusts_nothing() {
    let o = observed();
    let request = with(
        get("/"),
        &[
            ("traceparent", &traceparent("00")),
            ("tracestate", &format!("mw=p:{PARENT};s:evil,a=b")),
            ("baggage", "user=root"),
            ("x-request-id", "mine"),
            ("x-request-timeout-ms", "1"),
        ],
    );
    let edge = layer(&o).with_mode(ServerMode::Edge);
    let (response, (info, baggage)) = serve(&edge, request, || {
        let cx = Context::current();
        (cx.get::<CallInfo>().cloned().expect("call info"), cx.baggage().len())
    })
    .await;
    let span = o.span();
    assert_ne!(span.span_context.trace_id().to_string(), TRACE);
    assert_eq!(span.links.links[0].span_context.trace_id().to_string(), TRACE);
    assert_eq!((info.limit(), info.caller, baggage), (None, None, 0));
    assert!(info.trace_state.is_empty());
    assert_eq!(
        response.headers()["x-request-id"],
        span.span_context.trace_id().to_string().as_str()
    );
}

#[tokio::test]
async fn baggage_caller_deadline_and_state_reach_the_handler() {
    let o = observed();
    let request = with(
        get("/"),
        &[
            ("traceparent", &traceparent("01")),
            ("tracestate", &format!("mw=p:{PARENT};s:gateway;a:2,vendor=x")),
            ("baggage", "user=a%20b;p=1"),
            ("x-request-timeout-ms", "250"),
        ],
    );
    let (_, (info, user)) = serve(&layer(&o), request, || {
        let cx = Context::current();
        let user = cx.baggage().get("user").map(ToString::to_string);
        (cx.get::<CallInfo>().cloned().expect("call info"), user)
    })
    .await;
    assert_eq!(info.caller.as_deref(), Some("gateway"));
    assert_eq!(info.attempt, 2);
    assert_eq!(info.trace_state.as_str(), "vendor=x");
    assert_eq!(user.as_deref(), Some("a b"));
    let left = info.limit().expect("a limit").remaining(Instant::now());
    assert!(left.is_some_and(|left| left.as_millis() <= 250));
    assert_eq!(info.deadline, None, "it may be the limit of one attempt");
    assert_attribute(&o.span(), "client.service.name", "gateway");
    assert_eq!(o.events.all()[0]["caller"], "gateway");
}

#[tokio::test]
async fn what_is_told_of_time_is_a_deadline_or_a_limit() {
    let grpc = ("content-type", "application/grpc");
    let header = |ms| ("x-request-timeout-ms", ms);
    for (headers, deadline, limit) in [
        (&[grpc, ("grpc-timeout", "2S")][..], Some(2000), Some(2000)),
        (&[grpc, ("grpc-timeout", "2S"), header("800")], Some(2000), Some(800)),
        (&[grpc, ("grpc-timeout", "1S"), header("1800")], Some(1000), Some(1000)),
        (&[grpc, header("800")], None, Some(800)),
        (&[header("800")], None, Some(800)),
        (&[("grpc-timeout", "2S")], None, None),
        (&[grpc, ("grpc-timeout", "soon"), header("-1")], None, None),
    ] {
        let o = observed();
        let before = Instant::now();
        let (_, info) = serve(&layer(&o), with(get("/a.A/A"), headers), || {
            let info = Context::current().get::<CallInfo>().cloned().expect("call info");
            assert_eq!(incoming_deadline(), info.deadline);
            assert_eq!(incoming_limit(), info.limit());
            info
        })
        .await;
        let after = Instant::now();
        let within = |seen: Option<Deadline>, ms: Option<u64>| match (seen, ms) {
            (Some(seen), Some(ms)) => {
                let at = |from| Deadline::after(from, Duration::from_millis(ms));
                (at(before)..=at(after)).contains(&seen)
            }
            (seen, ms) => seen.is_none() && ms.is_none(),
        };
        assert!(within(info.deadline, deadline), "{headers:?}: {info:?}");
        assert!(within(info.limit(), limit), "{headers:?}: {info:?}");
    }
}

#[tokio::test]
async fn a_limit_does_not_bind_what_a_stream_asks_for() {
    /// Answers with a body of one message, and looks at the limit while it is made and after.
    fn streaming(looks: Arc<Mutex<Vec<bool>>>, content_type: &'static str) -> Response<Body> {
        let frames = (0..2).map(move |_| {
            looks.lock().expect("not poisoned").push(incoming_limit().is_some());
            Ok::<_, Infallible>(Frame::data(Bytes::from_static(&[0, 0, 0, 0, 1, b'x'])))
        });
        let body = BodyExt::boxed_unsync(StreamBody::new(futures_util::stream::iter(frames)));
        Response::builder().header("content-type", content_type).body(body).expect("a response")
    }
    type Body = http_body_util::combinators::UnsyncBoxBody<Bytes, Infallible>;
    for (content_type, expected) in [
        ("text/event-stream; charset=utf-8", [false, false]),
        ("application/grpc", [true, false]),
        ("text/plain", [true, true]),
    ] {
        let o = observed();
        let looks = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&looks);
        let service = service_fn(move |_: Request<Empty<Bytes>>| {
            let seen = Arc::clone(&seen);
            async move { Ok::<_, Infallible>(streaming(seen, content_type)) }
        });
        let request = with(get("/"), &[("x-request-timeout-ms", "60000")]);
        let response = layer(&o).layer(service).oneshot(request).await.expect("an answer");
        response.into_body().collect().await.expect("a body");
        assert_eq!(*looks.lock().expect("not poisoned"), expected, "{content_type}");
    }
}

#[tokio::test]
async fn a_limit_does_not_bind_what_an_upgraded_connection_asks_for() {
    for (method, status, bound) in
        [("GET", 101, false), ("CONNECT", 200, false), ("GET", 200, true), ("CONNECT", 502, true)]
    {
        let o = observed();
        let handler = service_fn(async |_: Request<Empty<Bytes>>| {
            let mut response = ok("");
            *response.status_mut() = http::StatusCode::from_u16(status).expect("a status");
            response.extensions_mut().insert(Context::current());
            Ok::<_, Infallible>(response)
        });
        let mut request = with(get("/"), &[("x-request-timeout-ms", "60000")]);
        *request.method_mut() = method.parse().expect("a method");
        let response = layer(&o).layer(handler).oneshot(request).await.expect("an answer");
        let later = response.extensions().get::<Context>().expect("a context").clone();
        let _later = later.attach();
        assert_eq!(incoming_limit().is_some(), bound, "{method} {status}");
    }
}

#[tokio::test]
async fn a_caller_behind_another_service_is_unknown() {
    let o = observed();
    let other = "1111111111111111";
    let request = with(
        get("/"),
        &[("traceparent", &traceparent("01")), ("tracestate", &format!("mw=p:{other};s:gateway"))],
    );
    let (_, info) =
        serve(&layer(&o), request, || Context::current().get::<CallInfo>().cloned()).await;
    assert_eq!(info.expect("call info").caller, None);
}

/// Of a call that says nothing no context is made; what surrounds the server is hidden all the same.
#[tokio::test]
async fn a_handler_sees_no_baggage_of_what_surrounds_its_server() {
    let telemetry = Telemetry::new(Service::new("orders", "1.2.3"));
    let server = ServerLayer::new(telemetry).with_request_id(RequestIdPolicy::Off);
    let handler = service_fn(async |_: Request<Empty<Bytes>>| {
        assert!(Context::current().baggage().is_empty());
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
    });
    let around = Context::new().with_baggage([KeyValue::new("tenant", "root")]);
    let served = server.layer(handler).oneshot(get("/check")).with_context(around);
    served.await.expect("an answer");
}

#[tokio::test]
async fn request_ids_are_taken_over_or_made() {
    for (policy, sent, expected) in [
        (RequestIdPolicy::Auto, Some("abc-1"), Some("abc-1")),
        (RequestIdPolicy::Auto, None, Some(TRACE)),
        (RequestIdPolicy::Auto, Some("has space"), Some(TRACE)),
        (RequestIdPolicy::Make, Some("abc-1"), Some(TRACE)),
        (RequestIdPolicy::Off, Some("abc-1"), None),
    ] {
        let o = observed();
        let mut request = with(get("/"), &[("traceparent", &traceparent("01"))]);
        if let Some(sent) = sent {
            request = with(request, &[("x-request-id", sent)]);
        }
        let (response, _) = serve(&layer(&o).with_request_id(policy), request, || ()).await;
        let got = response.headers().get("x-request-id").map(|id| id.to_str().expect("text"));
        assert_eq!(got, expected, "{policy:?} {sent:?}");
    }
}

#[tokio::test]
async fn a_request_id_that_the_handler_set_stays() {
    let o = observed();
    let service = service_fn(async |_: Request<Empty<Bytes>>| {
        let mut response = ok("");
        response.headers_mut().insert("x-request-id", "own".parse().expect("a value"));
        Ok::<_, Infallible>(response)
    });
    let response = layer(&o).layer(service).oneshot(get("/")).await.expect("an answer");
    assert_eq!(response.headers()["x-request-id"], "own");
}

#[tokio::test]
async fn an_answer_without_room_for_a_header_goes_as_it_is() {
    let o = observed();
    let service = service_fn(async |_: Request<Empty<Bytes>>| {
        let mut response = ok("");
        let name = |i: usize| HeaderName::try_from(format!("x-{i}")).expect("a name");
        let value = HeaderValue::from_static("1");
        let full = |i| response.headers_mut().try_insert(name(i), value.clone()).is_err();
        assert!((0..100_000).any(full), "a map that takes everything");
        Ok::<_, Infallible>(response)
    });
    let response = layer(&o).layer(service).oneshot(get("/")).await.expect("an answer");
    assert!(!response.headers().contains_key("x-request-id"));
}

#[tokio::test]
async fn the_span_says_what_the_conventions_ask() {
    fn route(_: &Extensions) -> Option<&str> {
        Some("/orders/{id}")
    }
    let o = observed();
    let mut request = with(
        get("/orders/7?token=s3cret&page=2"),
        &[("host", "orders:8080"), ("user-agent", "curl/8"), ("content-length", "12")],
    );
    *request.method_mut() = Method::PUT;
    serve(&layer(&o).with_route(route), request, || ()).await;
    let span = o.span();
    assert_eq!(span.name, "PUT /orders/{id}");
    for (key, value) in [
        ("http.request.method", "PUT"),
        ("http.route", "/orders/{id}"),
        ("url.path", "/orders/7"),
        ("url.query", "token=REDACTED&page=2"),
        ("url.scheme", "http"),
        ("network.protocol.version", "1.1"),
        ("server.address", "orders"),
        ("user_agent.original", "curl/8"),
    ] {
        assert_attribute(&span, key, value);
    }
    assert_attribute(&span, "server.port", 8080);
    assert_attribute(&span, "http.request.body.size", 12);
    assert_eq!(
        o.metric(&[
            "http_server_request_duration_seconds_count",
            "http_request_method=\"PUT\"",
            "http_route=\"/orders/{id}\"",
            "http_response_status_code=\"200\"",
            "url_scheme=\"http\"",
        ]),
        1.0
    );
}

#[tokio::test]
async fn without_a_route_the_raw_path_is_no_label() {
    let o = observed();
    serve(&layer(&o), get("/orders/7"), || ()).await;
    assert_eq!(o.span().name, "GET");
    assert!(!o.metrics.render_text().contains("/orders/7"));
    assert_eq!(o.metric(&["http_server_request_duration_seconds_count", "http_route=\"\""]), 1.0);
}

#[tokio::test]
async fn an_invented_method_is_other() {
    let o = observed();
    let mut request = get("/");
    *request.method_mut() = Method::from_bytes(b"BREW").expect("a method");
    serve(&layer(&o), request, || ()).await;
    let span = o.span();
    assert_eq!(span.name, "HTTP");
    assert_attribute(&span, "http.request.method", "_OTHER");
    assert_attribute(&span, "http.request.method_original", "BREW");
    o.metric(&["http_server_request_duration_seconds_count", "http_request_method=\"_OTHER\""]);
}

#[tokio::test]
async fn statuses_are_judged_as_a_server_s() {
    for (status, failed) in [(404, false), (499, false), (500, true), (503, true)] {
        let o = observed();
        let service = service_fn(move |_: Request<Empty<Bytes>>| async move {
            Ok::<_, Infallible>(
                Response::builder().status(status).body(Full::<Bytes>::default()).expect("valid"),
            )
        });
        drop(layer(&o).layer(service).oneshot(get("/")).await);
        let span = o.span();
        assert_eq!(span.status != Status::Unset, failed, "{status}");
        let error = attribute(&span, "error.type").map(|value| value.to_string());
        assert_eq!(error, failed.then(|| status.to_string()));
    }
}

#[tokio::test]
async fn the_access_log_says_one_line_for_each_call() {
    let o = observed();
    serve(&layer(&o), get("/orders/7"), || ()).await;
    let events = o.events.all();
    assert_eq!(events.len(), 1);
    let line = &events[0];
    assert_eq!(line["target"], "meshwise::access");
    assert_eq!(line["message"], "GET /orders/7");
    assert_eq!(line["http.response.status_code"], "200");
    assert_eq!(line["outcome"], "success");
    assert!(line["duration_ms"].parse::<f64>().is_ok());

    serve(&layer(&o).with_access_log(AccessLog::off()), get("/"), || ()).await;
    assert_eq!(o.events.all().len(), 1);
}

#[tokio::test]
async fn the_access_log_names_the_client() {
    let o = observed();
    let known = layer(&o).with_client_address(|_| Some([10, 0, 0, 7].into()));
    serve(&known, with(get("/"), &[("user-agent", "curl/8")]), || ()).await;
    serve(&layer(&o), get("/"), || ()).await;
    let opaque = HeaderValue::from_bytes(b"\xff").expect("a value");
    let mut request = get("/");
    request.headers_mut().insert("user-agent", opaque);
    serve(&layer(&o), request, || ()).await;
    let events = o.events.all();
    assert_eq!(events[0]["user_agent.original"], "curl/8");
    assert_eq!(events[0]["client.address"], "10.0.0.7");
    for nothing_known in &events[1..] {
        for name in ["user_agent.original", "client.address"] {
            assert_eq!(nothing_known.get(name), None, "{name}");
        }
    }
}

#[tokio::test]
async fn a_deferred_decision_is_this_service_s() {
    use meshwise_core::propagation::{Format, Propagators};
    for (ratio, sampled) in [(0.0, false), (1.0, true)] {
        let o = observed_with(
            |traces| traces.with_sampler(SamplerConfig::parent_based(SamplerConfig::ratio(ratio))),
            |telemetry| telemetry.with_propagators(Propagators::new([Format::B3])),
        );
        let request = with(get("/"), &[("b3", &format!("{TRACE}-{PARENT}"))]);
        serve(&layer(&o), request, || ()).await;
        assert_eq!(!o.spans.spans().is_empty(), sampled, "ratio {ratio}");
    }
}

#[tokio::test]
async fn a_caller_that_wants_no_trace_gets_none() {
    use meshwise_core::propagation::{Format, Propagators};
    let o = observed_with(
        |traces| traces,
        |telemetry| telemetry.with_propagators(Propagators::new([Format::B3])),
    );
    let request = with(get("/"), &[("b3", "0")]);
    let (response, inside) =
        serve(&layer(&o), request, || Context::current().span().span_context().clone()).await;
    assert!(o.spans.spans().is_empty());
    assert!(inside.is_valid() && !inside.is_sampled(), "log lines still have ids");
    assert_eq!(response.headers()["x-request-id"], inside.trace_id().to_string().as_str());
}

#[tokio::test]
async fn garbage_headers_start_a_fresh_trace() {
    let o = observed();
    let mut request = get("/");
    for name in ["traceparent", "tracestate", "baggage", "x-request-id", "x-request-timeout-ms"] {
        let value = HeaderValue::from_bytes(b"\xff\xfe;,=%zz\t").expect("opaque bytes");
        request.headers_mut().append(name, value.clone());
        request.headers_mut().append(name, value);
    }
    let (response, info) =
        serve(&layer(&o), request, || Context::current().get::<CallInfo>().cloned()).await;
    let span = o.span();
    assert!(!span.parent_span_is_remote);
    let info = info.expect("call info");
    assert_eq!((info.limit(), info.caller), (None, None));
    assert_eq!(
        response.headers()["x-request-id"],
        span.span_context.trace_id().to_string().as_str()
    );
}

#[tokio::test]
async fn readiness_is_the_inner_service_s() {
    let o = observed();
    let (mut service, mut handle) = tower_test::mock::spawn_with(
        |mock: tower_test::mock::Mock<Request<Empty<Bytes>>, Response<Empty<Bytes>>>| {
            layer(&o).layer(mock.map_err(|error| std::io::Error::other(error.to_string())))
        },
    );
    handle.allow(0);
    assert!(service.poll_ready().is_pending());
    handle.allow(1);
    assert!(service.poll_ready().is_ready());
}
