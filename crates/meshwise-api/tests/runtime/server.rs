//! What the server layer promises.

use crate::support::{Body, Clock, Counts, DECLARED, ORDERS, get, ok, recorder};
use futures_executor::block_on;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, header};
use http_body::Body as _;
use http_body_util::BodyExt;
use meshwise_api::{
    AfterSunset, ApiBody, ApiConfigError, ApiRoutes, ApiServerBuilder, ApiServerLayer,
    ApiServerService, Declared, names,
};
use std::{
    convert::Infallible,
    future::Ready,
    pin::pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
};
use tower::{Layer, Service, ServiceExt, service_fn};

/// Builds a layer over a handler that says `ok`, and serves one request.
struct Server {
    layer: ApiServerLayer,
    counts: Counts,
    clock: Clock,
}

fn server(change: impl FnOnce(ApiServerBuilder) -> ApiServerBuilder) -> Server {
    let (recorder, counts) = recorder();
    let clock = Clock::at(2026, 11, 21);
    let builder = ApiServerLayer::builder(DECLARED).with_recorder(recorder).with_clock(clock.now());
    let layer = change(builder).build().expect("settings that fit");
    counts.new_ones();
    Server { layer, counts, clock }
}

impl Server {
    fn call(&self, request: Request<()>) -> Response<ApiBody<Body>> {
        self.call_to(request, ok)
    }

    fn call_to(
        &self,
        request: Request<()>,
        handler: impl Fn() -> Response<Body>,
    ) -> Response<ApiBody<Body>> {
        let service =
            service_fn(|_: Request<()>| std::future::ready(Ok::<_, Infallible>(handler())));
        block_on(self.layer.layer(service).oneshot(request)).unwrap_or_else(|never| match never {})
    }

    /// Returns what was counted since the last look: `version state caller`.
    fn counted(&self) -> Vec<(String, f64)> {
        let counted = self.counts.of(names::API_CALLS).into_iter();
        counted
            .map(|(labels, value)| {
                let values: Vec<&str> = labels
                    .trim_matches(['{', '}'])
                    .split(',')
                    .filter_map(|pair| Some(pair.split_once('=')?.1))
                    .collect();
                (values.join(" "), value)
            })
            .collect()
    }
}

fn one(text: &str) -> Vec<(String, f64)> {
    vec![(text.to_owned(), 1.0)]
}

fn text(body: ApiBody<Body>) -> String {
    let bytes = block_on(body.collect()).unwrap().to_bytes();
    String::from_utf8(bytes.into()).unwrap()
}

fn values(headers: &HeaderMap, name: &str) -> Vec<String> {
    headers.get_all(name).iter().map(|value| value.to_str().unwrap().to_owned()).collect()
}

#[test]
fn a_deprecated_version_says_so_and_the_others_do_not() {
    let server = server(|builder| builder);
    let response = server.call(get("/v1/orders/7"));
    assert_eq!(response.status(), 200);
    assert_eq!(values(response.headers(), "deprecation"), ["@1788220800"]);
    assert_eq!(values(response.headers(), "sunset"), ["Mon, 01 Mar 2027 00:00:00 GMT"]);
    assert_eq!(values(response.headers(), "link"), ["</v2>; rel=\"successor-version\""]);
    assert_eq!(text(response.into_body()), "ok");
    assert_eq!(server.counted(), one("orders v1_20171001-2 deprecated unknown"));

    for (path, counted) in [
        ("/v2/orders", "orders v2_20260901-1 current unknown"),
        ("/v3", "orders v3_20270101-1 planned unknown"),
    ] {
        let response = server.call(get(path));
        for name in ["deprecation", "sunset", "link"] {
            assert!(!response.headers().contains_key(name), "{path} {name}");
        }
        assert_eq!(server.counted(), one(counted));
    }
    // Not an API: neither counted nor touched.
    assert_eq!(server.call(get("/metrics")).headers().len(), 0);
    assert_eq!(server.counted(), []);
}

