//! What is believed of a request, what is handed on, and what makes a label.

mod support;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty, Full, combinators::UnsyncBoxBody};
use meshwise_core::{Service, propagation::Format};
use meshwise_http::{
    ClientLayer, ClientMode, CountedBody, RequestIdPolicy, ServerLayer, ServerMode, Telemetry,
};
use opentelemetry::trace::SpanKind;
use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};
use support::{Observed, PARENT, TRACE, assert_attribute, attribute, get, observed, traceparent};
use tower::{Layer, ServiceExt, service_fn};

type Body = UnsyncBoxBody<Bytes, Infallible>;

fn body(body: impl http_body::Body<Data = Bytes, Error = Infallible> + Send + 'static) -> Body {
    body.boxed_unsync()
}

/// Everything that a stranger could want a peer to believe.
fn foreign() -> Vec<(&'static str, String)> {
    vec![
        ("traceparent", traceparent("01")),
        ("tracestate", format!("mw=p:{PARENT};s:admin-console;a:7,vendor=x")),
        ("baggage", "tenant=root".to_owned()),
        ("b3", format!("{TRACE}-{PARENT}-1")),
        ("x-b3-traceid", TRACE.to_owned()),
        ("uber-trace-id", format!("{TRACE}:{PARENT}:0:1")),
        ("uberctx-tenant", "root".to_owned()),
        ("x-amzn-trace-id", "Root=1-4bf92f35-77b34da6a3ce929d0e0e4736".to_owned()),
        ("x-datadog-trace-id", "1".to_owned()),
        ("x-request-id", "stranger-id".to_owned()),
        ("x-request-timeout-ms", "1".to_owned()),
        ("grpc-timeout", "1m".to_owned()),
        ("grpc-previous-rpc-attempts", "9".to_owned()),
    ]
}

fn request(headers: &[(&'static str, String)]) -> Request<Empty<Bytes>> {
    let mut request = get("http://auth/check");
    for (name, value) in headers {
        request.headers_mut().append(*name, value.parse().expect("a value"));
    }
    request
}

/// Serves a request with a handler that hands it on as it is, and returns what the peer saw.
async fn handed_on(
    server: ServerLayer,
    client: ClientLayer,
    request: Request<Empty<Bytes>>,
) -> HeaderMap {
    let seen = Arc::new(Mutex::new(HeaderMap::new()));
    let peer = Arc::clone(&seen);
    let peer = service_fn(move |request: Request<Empty<Bytes>>| {
        *peer.lock().expect("not poisoned") = request.headers().clone();
        async { Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())) }
    });
    let gateway = client.layer(peer);
    server.layer(gateway).oneshot(request).await.expect("an answer");
    let seen = seen.lock().expect("not poisoned");
    seen.clone()
}

