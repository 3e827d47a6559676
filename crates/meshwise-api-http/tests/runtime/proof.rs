//! Each request is counted once, or its absence from the counts is told: what `can-i-remove` rests on.

use crate::support::{Body, Clock, Counts, ok, recorder};
use futures_executor::block_on;
use http::{Request, Response, StatusCode};
use meshwise_api::{Date, Declared, ProvidedApi, ProvidedVersion, names};
use meshwise_api_http::{
    AfterSunset, ApiMessages, ApiRoutes, ApiServerBuilder, ApiServerLayer, DeclaredCallers,
    UndeclaredCallers,
};
use meshwise_core::VerifiedCaller;
use std::convert::Infallible;
use tower::{Layer, Service, ServiceExt, service_fn};

const fn version(version: &'static str, sunset: Option<Date>) -> ProvidedVersion {
    ProvidedVersion { released: Date::new(2018, 1, 1), sunset, ..ProvidedVersion::new(version) }
}

const fn api(
    api: &'static str,
    scheme: &'static str,
    transport: &'static str,
    versions: &'static [ProvidedVersion],
) -> ProvidedApi {
    ProvidedApi { api, scheme, transport, description: None, versions }
}

const STOCK: ProvidedApi = api("stock", "semver", "http", &[version("1.0.0", None)]);
const GEO: ProvidedApi = api(
    "geo",
    "main-date-bugfix",
    "http",
    &[version("v1_20171001-1", Date::new(2026, 1, 1)), version("v1_20180101-1", None)],
);
const ZERO: ProvidedApi =
    api("geo", "semver", "http", &[version("0.1.0", None), version("0.2.0", None)]);
const MINOR: ProvidedApi = api(
    "auth",
    "main-minor",
    "http",
    &[version("1.0", Date::new(2026, 1, 1)), version("1.1", None)],
);

const CANDIDATE: ProvidedApi = api(
    "tax",
    "semver",
    "http",
    &[
        version("1.0.0-rc.1+exp.sha", Date::new(2019, 1, 1)),
        version("1.0.0", None),
        version("1.0.1+build.5", None),
        version("2.0.0-rc.1", None),
    ],
);

struct Served {
    layer: ApiServerLayer,
    counts: Counts,
}

/// A request's path, and the version that its caller asks for.
type Asked = (&'static str, Option<&'static str>);

fn serve(
    provides: &'static [ProvidedApi],
    change: impl FnOnce(ApiServerBuilder) -> ApiServerBuilder,
) -> Served {
    let (recorder, counts) = recorder();
    let builder = ApiServerLayer::builder(Declared { provides, ..Declared::new("shop") })
        .with_recorder(recorder)
        .with_clock(Clock::at(2026, 11, 21).now())
        // The mark that the tests' router leaves.
        .with_matched(|extensions| extensions.get::<StatusCode>().is_some());
    Served { layer: change(builder).build().expect("settings that fit"), counts }
}

impl Served {
    /// Serves one request with this answer, of a handler or of the router itself.
    fn call(&self, (path, asked): Asked, status: StatusCode, handled: bool) -> StatusCode {
        let mut request = Request::get(path).body(()).unwrap();
        if let Some(version) = asked {
            let headers = request.headers_mut();
            let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
            headers.insert("traceparent", parent.parse().unwrap());
            let state = format!("mw=p:00f067aa0ba902b7;s:web;v:{version}");
            headers.insert("tracestate", state.parse().unwrap());
        }
        if handled {
            request.extensions_mut().insert(status);
        }
        let answer = move |_: Request<()>| {
            let mut response: Response<Body> = ok();
            *response.status_mut() = status;
            std::future::ready(Ok::<_, Infallible>(response))
        };
        let response = block_on(self.layer.layer(service_fn(answer)).oneshot(request));
        response.unwrap_or_else(|never| match never {}).status()
    }