#[test]
fn what_the_handler_says_itself_stays() {
    let server = server(|builder| builder.with_documentation_links(true));
    let response = server.call_to(get("/v1"), || {
        let mut response = ok();
        let headers = response.headers_mut();
        headers.insert("deprecation", HeaderValue::from_static("@5"));
        headers.insert(
            "link",
            HeaderValue::from_static("</mine>; rel=successor-version, </x>; rel=next"),
        );
        response
    });
    let headers = response.headers();
    assert_eq!(values(headers, "deprecation"), ["@5"]);
    assert_eq!(values(headers, "sunset"), ["Mon, 01 Mar 2027 00:00:00 GMT"]);
    assert_eq!(
        values(headers, "link"),
        [
            "</mine>; rel=successor-version, </x>; rel=next",
            "<https://docs.example/v1-to-v2>; rel=\"deprecation\"",
            "<https://docs.example/v1-to-v2>; rel=\"sunset\"",
        ]
    );
}

#[test]
fn links_lead_where_they_are_told_to() {
    let own = server(|builder| {
        builder
            .with_pages("https://ops.example/apis/")
            .with_documentation_links(true)
            .with_link("orders", "v1_20171001-2", "successor-version", "https://new.example/")
            .with_link("auth", "1.10", "help", "/help")
    });
    assert_eq!(
        values(own.call(get("/v1")).headers(), "link")[0],
        "<https://new.example/>; rel=\"successor-version\""
    );
    // No path is known for the successor, nor a URL for people: their pages have to do.
    assert_eq!(
        values(own.call(get("/auth.v1.Auth/Check")).headers(), "link"),
        [
            "<https://ops.example/apis/auth/2.0>; rel=\"successor-version\"",
            "<https://ops.example/apis/auth/1.10?format=html>; rel=\"deprecation\"",
            "<https://ops.example/apis/auth/1.10?format=html>; rel=\"sunset\"",
            "</help>; rel=\"help\"",
        ]
    );
}

#[test]
fn after_its_sunset_a_version_is_served_unless_the_policy_says_gone() {
    let server = server(|builder| builder);
    let response = server.call(get("/v0"));
    assert_eq!(response.status(), 200);
    // Never deprecated, but by its sunset at the latest.
    assert_eq!(values(response.headers(), "deprecation"), ["@1514764800"]);
    assert_eq!(server.counted(), one("orders v0_20150101-1 retired unknown"));
}

#[test]
fn a_retired_version_is_gone_and_says_what_to_use() {
    let server = server(|builder| builder.with_after_sunset(AfterSunset::Gone));
    server.clock.turn_to(2027, 3, 1);
    let handler = || -> Response<Body> { panic!("the handler is not called") };
    let response = server.call_to(get("/v1/orders"), handler);
    assert_eq!(response.status(), 410);
    assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
    assert_eq!(values(response.headers(), "sunset"), ["Mon, 01 Mar 2027 00:00:00 GMT"]);
    assert_eq!(values(response.headers(), "deprecation"), ["@1788220800"]);
    assert_eq!(values(response.headers(), "link"), ["</v2>; rel=\"successor-version\""]);
    let length: u64 = response.headers()[header::CONTENT_LENGTH].to_str().unwrap().parse().unwrap();
    assert_eq!(response.body().size_hint().exact(), Some(length));
    assert!(!response.body().is_end_stream());
    let problem: serde_json::Value = serde_json::from_str(&text(response.into_body())).unwrap();
    assert_eq!(
        problem,
        serde_json::json!({
            "type": "about:blank",
            "title": "Gone",
            "status": 410,
            "detail": "version v1_20171001-2 of orders is retired since 2027-03-01; use v2_20260901-1",
            "api": "orders",
            "version": "v1_20171001-2",
            "deprecated": "2026-09-01",
            "sunset": "2027-03-01",
            "successor": "v2_20260901-1",
            "migration": "https://docs.example/v1-to-v2",
        })
    );
    // Refused calls are calls all the same.
    assert_eq!(server.counted(), one("orders v1_20171001-2 retired unknown"));

    let head = Request::builder().method(Method::HEAD).uri("/v1").body(()).unwrap();
    let response = server.call_to(head, handler);
    assert_eq!(response.status(), 410);
    assert_eq!(response.headers()[header::CONTENT_LENGTH], length.to_string());
    assert!(response.body().is_end_stream());
}

