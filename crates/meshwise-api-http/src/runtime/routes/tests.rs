//! Tests of which rule a request falls under.

use super::*;
use meshwise_api::{ProvidedApi, ProvidedVersion, RequiredApi};
use proptest::prelude::*;

/// Says what a request to the path belongs to: the rule's API and version, or what was named.
fn find(routes: &ApiRoutes, path: &str) -> Option<String> {
    let request = Request::get(path).header("content-type", "application/grpc").body(()).unwrap();
    Some(match routes.find(RequestHead::of(&request))? {
        Found::Rule(number) => {
            let rule = &routes.rules[number];
            match &rule.version {
                Asked::Fixed(version) => format!("{}@{version}", rule.api),
                Asked::Header(name) => format!("{}@{name}?", rule.api),
                Asked::Nothing => "nothing's".to_owned(),
            }
        }
        Found::Named(api, version) => format!("{api}@{version}!"),
        Found::Package(api, main) => format!("{api}@{main}*"),
        Found::Nothing => "nothing's".to_owned(),
    })
}

#[test]
fn a_prefix_ends_where_a_segment_does_and_the_longest_counts() {
    let routes = ApiRoutes::new()
        .path("/v1", "orders", "1.1")
        .path("/v1/stock/", "stock", "3.0")
        .path_by_header("/", "rest", HeaderName::from_static("accept-version"));
    for (path, expected) in [
        ("/v1", "orders@1.1"),
        ("/v1/", "orders@1.1"),
        ("/v1/orders/7?x=/v1/stock", "orders@1.1"),
        ("/v1/stock", "stock@3.0"),
        ("/v1/stock/4", "stock@3.0"),
        ("/v1/stockings", "orders@1.1"),
        ("/v10", "rest@accept-version?"),
        ("/", "rest@accept-version?"),
        ("http://other.example/v1/x", "orders@1.1"),
    ] {
        assert_eq!(find(&routes, path).as_deref(), Some(expected), "{path}");
    }
    assert_eq!(find(&ApiRoutes::new().path("/v1", "orders", "1.1"), "/healthz"), None);
}

#[test]
fn a_package_is_all_before_the_service() {
    let routes = ApiRoutes::new().path("/", "rest", "1.0").grpc("auth.v1", "auth", "1.1").grpc(
        "acme.auth.v1",
        "acme",
        "1.2",
    );
    for (path, expected) in [
        ("/auth.v1.Auth/Check", "auth@1.1"),
        ("/other.auth.v1.Auth/Check", "auth@1.1"),
        ("/acme.auth.v1.Auth/Check", "acme@1.2"),
        ("/xauth.v1.Auth/Check", "rest@1.0"),
        ("/auth.v1.sub.Auth/Check", "rest@1.0"),
        ("/auth.v1.Auth/Check/more", "rest@1.0"),
        ("/auth.v1.Auth", "rest@1.0"),
        ("/auth.v1./Check", "rest@1.0"),
    ] {
        assert_eq!(find(&routes, path).as_deref(), Some(expected), "{path}");
    }
}

#[test]
fn closures_are_asked_first_and_in_order() {
    let routes = ApiRoutes::new()
        .path("/", "rest", "1.0")
        .by(|head| (head.uri.path() == "/a").then_some(("a", "1")))
        .by(|head| head.uri.path().starts_with("/a").then_some(("b", "2")));
    assert_eq!(find(&routes, "/a").as_deref(), Some("a@1!"));
    assert_eq!(find(&routes, "/ab").as_deref(), Some("b@2!"));
    assert_eq!(find(&routes, "/c").as_deref(), Some("rest@1.0"));
}

const fn api(
    api: &'static str,
    scheme: &'static str,
    transport: &'static str,
    versions: &'static [ProvidedVersion],
) -> ProvidedApi {
    ProvidedApi { api, scheme, transport, description: None, versions }
}