    fn ok(&self, asked: Asked) -> String {
        self.call(asked, StatusCode::OK, true);
        self.counted()
    }

    /// Says what was counted since the last look: a version, `unrouted`, or `-`.
    fn counted(&self) -> String {
        let ones = self.counts.new_ones();
        let aside = [
            names::API_COUNTING_SINCE,
            names::API_UNDECLARED_CALLERS,
            "meshwise_api_sunset_seconds",
        ];
        let one = ones.keys().find(|key| !aside.iter().any(|aside| key.starts_with(aside)));
        match one {
            None => "-".to_owned(),
            Some(key) if key.starts_with(names::API_UNROUTED) => "unrouted".to_owned(),
            Some(key) => key.split(['=', ',']).nth(3).unwrap_or_default().to_owned(),
        }
    }
}

/// A request that the router has found a handler for.
fn routed(path: &str) -> Request<()> {
    let mut request = Request::get(path).body(()).unwrap();
    request.extensions_mut().insert(StatusCode::OK);
    request
}

async fn handle(_: Request<()>) -> Result<Response<Body>, Infallible> {
    Ok(ok())
}

#[test]
fn a_layer_around_another_leaves_to_it_what_it_does_not_count() {
    let routes = ApiRoutes::provided(&Declared { provides: &[STOCK], ..Declared::new("shop") });
    let outer = serve(&[STOCK], |builder| builder.with_routes(routes.without("/items")));
    let inner = serve(&[STOCK], |builder| builder);
    for (path, counted) in [("/items/tea", ("-", "1.0.0")), ("/other", ("1.0.0", "-"))] {
        let both = outer.layer.layer(inner.layer.layer(service_fn(handle)));
        let _answer = block_on(both.oneshot(routed(path))).unwrap_or_else(|never| match never {});
        assert_eq!((&*outer.counted(), &*inner.counted()), counted, "{path}");
    }
}

#[test]
fn a_layer_further_in_that_knows_the_version_counts_and_the_call_counts_once() {
    let by_path = ApiRoutes::new().path("/v1", "geo", "v1_20171001-1");
    let outer = serve(&[GEO], |builder| builder);
    let middle = serve(&[GEO], |builder| builder);
    let inner = serve(&[GEO], |builder| builder.with_routes(by_path));
    for (path, counted) in [("/v1/x", ("-", "v1_20171001-1")), ("/x", ("unrouted", "-"))] {
        let within = middle.layer.layer(inner.layer.layer(service_fn(handle)));
        let _answer = block_on(outer.layer.layer(within).oneshot(routed(path)))
            .unwrap_or_else(|never| match never {});
        assert_eq!((&*outer.counted(), &*inner.counted()), counted, "{path}");
        assert_eq!(middle.counted(), "-", "{path}");
    }
}

#[test]
fn one_version_and_no_rule_counts_all() {
    let served = serve(&[STOCK], |builder| builder);
    for path in ["/items/tea/reserve", "/api/v1/items", "/v1", "/stock/v1/x", "/1.0.0/x"] {
        assert_eq!(served.ok((path, None)), "1.0.0", "{path}");
        // A handler's 404 is an answer, such as of an item that is not there.
        served.call((path, None), StatusCode::NOT_FOUND, true);
        assert_eq!(served.counted(), "1.0.0", "{path}");
    }
    for (status, handled) in
        [(StatusCode::NOT_FOUND, false), (StatusCode::METHOD_NOT_ALLOWED, true)]
    {
        served.call(("/wp-admin", None), status, handled);
        assert_eq!(served.counted(), "-", "the router's own");
    }
    let routes = ApiRoutes::provided(&Declared { provides: &[STOCK], ..Declared::new("shop") });
    let served = serve(&[STOCK], |builder| builder.with_routes(routes.without("/healthz")));
    assert_eq!(served.ok(("/healthz", None)), "-");
    assert_eq!(served.ok(("/healthzz", None)), "1.0.0");
}