#[test]
fn a_grpc_call_to_a_retired_version_gets_trailers_only() {
    let server = server(|builder| builder.with_after_sunset(AfterSunset::Gone));
    let call = || {
        let mut request = get("/acme.auth.v1.Auth/Check");
        request.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
        request
    };
    assert_eq!(server.call(call()).headers()["deprecation"], "@1767225600");
    assert_eq!(server.counted(), one("auth 1.10 deprecated unknown"));

    // 1.9 has no end: it serves the main version from then on.
    server.clock.turn_to(2027, 1, 1);
    assert_eq!(server.call(call()).status(), 200);
    assert_eq!(server.counted(), one("auth 1.9 deprecated unknown"));

    let pinned = ApiRoutes::new().grpc("auth.v1", "auth", "1.10");
    let server = self::server(|b| b.with_routes(pinned).with_after_sunset(AfterSunset::Gone));
    server.clock.turn_to(2027, 1, 1);
    let response = server.call(call());
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "application/grpc");
    assert_eq!(response.headers()["grpc-status"], "12");
    assert_eq!(
        response.headers()["grpc-message"],
        "version 1.10 of auth is retired since 2027-01-01; use 2.0"
    );
    assert!(response.body().is_end_stream());
    assert_eq!(text(response.into_body()), "");
}

#[test]
fn a_state_changes_at_midnight_without_a_restart() {
    let server = server(|builder| builder);
    let states = [
        ((2017, 10, 1), "planned", "current"),
        ((2026, 9, 1), "current", "deprecated"),
        ((2027, 3, 1), "deprecated", "retired"),
    ];
    for ((year, month, day), before, after) in states {
        server.clock.turn_to(year, month, day);
        server.clock.turn_back_one_second();
        let headers = server.call(get("/v1")).headers().clone();
        assert_eq!(headers.contains_key("sunset"), before == "deprecated");
        assert_eq!(server.counted(), one(&format!("orders v1_20171001-2 {before} unknown")));

        server.clock.turn_to(year, month, day);
        server.call(get("/v1"));
        assert_eq!(server.counted(), one(&format!("orders v1_20171001-2 {after} unknown")));
    }
    // And a clock that is set back is believed too.
    server.clock.turn_to(2020, 1, 1);
    server.call(get("/v1"));
    assert_eq!(server.counted(), one("orders v1_20171001-2 current unknown"));
}

#[test]
fn the_caller_is_named_by_the_hook_or_by_the_trace() {
    #[derive(Clone)]
    struct Name(Arc<str>);
    let trace = |request: &mut Request<()>, tracestate: &'static str| {
        let headers = request.headers_mut();
        let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        headers.insert("traceparent", HeaderValue::from_static(parent));
        headers.insert("tracestate", HeaderValue::from_static(tracestate));
    };
    let hooked = server(|builder| {
        builder.with_caller(|extensions| extensions.get().map(|Name(name)| Arc::clone(name)))
    });
    let mut request = get("/v2");
    trace(&mut request, "mw=p:00f067aa0ba902b7;s:gateway");
    hooked.call(request.clone());
    assert_eq!(hooked.counted(), one("orders v2_20260901-1 current gateway"));
    request.extensions_mut().insert(Name("billing".into()));
    hooked.call(request.clone());
    assert_eq!(hooked.counted(), one("orders v2_20260901-1 current billing"));

    // Somebody stood between: who it was is not known.
    trace(&mut request, "mw=p:0000000000000001;s:gateway");
    let traced = server(|builder| builder);
    traced.call(request.clone());
    assert_eq!(traced.counted(), one("orders v2_20260901-1 current unknown"));

    trace(&mut request, "mw=p:00f067aa0ba902b7;s:gateway");
    let edge = server(|builder| builder.with_trusted_callers(false));
    edge.call(request);
    assert_eq!(edge.counted(), one("orders v2_20260901-1 current unknown"));
}

#[test]
fn callers_are_bounded() {
    #[derive(Clone)]
    struct Name(Arc<str>);
    let server = server(|builder| {
        builder
            .with_max_callers(3)
            .with_caller(|extensions| extensions.get().map(|Name(name)| Arc::clone(name)))
    });
    let call = |name: &str| {
        let mut request = get("/v2");
        request.extensions_mut().insert(Name(name.into()));
        server.call(request);
    };
    for name in ["a", "b", &"x".repeat(300), "", "c", "d", "e", "a"] {
        call(name);
    }
    let counted = server.counts.new_ones();
    let of = |caller: &str| {
        let key = "meshwise_api_calls_total{api=orders,version=v2_20260901-1,state=current,caller=";
        counted.get(&format!("{key}{caller}}}")).copied()
    };
    assert_eq!((of("a"), of("b"), of("c"), of("d")), (Some(2.0), Some(1.0), Some(1.0), None));
    assert_eq!((of("_other"), of("unknown")), (Some(3.0), Some(1.0)));
    let overflow = "meshwise_label_overflow_total{metric=meshwise_api_calls_total,label=caller}";
    assert_eq!(counted.get(overflow), Some(&3.0));
}