/// Telemetry with tracing and metrics, and with neither.
fn telemetries() -> [(&'static str, Telemetry); 2] {
    let bare = Telemetry::new(Service::new("orders", "1.2.3"));
    [("all", observed().telemetry), ("no tracing, no metrics", bare)]
}

#[tokio::test]
async fn nothing_that_a_stranger_says_goes_on_whatever_is_switched_off() {
    for (what, telemetry) in telemetries() {
        for policy in [RequestIdPolicy::Auto, RequestIdPolicy::Make] {
            for mode in [ClientMode::Internal, ClientMode::External] {
                for grpc in [false, true] {
                    let server = ServerLayer::new(telemetry.clone())
                        .with_mode(ServerMode::Edge)
                        .with_request_id(policy)
                        .with_request_id_header("x-correlation".parse().expect("a name"));
                    let client = ClientLayer::new(telemetry.clone(), "auth").with_mode(mode);
                    let mut request = request(&foreign());
                    if grpc {
                        let value = HeaderValue::from_static("application/grpc");
                        request.headers_mut().insert("content-type", value);
                    }
                    let seen = handed_on(server, client, request).await;
                    for (name, value) in foreign() {
                        let sent = seen.get(name).map(|sent| sent.to_str().expect("text"));
                        assert_ne!(sent, Some(&*value), "{what} {policy:?} {mode:?}: {name}");
                        let own = ["traceparent", "tracestate", "x-request-id"].contains(&name);
                        assert!(own || sent.is_none(), "{what} {mode:?}: {name}: {sent:?}");
                    }
                    let state = seen.get("tracestate").map(|state| state.to_str().expect("text"));
                    let own = state.is_some_and(|state| state.ends_with("s:orders"));
                    assert_eq!(own, mode == ClientMode::Internal, "{what}: {state:?}");
                }
            }
        }
    }
}

#[tokio::test]
async fn an_edge_removes_what_the_handler_could_believe_but_a_wanted_request_id() {
    for (policy, stays) in [
        (RequestIdPolicy::Auto, false),
        (RequestIdPolicy::Make, false),
        (RequestIdPolicy::Accept, true),
        (RequestIdPolicy::Off, true),
    ] {
        let o = observed();
        let seen = Mutex::new(HeaderMap::new());
        let handler = service_fn(async |request: Request<Empty<Bytes>>| {
            *seen.lock().expect("not poisoned") = request.headers().clone();
            Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
        });
        let edge = ServerLayer::new(o.telemetry.clone())
            .with_mode(ServerMode::Edge)
            .with_request_id(policy);
        let mut all = foreign();
        all.push(("x-forwarded-for", "10.0.0.1".to_owned()));
        edge.layer(handler).oneshot(request(&all)).await.expect("an answer");
        let seen = seen.lock().expect("not poisoned").clone();
        let left: Vec<&str> = seen.keys().map(http::HeaderName::as_str).collect();
        let expected: &[&str] =
            if stays { &["x-request-id", "x-forwarded-for"] } else { &["x-forwarded-for"] };
        assert_eq!(left.len(), expected.len(), "{policy:?}: {left:?}");
        assert!(expected.iter().all(|name| left.contains(name)), "{policy:?}: {left:?}");
        for &format in Format::ALL {
            assert!(format.header_names().iter().all(|name| !seen.contains_key(*name)));
        }
    }
}

#[tokio::test]
async fn a_trusted_request_that_is_handed_on_carries_nothing_stale() {
    let o = observed();
    let mut headers = foreign();
    for (name, value) in &mut headers {
        match *name {
            "x-request-timeout-ms" => *value = "60000".to_owned(),
            "grpc-timeout" => *value = "60S".to_owned(),
            "grpc-previous-rpc-attempts" => *value = "2".to_owned(),
            "tracestate" => *value = format!("mw=p:{PARENT};s:gateway,vendor=x"),
            _ => {}
        }
    }
    for grpc in [false, true] {
        let mut request = request(&headers);
        if grpc {
            let value = HeaderValue::from_static("application/grpc");
            request.headers_mut().insert("content-type", value);
        }
        let server = ServerLayer::new(o.telemetry.clone());
        let client = ClientLayer::new(o.telemetry.clone(), "auth");
        let seen = handed_on(server, client, request).await;
        let text = |name: &str| seen.get(name).map(|value| value.to_str().expect("text"));
        let sent = text("traceparent").expect("one");
        assert!(sent.contains(TRACE) && !sent.contains(PARENT), "{sent}");
        let state = text("tracestate").expect("one");
        assert!(state.contains("s:orders") && state.ends_with(",vendor=x"), "{state}");
        let left: u64 = text("x-request-timeout-ms").expect("one").parse().expect("ms");
        assert!(left < 60_000, "less what has passed: {left}");
        assert_eq!(text("grpc-timeout").is_some_and(|sent| sent != "60S"), grpc);
        assert_eq!(text("grpc-previous-rpc-attempts"), grpc.then_some("2"), "this hop is known");
        assert_eq!(text("baggage"), Some("tenant=root"), "its own callers are believed");
        assert_eq!(text("x-request-id"), Some("stranger-id"));
    }
}

#[tokio::test]
async fn baggage_and_the_caller_s_name_go_out_with_tracing_off() {
    let telemetry = Telemetry::new(Service::new("orders", "1.2.3"));
    let server = ServerLayer::new(telemetry.clone());
    let client = ClientLayer::new(telemetry, "auth");
    let headers = [("baggage", "tenant=acme".to_owned())];
    let seen = handed_on(server, client, request(&headers)).await;
    assert_eq!(seen["baggage"], "tenant=acme");
    assert!(!seen.contains_key("traceparent"), "there is no trace");
    // And a peer that traces believes it.
    let o = observed();
    let handler = service_fn(async |_: Request<Empty<Bytes>>| {
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
    });
    let mut next = get("/check");
    *next.headers_mut() = seen;
    ServerLayer::new(o.telemetry.clone()).layer(handler).oneshot(next).await.expect("an answer");
    let span = o.span();
    assert_attribute(&span, "client.service.name", "orders");
    assert!(!span.parent_span_is_remote);
}

#[tokio::test]
async fn a_third_party_gets_ids_alone_with_what_was_set_by_hand() {
    let o = observed();
    let client = ClientLayer::new(o.telemetry.clone(), "bank").with_mode(ClientMode::External);
    let mut request = request(&[
        ("traceparent", traceparent("00")),
        ("tracestate", "mw=p:1;s:x".to_owned()),
        ("baggage", "user=ada".to_owned()),
        ("uberctx-user", "ada".to_owned()),
        ("x-request-timeout-ms", "500".to_owned()),
        ("grpc-previous-rpc-attempts", "1".to_owned()),
        ("x-request-id", "for-the-bank".to_owned()),
    ]);
    request.extensions_mut().insert(meshwise_core::Attempt(2));
    let seen = Mutex::new(HeaderMap::new());
    let bank = service_fn(async |request: Request<Empty<Bytes>>| {
        *seen.lock().expect("not poisoned") = request.headers().clone();
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
    });
    client.layer(bank).oneshot(request).await.expect("an answer");
    let seen = seen.lock().expect("not poisoned").clone();
    let mut names: Vec<&str> = seen.keys().map(http::HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["traceparent", "x-request-id"]);
    assert!(!seen["traceparent"].to_str().expect("text").contains(TRACE));
}

#[tokio::test]
async fn a_layer_applied_twice_observes_once() {
    let o = observed();
    let handler = service_fn(async |_: Request<Empty<Bytes>>| {
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
    });
    for inner in [ServerMode::Internal, ServerMode::Edge] {
        let inside = ServerLayer::new(o.telemetry.clone()).with_mode(inner);
        let outside = ServerLayer::new(o.telemetry.clone());
        let request = request(&[("traceparent", traceparent("01"))]);
        let service = outside.layer(inside.layer(handler));
        let response = service.oneshot(request).await.expect("an answer");
        let ids: Vec<_> = response.headers().get_all("x-request-id").iter().collect();
        assert_eq!(ids, [TRACE], "one id");
    }
    assert_eq!(o.spans.spans().len(), 2, "one for each call");
    assert_eq!(o.events.all().len(), 2);
    assert_eq!(o.metric(&["http_server_request_duration_seconds_count"]), 2.0);
    o.assert_idle();
}

#[tokio::test]
async fn a_request_that_goes_on_in_the_same_process_is_another_call() {
    let o = observed();
    let stock = service_fn(async |_: Request<Empty<Bytes>>| {
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
    });
    let stock = ServerLayer::new(o.telemetry.clone()).layer(stock);
    let gateway = ClientLayer::new(o.telemetry.clone(), "stock").layer(stock);
    let server = ServerLayer::new(o.telemetry.clone()).layer(gateway);
    server.oneshot(request(&[])).await.expect("an answer");
    let spans = o.spans.spans();
    let servers = spans.iter().filter(|span| span.span_kind == SpanKind::Server);
    assert_eq!((servers.count(), spans.len()), (2, 3));
    let traces: std::collections::BTreeSet<_> =
        spans.iter().map(|span| span.span_context.trace_id().to_string()).collect();
    assert_eq!(traces.len(), 1);
}

fn grpc_request(path: &str) -> Request<Body> {
    let mut message = vec![0, 0, 0, 0, 1];
    message.push(b'x');
    let request = Request::post(path).header("content-type", "application/grpc");
    request.body(body(Full::from(message))).expect("a request")
}

fn answer(content_type: &'static str, status: Option<&'static str>) -> Response<Body> {
    let mut response = Response::new(body(Empty::new()));
    response.headers_mut().insert("content-type", HeaderValue::from_static(content_type));
    if let Some(status) = status {
        response.headers_mut().insert("grpc-status", HeaderValue::from_static(status));
    }
    response
}

/// A body that can hold any other, as tonic's and axum's can.
#[derive(Default)]
struct MaybeBody(Option<Body>);

impl http_body::Body for MaybeBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
        match &mut self.0 {
            Some(body) => std::pin::Pin::new(body).poll_frame(cx),
            None => std::task::Poll::Ready(None),
        }
    }
}

