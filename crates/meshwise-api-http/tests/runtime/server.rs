//! What the server layer promises.

use crate::support::{Body, Clock, Counts, DECLARED, ORDERS, get, ok, recorder};
use futures_executor::block_on;
use http::{HeaderMap, HeaderValue, Method, Request, Response, header};
use http_body::Body as _;
use http_body_util::BodyExt;
use meshwise_api::{Date, Declared, ProvidedApi, ProvidedVersion, names};
use meshwise_api_http::{
    AfterSunset, ApiBody, ApiConfigError, ApiPages, ApiRoutes, ApiServerBuilder, ApiServerLayer,
};
use std::convert::Infallible;
use tower::{Layer, ServiceExt, service_fn};

/// Builds a layer over a handler that says `ok`, and serves one request.
pub struct Server {
    pub layer: ApiServerLayer,
    pub counts: Counts,
    pub clock: Clock,
}

pub fn server(change: impl FnOnce(ApiServerBuilder) -> ApiServerBuilder) -> Server {
    let (recorder, counts) = recorder();
    let clock = Clock::at(2026, 11, 21);
    let builder = ApiServerLayer::builder(DECLARED).with_recorder(recorder).with_clock(clock.now());
    let layer = change(builder).build().expect("settings that fit");
    counts.new_ones();
    Server { layer, counts, clock }
}