#[test]
fn the_default_bound_is_200_callers() {
    let server = server(|builder| {
        builder.with_caller(|extensions| extensions.get::<Arc<str>>().map(Arc::clone))
    });
    for number in 0..201 {
        let mut request = get("/v2");
        request.extensions_mut().insert(Arc::<str>::from(number.to_string()));
        server.call(request);
    }
    let counted = server.counted();
    assert_eq!(counted.len(), 201);
    assert!(counted.contains(&("orders v2_20260901-1 current _other".to_owned(), 1.0)));
}

#[test]
fn a_version_is_asked_for_by_header_or_trace() {
    let header = HeaderName::from_static("accept-version");
    let server = server(|b| b.with_routes(ApiRoutes::new().path_by_header("/", "orders", header)));
    let call = |asked: Option<&str>, trace: Option<&str>| {
        let mut request = get("/orders");
        let headers = request.headers_mut();
        if let Some(asked) = asked {
            headers.insert("accept-version", asked.parse().unwrap());
        }
        if let Some(version) = trace {
            let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
            headers.insert("traceparent", HeaderValue::from_static(parent));
            let state = format!("mw=p:00f067aa0ba902b7;s:web;v:{version}");
            headers.insert("tracestate", state.parse().unwrap());
        }
        let deprecated = server.call(request).headers().contains_key("deprecation");
        (server.counted().remove(0).0, deprecated)
    };
    for (asked, trace, counted, deprecated) in [
        (Some("v1_20171001-2"), None, "v1_20171001-2 deprecated unknown", true),
        (Some(" v1 "), None, "v1_20171001-2 deprecated unknown", true),
        (Some("2"), Some("v1"), "v2_20260901-1 current web", false),
        (None, Some("v1_20171001-2"), "v1_20171001-2 deprecated web", true),
        (None, Some("v9"), "v2_20260901-1 current web", false),
        (None, None, "v2_20260901-1 current unknown", false),
        (Some("v9"), None, "_other unknown unknown", false),
        (Some("x".repeat(500).as_str()), None, "_other unknown unknown", false),
    ] {
        assert_eq!(
            call(asked, trace),
            (format!("orders {counted}"), deprecated),
            "{asked:?} {trace:?}"
        );
    }
}

#[test]
fn closures_map_what_no_rule_can() {
    let server = server(|builder| {
        builder.with_routes(ApiRoutes::new().by(|head| match head.uri.path() {
            "/a" => Some(("orders", "v1")),
            "/b" => Some(("orders", "v77")),
            "/c" => Some(("nothing", "v1")),
            _ => None,
        }))
    });
    for path in ["/a", "/b", "/c", "/d"] {
        server.call(get(path));
    }
    let expected = ["orders _other unknown unknown", "orders v1_20171001-2 deprecated unknown"];
    assert_eq!(server.counted(), expected.map(|key| (key.to_owned(), 1.0)));
}

#[test]
fn counting_says_since_when() {
    let (recorder, counts) = recorder();
    let routes = ApiRoutes::new().path("/v1", "orders", "v1").path("/v2", "orders", "v2");
    let layer = ApiServerLayer::builder(DECLARED)
        .with_recorder(recorder)
        .with_clock(Clock::at(2026, 11, 21).now())
        .with_routes(routes)
        .build();
    assert!(layer.is_ok());
    // Only versions that requests can lead to: for the others, no calls prove nothing.
    assert_eq!(
        counts.of(names::API_COUNTING_SINCE),
        ["v1_20171001-2", "v2_20260901-1"]
            .map(|version| (format!("{{api=orders,version={version}}}"), 1_795_219_200.0))
    );
}

/// A service that gives out a response which was made before.
#[derive(Clone, Default)]
struct Prepared(Arc<Mutex<Option<Response<Body>>>>);