#[test]
fn what_can_not_be_told_is_unrouted_and_never_guessed() {
    for (apis, asked, counted) in [
        // Main and date may break: v1 alone names no version, the caller's word does.
        (&[GEO], ("/geo/v1/tiles", None), "unrouted"),
        (&[GEO], ("/geo/v1/tiles", Some("v1_20171001-1")), "v1_20171001-1"),
        (&[GEO], ("/geo/v1/tiles", Some("v1_20180101-1")), "v1_20180101-1"),
        (&[GEO], ("/geo/v1_20171001/tiles", None), "v1_20171001-1"),
        (&[GEO], ("/v1_20180101/tiles", Some("v1_20171001-1")), "v1_20180101-1"),
        (&[GEO], ("/tiles", Some("v1_20171001-1")), "v1_20171001-1"),
        (&[GEO], ("/tiles", None), "unrouted"),
        (&[GEO], ("/tiles", Some("v7_20171001-1")), "unrouted"),
        (&[ZERO], ("/geo/v0/tiles", None), "unrouted"),
        (&[ZERO], ("/geo/v0/tiles", Some("0.1.0")), "0.1.0"),
        (&[ZERO], ("/geo/v0.1/tiles", None), "0.1.0"),
        (&[ZERO], ("/nested/geo/v0.2/tiles", Some("0.1.0")), "0.2.0"),
        // Both will do for 1.0: what the caller gets counts, not what it names.
        (&[MINOR], ("/auth/v1/check", Some("1.0")), "1.1"),
        (&[MINOR], ("/auth/v1/check", None), "1.1"),
        (&[MINOR], ("/check", None), "1.1"),
        (&[MINOR], ("/auth/1.0/check", None), "1.0"),
        // A pre-release is for those who ask for just it, and parts of a build mean nothing.
        (&[CANDIDATE], ("/tax/v1/rates", None), "1.0.1+build.5"),
        (&[CANDIDATE], ("/tax/v1/rates", Some("1.0.0-rc.1")), "1.0.0-rc.1+exp.sha"),
        (&[CANDIDATE], ("/tax/v1/rates", Some("1.0.1+build.7")), "1.0.1+build.5"),
        (&[CANDIDATE], ("/tax/1.0.0-rc.1+exp.sha/rates", None), "1.0.0-rc.1+exp.sha"),
        (&[CANDIDATE], ("/tax/v2/rates", None), "2.0.0-rc.1"),
        (&[CANDIDATE], ("/tax/v2/rates", Some("1.0.0")), "2.0.0-rc.1"),
        (&[CANDIDATE], ("/rates", None), "1.0.1+build.5"),
    ] as [(&'static [ProvidedApi], Asked, &str); 23]
    {
        let served = serve(apis, |builder| builder);
        assert_eq!(served.ok(asked), counted, "{asked:?}");
    }
    const TWO: &[ProvidedApi] = &[STOCK, MINOR];
    let served = serve(TWO, |builder| builder);
    assert_eq!(served.ok(("/items", None)), "unrouted");
    assert_eq!(served.ok(("/api/v1/stock/items", None)), "1.0.0");
    assert_eq!(served.ok(("/stock/v1/items", None)), "1.0.0");
}

#[test]
fn rules_of_ones_own_leave_the_rest_unrouted() {
    let served = serve(&[STOCK], |builder| {
        builder.with_routes(ApiRoutes::new().path("/v1", "stock", "1.0.0"))
    });
    assert_eq!(served.ok(("/v1/items", None)), "1.0.0");
    assert_eq!(served.ok(("/items", None)), "unrouted");
    // The rule fits; who answers does not matter.
    served.call(("/v1/gone", None), StatusCode::NOT_FOUND, false);
    assert_eq!(served.counted(), "1.0.0");
}

#[test]
fn a_retired_version_is_refused_where_it_is_asked_for() {
    let served = serve(&[GEO], |builder| builder.with_after_sunset(AfterSunset::Gone));
    let asked = |asked| served.call(("/geo/v1/tiles", asked), StatusCode::OK, true);
    assert_eq!(asked(Some("v1_20171001-1")), StatusCode::GONE);
    assert_eq!(served.counted(), "v1_20171001-1");
    assert_eq!(asked(Some("v1_20180101-1")), StatusCode::OK);
    assert_eq!(served.counted(), "v1_20180101-1");
}

#[test]
fn a_call_that_ends_without_an_answer_counts() {
    let served = serve(&[STOCK], |builder| builder);
    let mut hanging = served.layer.layer(service_fn(|_: Request<()>| {
        std::future::pending::<Result<Response<Body>, Infallible>>()
    }));
    drop(hanging.call(Request::get("/items").body(()).unwrap()));
    assert_eq!(served.counted(), "1.0.0");
    let mut failing = served
        .layer
        .layer(service_fn(|_: Request<()>| std::future::ready(Err::<Response<Body>, _>("broken"))));
    assert_eq!(
        block_on(failing.call(Request::get("/items").body(()).unwrap())).err(),
        Some("broken")
    );
    assert_eq!(served.counted(), "1.0.0");
}

#[test]
fn an_announced_end_is_told_at_once() {
    const SOON: &[ProvidedApi] =
        &[api("soon", "semver", "http", &[version("1.0.0", Date::new(2027, 6, 1))])];
    let served = serve(SOON, |builder| builder);
    let call = |handled: bool| {
        let mut request = Request::get("/items").body(()).unwrap();
        let status = if handled { StatusCode::OK } else { StatusCode::NOT_FOUND };
        if handled {
            request.extensions_mut().insert(status);
        }
        let answer = move |_: Request<()>| {
            let mut response: Response<Body> = ok();
            *response.status_mut() = status;
            std::future::ready(Ok::<_, Infallible>(response))
        };
        let response = block_on(served.layer.layer(service_fn(answer)).oneshot(request)).unwrap();
        response.headers().get("sunset").map(|sunset| sunset.to_str().unwrap().to_owned())
    };
    assert_eq!(call(true).as_deref(), Some("Tue, 01 Jun 2027 00:00:00 GMT"));
    assert_eq!(call(false), None, "the router's own answer is none of the version's");
}

#[test]
fn a_proved_name_goes_before_a_claim() {
    let served = serve(&[STOCK], |builder| builder);
    let call = |claimed: &str, verified: Option<&str>| {
        let mut request = Request::get("/items").body(()).unwrap();
        let headers = request.headers_mut();
        let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        headers.insert("traceparent", parent.parse().unwrap());
        headers.insert("tracestate", format!("mw=p:00f067aa0ba902b7;s:{claimed}").parse().unwrap());
        if let Some(name) = verified {
            request.extensions_mut().insert(VerifiedCaller(name.into()));
        }
        let answer = |_: Request<()>| std::future::ready(Ok::<_, Infallible>(ok()));
        drop(block_on(served.layer.layer(service_fn(answer)).oneshot(request)));
        served.counts.of(names::API_CALLS).remove(0).0
    };
    let labels = "{api=stock,version=1.0.0,state=current,caller=";
    assert_eq!(call("web", None), format!("{labels}web,caller_verified=false}}"));
    assert_eq!(call("web", Some("billing")), format!("{labels}billing,caller_verified=true}}"));
    assert_eq!(call("billing", None), format!("{labels}billing,caller_verified=false}}"));
}

#[test]
fn callers_that_declared_nothing_are_counted_told_or_refused() {
    let ask = |served: &Served, claimed: &str, version: Option<&str>, verified: Option<&str>| {
        let mut request = Request::get("/items").body(()).unwrap();
        let headers = request.headers_mut();
        let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        headers.insert("traceparent", parent.parse().unwrap());
        let version = version.map_or(String::new(), |version| format!(";v:{version}"));
        let state = format!("mw=p:00f067aa0ba902b7;s:{claimed}{version}");
        headers.insert("tracestate", state.parse().unwrap());
        if let Some(name) = verified {
            request.extensions_mut().insert(VerifiedCaller(name.into()));
        }
        let answer = |_: Request<()>| std::future::ready(Ok::<_, Infallible>(ok()));
        let response = block_on(served.layer.layer(service_fn(answer)).oneshot(request)).unwrap();
        let counted = served.counts.of(names::API_UNDECLARED_CALLERS).len();
        (response.status().as_u16(), response.headers().contains_key(names::UNDECLARED), counted)
    };
    let by = |policy| serve(&[STOCK], move |builder| builder.with_undeclared_callers(policy));
    for (policy, status, told) in [
        (UndeclaredCallers::Count, 200, false),
        (UndeclaredCallers::Tell, 200, true),
        (UndeclaredCallers::Warn, 200, true),
        (UndeclaredCallers::Refuse, 403, true),
    ] {
        let served = by(policy);
        assert_eq!(ask(&served, "web", None, None), (status, told, 1), "{policy:?}");
        // Who names the version of its declaration has one.
        assert_eq!(ask(&served, "web", Some("1.0.0"), None), (200, false, 0), "{policy:?}");
    }
    // By the dictionary's list, which may change while the service runs.
    let list = DeclaredCallers::new(["billing"]);
    let kept = list.clone();
    let served = serve(&[STOCK], move |builder| {
        builder.with_undeclared_callers(UndeclaredCallers::Refuse).with_declared_callers(list)
    });
    assert_eq!(ask(&served, "web", Some("1.0.0"), None).0, 403);
    assert_eq!(ask(&served, "billing", None, None).0, 200);
    kept.replace(["web"]);
    assert_eq!(ask(&served, "web", None, None).0, 200);
    assert_eq!(ask(&served, "billing", None, None).0, 403);
    // By what was proved alone.
    let served = serve(&[STOCK], |builder| {
        let list = DeclaredCallers::new(["web"]);
        let builder = builder.with_undeclared_callers(UndeclaredCallers::Refuse);
        builder.with_declared_callers(list).with_verified_callers_only(true)
    });
    assert_eq!(ask(&served, "web", None, None).0, 403, "a claim");
    assert_eq!(ask(&served, "thief", None, Some("web")).0, 200);
}

#[test]
fn messages_are_counted_when_a_consumer_says_so() {
    const EVENTS: &[ProvidedApi] = &[
        api("placed", "semver", "messages", &[version("1.0.0", None), version("2.0.0", None)]),
        api("paid", "semver", "messages", &[version("1.0.0", None)]),
        STOCK,
    ];
    let (recorder, counts) = recorder();
    let messages = ApiMessages::builder(Declared { provides: EVENTS, ..Declared::new("shop") })
        .with_recorder(recorder)
        .with_clock(Clock::at(2026, 11, 21).now())
        .build()
        .unwrap();
    assert_eq!(counts.of(names::API_COUNTING_SINCE), [], "no consumer, no proof");
    messages.begin("stock");
    assert_eq!(counts.of(names::API_COUNTING_SINCE), [], "stock's calls are no messages");
    messages.begin("placed");
    assert_eq!(counts.of(names::API_COUNTING_SINCE).len(), 2, "no consumer takes what is paid");
    messages.received("placed", Some("1.0.0"), Some("orders"));
    let labels = "{api=placed,version=1.0.0,state=current,caller=orders,caller_verified=false}";
    assert_eq!(counts.of(names::API_CALLS), [(labels.to_owned(), 1.0)]);
    for (api, version) in [("placed", None), ("unheard-of", Some("1.0.0"))] {
        messages.received(api, version, None);
        assert_eq!(counts.of(names::API_UNROUTED).len(), 1, "{api}");
    }
}