#[test]
fn rules_follow_from_what_is_provided() {
    const AUTH: ProvidedApi = api(
        "auth",
        "main-minor",
        "grpc",
        &[ProvidedVersion::new("1.0"), ProvidedVersion::new("1.1"), ProvidedVersion::new("2.0")],
    );
    const ORDERS: ProvidedApi = api(
        "orders",
        "main-date-bugfix",
        "http",
        &[ProvidedVersion::new("v1_20171001-2"), ProvidedVersion::new("v2_20260901-1")],
    );
    const EVENTS: ProvidedApi =
        api("events", "semver", "messages", &[ProvidedVersion::new("1.0.0")]);
    let declared = Declared { provides: &[AUTH, ORDERS, EVENTS], ..Declared::new("shop") };
    let routes = ApiRoutes::provided(&declared);
    for (path, expected) in [
        ("/auth.v1.Auth/Check", Some("auth@v1")),
        ("/auth.v2.Auth/Check", Some("auth@v2")),
        ("/auth.v3.Auth/Check", None),
        ("/auth.v1/Check", None),
        ("/v1/orders", Some("orders@1")),
        ("/orders/v2/7", Some("orders@2")),
        ("/v1_20171001-2/7", Some("orders@v1_20171001-2")),
        ("/orders/v1_20171001/7", Some("orders@v1_20171001")),
        ("/api/v1/orders", Some("orders@1")),
        ("/edge/shop/v2/v1", Some("orders@2")),
        ("/api/v10/orders", None),
        ("/orders", None),
        ("/events/v1", Some("orders@1")),
        ("/metrics", None),
        ("/v3", None),
    ] {
        assert_eq!(find(&routes, path).as_deref(), expected, "{path}");
    }

    // With two APIs over HTTP, a version alone names neither.
    const GIS: ProvidedApi = api("gis", "calver", "http", &[ProvidedVersion::new("201610")]);
    let declared = Declared { provides: &[ORDERS, GIS], ..Declared::new("shop") };
    let routes = ApiRoutes::provided(&declared);
    assert_eq!(find(&routes, "/v1/basket"), None);
    assert_eq!(find(&routes, "/api/v1/orders/7").as_deref(), Some("orders@1"));
    assert_eq!(find(&routes, "/gis/201610/map").as_deref(), Some("gis@201610"));
    assert_eq!(find(&routes, "/gis/v201610/map"), None, "a calendar version has no main part");
}

#[test]
fn rules_follow_from_what_is_required() {
    const REQUIRES: &[RequiredApi] =
        &[RequiredApi::new("auth", "1.1"), RequiredApi::new("auth", "1.2")];
    let declared = Declared { requires: REQUIRES, ..Declared::new("orders") };
    let routes = ApiRoutes::required(&declared);
    assert_eq!(routes.rules.len(), 1, "what is matched already gets no second rule");
    for (path, expected) in [
        ("/auth.v1.Auth/Check", Some("auth@1.1")),
        ("/auth.v2.Auth/Check", Some("auth@2*")),
        ("/acme.tokens.v1beta1.Tokens/Get", Some("tokens@1*")),
        ("/grpc.health.v1.Health/Check", Some("nothing's")),
        ("/tokens.Tokens/Get", None),
        ("/tokens.vx.Tokens/Get", None),
        ("/v1/users", None),
    ] {
        assert_eq!(find(&routes, path).as_deref(), expected, "{path}");
    }
    let request = Request::get("/report.v2.pdf/download").body(()).unwrap();
    assert_eq!(routes.find(RequestHead::of(&request)), None, "it is not gRPC");
}

#[test]
fn the_main_part_is_what_the_digits_say() {
    for (version, main) in [
        ("1.1", Some("1")),
        ("v1", Some("1")),
        ("12", Some("12")),
        ("v1_20171001-2", Some("1")),
        ("2.3.1", Some("2")),
        ("1x", None),
        ("blue", None),
        ("v", None),
        ("", None),
    ] {
        assert_eq!(main_of(version), main, "{version}");
    }
}

proptest! {
    #[test]
    fn no_path_panics(path in "/[a-z./:%v0-9-]{0,40}") {
        let routes = ApiRoutes { any_package: true, ..ApiRoutes::new() }
            .path("/v1", "a", "1").grpc("a.v1", "a", "1");
        if let Ok(request) = Request::get(path).body(()) {
            let _ = routes.find(RequestHead::of(&request));
        }
    }
}