fn counted(o: &Observed) -> ServerLayer {
    let wrap: fn(CountedBody<MaybeBody>) -> MaybeBody = |counted| MaybeBody(Some(body(counted)));
    ServerLayer::new(o.telemetry.clone()).with_counted_body::<MaybeBody>(wrap)
}

/// Serves gRPC requests to these paths.
async fn serve<F: Future<Output = Response<Body>> + Send>(
    layer: &ServerLayer,
    paths: impl IntoIterator<Item = String>,
    handler: impl Fn(Request<MaybeBody>) -> F + Clone + Send,
) {
    for path in paths {
        let request = grpc_request(&path).map(|body| MaybeBody(Some(body)));
        let service = service_fn(|request| {
            let answer = handler(request);
            async move { Ok::<_, Infallible>(answer.await) }
        });
        let response = layer.layer(service).oneshot(request).await.expect("an answer");
        response.into_body().collect().await.expect("a body");
    }
}

fn rpc_series(o: &Observed) -> Vec<String> {
    let text = o.metrics.render_text();
    let count = |line: &&str| line.starts_with("rpc_server_call_duration_seconds_count");
    text.lines().filter(count).map(ToOwned::to_owned).collect()
}

#[tokio::test]
async fn a_request_that_calls_itself_grpc_is_an_http_call_if_its_answer_is() {
    for (status, content_type) in
        [(200, "text/plain"), (404, "text/html"), (405, ""), (500, "application/grpc-web+proto")]
    {
        let o = observed();
        let paths = (0..1100).map(|i| format!("/orders/secret-{i}?token=s3cret"));
        serve(&ServerLayer::new(o.telemetry.clone()), paths.take(50), |_| async move {
            let mut response = answer(content_type, None);
            *response.status_mut() = StatusCode::from_u16(status).expect("a status");
            response
        })
        .await;
        assert_eq!(rpc_series(&o), [""; 0], "{status}");
        let status_label = format!("http_response_status_code=\"{status}\"");
        let series = ["http_server_request_duration_seconds_count", status_label.as_str()];
        assert_eq!(o.metric(&series), 50.0);
        o.assert_idle();
        assert!(!o.metrics.render_text().contains("secret"));
        let spans = o.spans.spans();
        let span = spans.first().expect("a span");
        assert_eq!(span.name, "POST");
        assert_attribute(span, "http.request.method", "POST");
        assert_attribute(span, "url.path", "/orders/secret-0");
        assert_attribute(span, "url.query", "token=REDACTED");
        assert_eq!(attribute(span, "rpc.system.name"), None);
        assert_eq!(attribute(span, "rpc.method"), None);
    }
}