impl Service<Request<()>> for Prepared {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        std::future::ready(Ok(self.0.lock().unwrap().take().expect("a response")))
    }
}

#[test]
fn a_known_call_allocates_nothing() {
    type Name = Arc<str>;
    let server = server(|builder| {
        builder.with_caller(|extensions| extensions.get::<Name>().map(Arc::clone))
    });
    let slot = Prepared::default();
    let mut service: ApiServerService<Prepared> = server.layer.layer(slot.clone());
    let mut allocations = |path: &str, traced: bool| {
        let mut request = get(path);
        if traced {
            let headers = request.headers_mut();
            let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
            headers.insert("traceparent", HeaderValue::from_static(parent));
            let state = "mw=p:00f067aa0ba902b7;s:gateway";
            headers.insert("tracestate", HeaderValue::from_static(state));
        } else {
            request.extensions_mut().insert::<Name>("billing".into());
        }
        let mut response = ok();
        // The map has room, as that of a server's response has after a few headers.
        *response.headers_mut() = HeaderMap::with_capacity(16);
        *slot.0.lock().unwrap() = Some(response);
        let mut answer = None;
        let measured = allocation_counter::measure(|| {
            let mut future = pin!(service.call(request));
            if let Poll::Ready(done) = future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
            {
                answer = Some(done);
            }
        });
        let announced = answer.unwrap().unwrap().headers().contains_key("deprecation");
        (measured.count_total, announced)
    };
    for (path, traced, announced) in
        [("/v2/orders", false, false), ("/v2/orders", true, false), ("/v1/orders", false, true)]
    {
        allocations(path, traced);
        assert_eq!(allocations(path, traced), (0, announced), "{path}, traced: {traced}");
    }
}

#[test]
fn errors_and_readiness_are_the_inner_service_s() {
    let layer = server(|builder| builder).layer;
    let (mut service, mut handle) =
        tower_test::mock::spawn_with::<Request<()>, Response<Body>, _, _>(|mock| layer.layer(mock));
    handle.allow(0);
    assert!(service.poll_ready().is_pending());
    handle.allow(1);
    assert!(service.poll_ready().is_ready());
    let answer = service.call(get("/v1"));
    let (_, reply) = block_on(handle.next_request()).unwrap();
    reply.send_error("broken");
    assert_eq!(block_on(answer).unwrap_err().to_string(), "broken");
}

#[test]
fn settings_that_do_not_fit_are_refused_in_words() {
    let refused = |routes: ApiRoutes| {
        let built = ApiServerLayer::builder(DECLARED).with_routes(routes).build();
        built.map(drop).unwrap_err().to_string()
    };
    let new = ApiRoutes::new;
    assert_eq!(
        refused(new().path("/v1", "order", "v1")),
        "\"order\" is not among the [[provides]] of api.toml (known: orders, auth): add it there, \
         or correct the name"
    );
    assert_eq!(
        refused(new().grpc("auth.v1", "auth", "1.7")),
        "auth has no version \"1.7\" in api.toml (known: 1.9, 1.10, 2.0): add it there, or correct \
         the name"
    );
    assert_eq!(
        refused(new().path("v1", "orders", "v1")),
        "the path prefix \"v1\" would match nothing: begin it with a slash"
    );
    let link = |api: &str, version: &str, rel: &str, target: &str| {
        let built = ApiServerLayer::builder(DECLARED).with_link(api, version, rel, target).build();
        built.map(drop).unwrap_err()
    };
    let unknown = link("auth", "3.0", "help", "/x");
    assert!(matches!(unknown, ApiConfigError::UnknownVersion { .. }), "{unknown}");
    let unknown = link("a", "3.0", "help", "/x");
    assert!(matches!(unknown, ApiConfigError::UnknownApi { .. }), "{unknown}");
    let broken = link("auth", "2.0", "help", "/x y");
    assert!(matches!(broken, ApiConfigError::Link { .. }), "{broken}");
    let nothing = ApiServerLayer::builder(Declared { provides: &[], ..DECLARED })
        .with_routes(new().path("/", "x", "1"))
        .build()
        .map(drop)
        .unwrap_err();
    assert!(nothing.to_string().contains("(there are none)"), "{nothing}");
    assert_eq!(ORDERS.version("v2"), None);
}