impl Server {
    pub fn call(&self, request: Request<()>) -> Response<ApiBody<Body>> {
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
    pub fn counted(&self) -> Vec<(String, f64)> {
        let counted = self.counts.of(names::API_CALLS).into_iter();
        counted
            .map(|(labels, value)| {
                let values: Vec<&str> = labels
                    .trim_matches(['{', '}'])
                    .split(',')
                    .filter(|pair| *pair != "caller_verified=false")
                    .filter_map(|pair| Some(pair.split_once('=')?.1))
                    .collect();
                (values.join(" "), value)
            })
            .collect()
    }
}

pub fn one(text: &str) -> Vec<(String, f64)> {
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
    assert_eq!(values(response.headers(), "link"), ["</v2/orders>; rel=\"successor-version\""]);
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

/// Three versions whose successors are named in three ways.
const MOVED: Declared = Declared {
    provides: &[
        ProvidedApi { versions: &[to("1.0", "orders@3.0"), to("2.0", "bills@1.0"), NEW], ..SHOP },
        ProvidedApi { api: "bills", versions: &[to("1.0", "elsewhere@1.0")], ..SHOP },
    ],
    ..Declared::new("orders")
};
const SHOP: ProvidedApi = ProvidedApi { api: "orders", scheme: "main-minor", ..ORDERS };
const NEW: ProvidedVersion =
    ProvidedVersion { released: Date::new(2020, 1, 1), ..ProvidedVersion::new("3.0") };

const fn to(version: &'static str, successor: &'static str) -> ProvidedVersion {
    ProvidedVersion {
        released: Date::new(2019, 1, 1),
        deprecated: Date::new(2020, 1, 1),
        successor: Some(successor),
        ..ProvidedVersion::new(version)
    }
}

#[test]
fn a_successor_is_where_the_caller_finds_it() {
    let layer = ApiServerLayer::builder(MOVED);
    let layer = layer.with_recorder(recorder().0).build().expect("settings that fit");
    let server = Server { layer, counts: recorder().1, clock: Clock::at(2026, 11, 21) };
    let long = format!("/{}/orders/v1", "x".repeat(300));
    for (path, links) in [
        // In the form of the request, and below what stands before it there.
        ("/orders/v1/7", vec!["</orders/v3>"]),
        ("/v1/orders/7", vec!["</v3/orders>"]),
        ("/shop/orders/v1/7", vec!["</shop/orders/v3>"]),
        // Another API of this service's, and one of another's, of which it has neither path nor page.
        ("/orders/v2/7", vec!["</bills/v1>"]),
        ("/bills/v1/7", vec![]),
        // No other host, and nothing that is longer than it need be.
        ("//evil.example/orders/v1", vec!["</apis/orders/3.0>"]),
        (&long, vec!["</apis/orders/3.0>"]),
    ] {
        let response = server.call(get(path));
        assert!(response.headers().contains_key("deprecation"), "{path}");
        let links: Vec<String> =
            links.iter().map(|link| format!("{link}; rel=\"successor-version\"")).collect();
        assert_eq!(values(response.headers(), "link"), links, "{path}");
    }
    let pages = ApiPages::new(MOVED);
    for (version, target) in
        [("orders/1.0", Some("orders/3.0")), ("orders/2.0", Some("bills/1.0")), ("bills/1.0", None)]
    {
        let page = |query: &str| {
            let page = pages.respond(&get(&format!("/apis/{version}{query}"))).expect("a page");
            String::from_utf8(page.into_body().into()).expect("text")
        };
        for query in ["", "?format=html"] {
            let page = page(query);
            match target {
                Some(target) => {
                    assert!(page.contains(&format!("\"/apis/{target}{query}\"")), "{page}");
                }
                None => assert!(!page.contains("/elsewhere"), "{page}"),
            }
        }
    }
}

#[test]
fn a_version_is_found_in_paths_as_paths_write_it() {
    const ODD: Declared = Declared {
        provides: &[ProvidedApi {
            scheme: "exact",
            versions: &[to("<old>", "new|er"), ProvidedVersion::new("new|er")],
            ..SHOP
        }],
        ..Declared::new("orders")
    };
    let (recorder, counts) = recorder();
    let layer = ApiServerLayer::builder(ODD).with_recorder(recorder).build();
    let server = Server { layer: layer.expect("a layer"), counts, clock: Clock::at(2026, 11, 21) };
    let response = server.call(get("/orders/%3Cold%3E/7"));
    let link = "</orders/new%7Cer>; rel=\"successor-version\"";
    assert_eq!(values(response.headers(), "link"), [link]);
    assert_eq!(server.counted(), one("orders <old> deprecated unknown"));
    let request = get(names::PATH_API_CATALOG);
    let catalog = ApiPages::new(ODD).respond(&request).expect("a catalogue").into_body();
    let catalog = String::from_utf8(catalog.into()).expect("text");
    assert!(catalog.contains("\"/%3Cold%3E\"") && !catalog.contains("\"/<old>"), "{catalog}");
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

/// What a gateway hands on tells of its peer's end.
#[test]
fn of_two_ends_the_earlier_is_told() {
    let (ours, at) = ("@1788220800", "Mon, 01 Mar 2027 00:00:00 GMT");
    for (deprecation, sunset, told) in [
        ("@2000000000", "Sat, 01 Mar 2031 00:00:00 GMT", (ours, at)),
        ("@2000000000;a=b", "Saturday, 01-Mar-31 00:00:00 GMT", (ours, at)),
        ("@1788220800", "Mon, 01 Mar 2027 00:00:00 UTC", (ours, "Mon, 01 Mar 2027 00:00:00 UTC")),
        (
            "@1788220799",
            "Sun, 28 Feb 2027 23:59:59 GMT",
            ("@1788220799", "Sun, 28 Feb 2027 23:59:59 GMT"),
        ),
        ("true", "soon", ("true", "soon")),
        (
            "Sat, 01 Mar 2031 00:00:00 GMT",
            "Thu, 29 Feb 2024 00:00:00 GMT",
            (ours, "Thu, 29 Feb 2024 00:00:00 GMT"),
        ),
    ] {
        let response = server(|builder| builder).call_to(get("/v1"), || {
            let mut response = ok();
            let headers = response.headers_mut();
            headers.append("deprecation", HeaderValue::from_static(deprecation));
            headers.append("sunset", HeaderValue::from_static(sunset));
            response
        });
        let headers = response.headers();
        assert_eq!(values(headers, "deprecation"), [told.0], "{deprecation}");
        assert_eq!(values(headers, "sunset"), [told.1], "{sunset}");
    }
}

#[test]
fn links_lead_where_they_are_told_to() {
    let own = server(|builder| {
        builder
            .with_pages("https://ops.example/apis/")
            .with_documentation_links(true)
            .with_link("orders", "v1_20171001-2", "successor-version", "https://new.example/")
            .with_link("auth", "1.10", "help", "/overridden")
            .with_link("auth", "1.10", "Help", "/help")
    });
    assert_eq!(
        values(own.call(get("/v1")).headers(), "link"),
        [
            "<https://new.example/>; rel=\"successor-version\"",
            "<https://docs.example/v1-to-v2>; rel=\"deprecation\"",
            "<https://docs.example/v1-to-v2>; rel=\"sunset\"",
        ]
    );
    assert_eq!(
        values(own.call(get("/v0")).headers(), "link").len(),
        2,
        "no link of another version's, and nowhere to go on to"
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
    assert_eq!(response.headers()[header::CACHE_CONTROL], "no-cache");
    assert_eq!(values(response.headers(), "sunset"), ["Mon, 01 Mar 2027 00:00:00 GMT"]);
    assert_eq!(values(response.headers(), "deprecation"), ["@1788220800"]);
    assert_eq!(values(response.headers(), "link"), ["</v2/orders>; rel=\"successor-version\""]);
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
        // It was announced before it came.
        assert!(headers.contains_key("deprecation") && headers.contains_key("sunset"));
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