#[tokio::test]
async fn an_answer_in_grpc_makes_a_grpc_call_of_any_request() {
    let o = observed();
    let service = service_fn(async |_: Request<Empty<Bytes>>| {
        Ok::<_, Infallible>(answer("application/grpc", Some("12")))
    });
    // A mistyped path that tonic's own fallback answers, with 200.
    let layer = ServerLayer::new(o.telemetry.clone());
    layer.layer(service).oneshot(get("/helo")).await.expect("an answer");
    let series = rpc_series(&o);
    assert_eq!(series.len(), 1);
    assert!(series[0].contains("rpc_method=\"_OTHER\""), "{series:?}");
    assert!(series[0].contains("UNIMPLEMENTED"), "{series:?}");
    assert_attribute(&o.span(), "error.type", "UNIMPLEMENTED");
    o.assert_idle();
}

#[tokio::test]
async fn what_answers_before_a_handler_makes_no_labels_named_or_not() {
    for code in ["16", "7", "1", "4", "8", "14", "3", "5", "9", "13", "2", "12"] {
        for named in [false, true] {
            let o = observed();
            let layer = match named {
                true => counted(&o).with_rpc_services(["meshwise.test.v1.Echo"]),
                false => counted(&o),
            };
            let paths = (0..50).map(|i| format!("/meshwise.test.v1.Echo/Invented{i}"));
            // It looks at headers alone.
            serve(&layer, paths, |_| async { answer("application/grpc", Some(code)) }).await;
            let series = rpc_series(&o);
            assert_eq!(series.len(), 1, "{code} {named}: {series:?}");
            assert!(series[0].contains("rpc_method=\"_OTHER\""), "{series:?}");
        }
    }
}

