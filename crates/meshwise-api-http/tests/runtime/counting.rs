//! How the server layer counts: which version, which caller, at what cost.

use crate::{
    server::{one, server},
    support::{AUTH, Body, Clock, DECLARED, get, ok, recorder},
};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use meshwise_api::{Date, Declared, ProvidedApi, ProvidedVersion, names};
use meshwise_api_http::{ApiRoutes, ApiServerLayer, ApiServerService, CallerInfo};
use std::{
    convert::Infallible,
    future::Ready,
    pin::pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
};
use tower::{Layer, Service};

fn told(service: Option<Arc<str>>) -> CallerInfo {
    CallerInfo { service, api_version: None }
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
        builder.with_caller(|extensions| told(extensions.get().map(|Name(name)| Arc::clone(name))))
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
            .with_caller(|extensions| told(extensions.get().map(|Name(name)| Arc::clone(name))))
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
        counted.get(&format!("{key}{caller},caller_verified=false}}")).copied()
    };
    assert_eq!((of("a"), of("b"), of("c"), of("d")), (Some(2.0), Some(1.0), Some(1.0), None));
    assert_eq!((of("_other"), of("unknown")), (Some(3.0), Some(1.0)));
    let overflow = "meshwise_label_overflow_total{metric=meshwise_api_calls_total,label=caller}";
    assert_eq!(counted.get(overflow), Some(&3.0));
}

#[test]
fn the_default_bound_is_200_callers() {
    let server = server(|builder| {
        builder.with_caller(|extensions| told(extensions.get::<Arc<str>>().map(Arc::clone)))
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
        (server.counted().pop().map_or("none".to_owned(), |(counted, _)| counted), deprecated)
    };
    // Two versions that cannot stand in for each other, and no one says which.
    assert_eq!(call(None, None), ("none".to_owned(), false));
    assert_eq!(call(None, Some("v9_20300101-1")), ("none".to_owned(), false));
    // What was never declared gets what will do in its place.
    assert_eq!(
        call(None, Some("v1_20171001-1")),
        ("orders v1_20171001-2 deprecated web".to_owned(), true)
    );
    for (asked, trace, counted, deprecated) in [
        (Some("v1_20171001-2"), None, "v1_20171001-2 deprecated unknown", true),
        (Some(" v1 "), None, "v1_20171001-2 deprecated unknown", true),
        (Some("2"), Some("v1"), "v2_20260901-1 current web", false),
        (None, Some("v1_20171001-2"), "v1_20171001-2 deprecated web", true),
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
fn counting_begins_when_the_layer_stands_around_a_service() {
    let (recorder, counts) = recorder();
    let layer = ApiServerLayer::builder(DECLARED)
        .with_recorder(recorder)
        .with_clock(Clock::at(2026, 11, 21).now())
        .with_routes(ApiRoutes::new().path("/v1", "orders", "v1"))
        .build()
        .unwrap();
    assert_eq!(counts.of(names::API_COUNTING_SINCE), [], "nothing was seen yet");
    drop(layer.layer(Prepared::default()));
    let seen = counts.of(names::API_COUNTING_SINCE);
    // Also of versions that no rule leads to: a call of them counts as unrouted.
    assert_eq!(seen.len(), 7);
    assert!(seen.contains(&("{api=orders,version=v2_20260901-1}".to_owned(), 1_795_219_200.0)));
    drop(layer.layer(Prepared::default()));
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
        builder.with_caller(|extensions| told(extensions.get::<Name>().map(Arc::clone)))
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
fn a_main_version_means_the_best_of_the_day() {
    let server = server(|builder| builder);
    for (day, counted) in [
        ((2019, 1, 1), "auth 1.10 planned unknown"),
        ((2020, 6, 1), "auth 1.9 current unknown"),
        ((2021, 1, 1), "auth 1.10 current unknown"),
        ((2026, 6, 1), "auth 1.10 deprecated unknown"),
        ((2027, 6, 1), "auth 1.9 deprecated unknown"),
    ] {
        server.clock.turn_to(day.0, day.1, day.2);
        server.call(get("/auth.v1.Auth/Check"));
        assert_eq!(server.counted(), one(counted), "{day:?}");
    }
}

#[test]
fn what_is_planned_does_not_take_over_from_what_is_retired() {
    const VERSIONS: &[ProvidedVersion] = &[
        ProvidedVersion {
            released: Date::new(2015, 1, 1),
            sunset: Date::new(2018, 1, 1),
            ..ProvidedVersion::new("1.0")
        },
        ProvidedVersion { released: Date::new(2030, 1, 1), ..ProvidedVersion::new("1.1") },
    ];
    const OLD: ProvidedApi = ProvidedApi { api: "old", versions: VERSIONS, ..AUTH };
    let (recorder, counts) = recorder();
    let layer = ApiServerLayer::builder(Declared { provides: &[OLD], ..DECLARED })
        .with_recorder(recorder)
        .with_clock(Clock::at(2026, 11, 21).now())
        .build()
        .unwrap();
    let handler = Prepared(Arc::new(Mutex::new(Some(ok()))));
    drop(layer.layer(handler).call(get("/old.v1.Old/Get")));
    let counted = counts.of(names::API_CALLS);
    assert_eq!(
        counted[0].0,
        "{api=old,version=1.0,state=retired,caller=unknown,caller_verified=false}"
    );
}

#[test]
fn where_nothing_can_stand_in_for_another_nothing_is_guessed() {
    const COLOURS: ProvidedApi = ProvidedApi {
        api: "colours",
        scheme: "exact",
        transport: "http",
        description: None,
        versions: &[
            ProvidedVersion { released: Date::new(2020, 1, 1), ..ProvidedVersion::new("red") },
            ProvidedVersion { released: Date::new(2022, 1, 1), ..ProvidedVersion::new("blue") },
            ProvidedVersion { released: Date::new(2021, 1, 1), ..ProvidedVersion::new("green") },
        ],
    };
    let (recorder, counts) = recorder();
    let header = HeaderName::from_static("accept-version");
    // No caller has a name of its own, and that is the least that can be bounded.
    let layer = ApiServerLayer::builder(Declared { provides: &[AUTH, COLOURS], ..DECLARED })
        .with_recorder(recorder)
        .with_max_callers(0)
        .with_clock(Clock::at(2026, 11, 21).now())
        .with_routes(ApiRoutes::new().path_by_header("/", "colours", header))
        .build()
        .unwrap();
    let handler = Prepared(Arc::new(Mutex::new(Some(ok()))));
    drop(layer.layer(handler).call(get("/")));
    let counted = counts.new_ones();
    let unrouted = "meshwise_api_unrouted_requests_total{caller=unknown,caller_verified=false}";
    assert_eq!(counted.get(unrouted), Some(&1.0), "{counted:?}");
}