#[tokio::test]
async fn a_handler_proves_its_method_by_reading_or_by_what_it_answers() {
    let read = |code: &'static str| {
        move |request: Request<MaybeBody>| async move {
            request.into_body().collect().await.expect("a body");
            answer("application/grpc", Some(code))
        }
    };
    for (code, proven) in [("16", true), ("13", true), ("0", true), ("12", false)] {
        let o = observed();
        let layer = counted(&o).with_rpc_services(["a.A"]);
        serve(&layer, ["/a.A/Get".to_owned()], read(code)).await;
        let series = rpc_series(&o);
        assert_eq!(series[0].contains("rpc_method=\"a.A/Get\""), proven, "{code}: {series:?}");
        let name = if proven { "a.A/Get" } else { "_OTHER" };
        assert_eq!(o.span().name, name);
        assert_attribute(&o.span(), "rpc.system.name", "grpc");
        serve(&layer, ["/b.B/Get".to_owned()], read(code)).await;
        assert!(!rpc_series(&o).iter().any(|line| line.contains("b.B/Get")), "not named");
    }
    // Once it is known it stays so, and its calls count as its own without an answer.
    let o = observed();
    let layer = counted(&o);
    let stream = |_| async {
        let status = HeaderMap::from_iter([(
            http::HeaderName::from_static("grpc-status"),
            HeaderValue::from_static("0"),
        )]);
        let message = Full::from(vec![0, 0, 0, 0, 1, b'x']);
        let message = message.with_trailers(std::future::ready(Some(Ok(status))));
        let mut response = answer("application/grpc", None);
        *response.body_mut() = body(message);
        response
    };
    serve(&layer, ["/a.A/Watch".to_owned()], stream).await;
    for (path, known) in [("/a.A/Watch", true), ("/a.A/Other", false)] {
        let service = service_fn(|_: Request<MaybeBody>| {
            std::future::pending::<Result<Response<Body>, Infallible>>()
        });
        let request = grpc_request(path).map(|body| MaybeBody(Some(body)));
        let call = layer.layer(service).oneshot(request);
        assert!(futures_util::FutureExt::now_or_never(call).is_none());
        let method = if known { &path[1..] } else { "_OTHER" };
        let label = format!("rpc_method=\"{method}\"");
        let cancelled = |line: &String| line.contains("CANCELLED") && line.contains(&label);
        assert!(rpc_series(&o).iter().any(cancelled), "{path}: {:?}", rpc_series(&o));
    }
    assert!(!rpc_series(&o).iter().any(|line| line.contains("Other\"")), "{:?}", rpc_series(&o));
}

#[tokio::test]
async fn a_call_without_an_answer_on_an_http_route_is_an_http_call() {
    for (route, http) in [
        (Some("/orders/{id}"), true),
        (Some("/"), true),
        (Some("/a.A/{*rest}"), false),
        (None, false),
    ] {
        static ROUTE: Mutex<Option<&str>> = Mutex::new(None);
        *ROUTE.lock().expect("not poisoned") = route;
        let o = observed();
        let layer = counted(&o).with_route(|_| *ROUTE.lock().expect("not poisoned"));
        let service = service_fn(async |request: Request<MaybeBody>| {
            // An extractor reads the body; that makes no handler of gRPC of it.
            request.into_body().collect().await.expect("a body");
            std::future::pending::<Result<Response<Body>, Infallible>>().await
        });
        let request = grpc_request("/orders/secret-1").map(|body| MaybeBody(Some(body)));
        let call = layer.layer(service).oneshot(request);
        assert!(futures_util::FutureExt::now_or_never(call).is_none());
        assert_eq!(rpc_series(&o).is_empty(), http, "{route:?}");
        assert!(!o.metrics.render_text().contains("secret"), "{route:?}");
        let span = o.span();
        assert_attribute(&span, "error.type", "cancelled");
        assert_eq!(attribute(&span, "rpc.system.name").is_none(), http, "{route:?}");
        o.assert_idle();
    }
}

#[tokio::test]
async fn a_client_s_own_request_says_what_it_is() {
    let o = observed();
    let peer = service_fn(async |_: Request<Body>| {
        let mut proxy = answer("text/html", None);
        *proxy.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        Ok::<_, Infallible>(proxy)
    });
    let client = ClientLayer::new(o.telemetry.clone(), "auth").layer(peer);
    client.oneshot(grpc_request("http://auth/a.A/Get")).await.expect("an answer");
    assert_attribute(&o.span(), "rpc.status_code", "UNAVAILABLE");
}
