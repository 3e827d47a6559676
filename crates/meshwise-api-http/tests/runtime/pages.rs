//! What the pages promise.

use crate::support::{Clock, DECLARED, get};
use bytes::Bytes;
use http::{Method, Request, Response, header};
use meshwise_api::{Date, Declared, ProvidedApi, ProvidedVersion, RequiredApi};
use meshwise_api_http::{ApiPages, ApiRoutes};
use serde_json::{Value, json};

fn pages() -> ApiPages {
    ApiPages::new(DECLARED).with_clock(Clock::at(2026, 11, 21).now())
}

fn respond(path: &str) -> Response<Bytes> {
    pages().respond(&get(path)).expect(path)
}

fn json(response: &Response<Bytes>) -> Value {
    serde_json::from_slice(response.body()).expect("JSON")
}

fn text(response: &Response<Bytes>) -> &str {
    str::from_utf8(response.body()).expect("UTF-8")
}

#[test]
fn the_whole_page_holds_history_current_and_plan() {
    let response = respond("/apis");
    assert_eq!(response.headers()[header::CONTENT_TYPE], "application/json");
    let page = json(&response);
    assert_eq!(page["schema"], 1);
    assert_eq!(
        page["service"],
        json!({ "name": "orders", "owner": "team-checkout", "contacts": ["mailto:checkout@example.com"] })
    );
    assert_eq!((&page["today"], &page["checked_on"]), (&json!("2026-11-21"), &json!("2026-11-20")));
    let orders = &page["provides"][0];
    assert_eq!((&orders["api"], &orders["transport"]), (&json!("orders"), &json!("http")));
    let versions = |part: &str| -> Vec<(String, String)> {
        let versions = orders[part].as_array().unwrap().iter();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        versions.map(|version| (text(&version["version"]), text(&version["state"]))).collect()
    };
    let pair = |version: &str, state: &str| (version.to_owned(), state.to_owned());
    assert_eq!(versions("history"), [pair("v0_20150101-1", "retired")]);
    assert_eq!(versions("plan"), [pair("v3_20270101-1", "planned")]);
    assert_eq!(
        versions("current"),
        [pair("v1_20171001-2", "deprecated"), pair("v2_20260901-1", "current")]
    );
    assert_eq!(
        orders["current"][0],
        json!({
            "version": "v1_20171001-2",
            "state": "deprecated",
            "released": "2017-10-01",
            "deprecated": "2026-09-01",
            "sunset": "2027-03-01",
            "successor": "v2_20260901-1",
            "migration": "https://docs.example/v1-to-v2",
            "notes": "<script>alert('old')</script>",
            "_links": {
                "self": link("/apis/orders/v1_20171001-2", "v1_20171001-2"),
                "collection": link("/apis/orders", "orders"),
                "successor-version": link("/apis/orders/v2_20260901-1", "v2_20260901-1"),
                "deprecation": { "href": "https://docs.example/v1-to-v2" },
            },
        })
    );
    assert_eq!(page["requires"][0], json!({ "api": "auth", "version": "1.1", "level": "warn" }));
    assert_eq!(pages().to_json(Date::new(2026, 11, 21).unwrap()), text(&response));
}

fn link(href: &str, title: &str) -> Value {
    json!({ "href": href, "type": "application/json", "title": title })
}

#[test]
fn every_page_is_found_by_links_alone() {
    let base = "https://orders.example";
    for pages in [pages(), pages().with_base_url(base)] {
        let mut left = vec!["/apis".to_owned()];
        let mut seen = std::collections::BTreeSet::new();
        while let Some(path) = left.pop() {
            if !seen.insert(path.clone()) {
                continue;
            }
            let response =
                pages.respond(&get(&path)).unwrap_or_else(|| panic!("{path} is no page"));
            assert_eq!(response.status(), 200, "{path}");
            // Links stand on every level of a page.
            let mut values =
                vec![serde_json::from_slice::<Value>(response.body()).unwrap_or_default()];
            while let Some(value) = values.pop() {
                if let Some(href) = value.get("href").and_then(Value::as_str) {
                    let own = href.strip_prefix(base).unwrap_or(href);
                    if value.get("type").is_some_and(|kind| kind == "application/json") {
                        left.push(own.to_owned());
                    }
                }
                match value {
                    Value::Object(members) => values.extend(members.into_iter().map(|(_, it)| it)),
                    Value::Array(items) => values.extend(items),
                    _ => {}
                }
            }
        }
        let versions: usize = DECLARED.provides.iter().map(|api| api.versions.len()).sum();
        assert_eq!(seen.len(), 1 + DECLARED.provides.len() + versions, "{seen:?}");
    }
}

#[test]
fn one_api_and_one_version_can_be_asked_for() {
    let api = json(&respond("/apis/auth"));
    assert_eq!((&api["api"], &api["service"]), (&json!("auth"), &json!("orders")));
    assert_eq!(api["current"].as_array().map(Vec::len), Some(3));
    assert_eq!(
        json(&respond("/apis/orders/v1_20171001-2")),
        json!({
            "schema": 1,
            "api": "orders",
            "version": "v1_20171001-2",
            "state": "deprecated",
            "released": "2017-10-01",
            "deprecated": "2026-09-01",
            "sunset": "2027-03-01",
            "successor": "v2_20260901-1",
            "_links": {
                "self": link("/apis/orders/v1_20171001-2", "v1_20171001-2"),
                "collection": link("/apis/orders", "orders"),
                "successor-version": link("/apis/orders/v2_20260901-1", "v2_20260901-1"),
                "deprecation": { "href": "https://docs.example/v1-to-v2" },
            },
        })
    );
    // A slash at the end is forgiven, letters may be encoded.
    assert_eq!(json(&respond("/apis/%61uth/1%2E9/"))["version"], "1.9");
}

#[test]
fn what_is_not_there_is_404_and_what_is_not_ours_is_left_alone() {
    for path in [
        "/apis/nothing",
        "/apis/auth/9.9",
        "/apis/auth/1.9/more",
        "/apis/%ff",
        "/apis//1.9",
        "/apis/auth//",
    ] {
        let response = respond(path);
        assert_eq!(response.status(), 404, "{path}");
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
        assert_eq!(json(&response)["status"], 404);
    }
    for path in ["/", "/apisx", "/v1/apis", "/.well-known/api-catalogue", "/.well-known"] {
        assert!(pages().respond(&get(path)).is_none(), "{path}");
    }
}

#[test]
fn people_get_html_with_every_text_escaped() {
    for path in [
        "/apis?format=html",
        "/apis/orders?x=1&format=html",
        "/apis/orders/v1_20171001-2?format=html",
    ] {
        let response = respond(path);
        assert_eq!(response.headers()[header::CONTENT_TYPE], "text/html; charset=utf-8");
        let policy = &response.headers()[header::CONTENT_SECURITY_POLICY];
        assert!(policy.to_str().unwrap().contains("default-src 'none'"), "{policy:?}");
        let page = text(&response);
        assert!(page.starts_with("<!doctype html>"), "{page}");
        assert!(page.contains("&lt;script&gt;alert(&#39;old&#39;)&lt;/script&gt;"), "{page}");
        assert!(!page.contains("<script"), "{page}");
        assert!(page.contains("<a href=\"https://docs.example/v1-to-v2\">"), "{page}");
        assert!(page.contains("2027-03-01"), "{page}");
    }
}

#[test]
fn no_name_can_break_out_of_the_page_or_become_a_script() {
    const EVIL: &str = "\"><img src=x onerror=alert(1)>";
    const EVIL_API: ProvidedApi = ProvidedApi {
        api: EVIL,
        scheme: EVIL,
        transport: EVIL,
        description: Some("javascript:alert(1)"),
        versions: &[ProvidedVersion {
            successor: Some(EVIL),
            migration: Some("javascript:alert(2)"),
            notes: Some(EVIL),
            ..ProvidedVersion::new(EVIL)
        }],
    };
    const EVIL_REQUIRES: &[RequiredApi] = &[RequiredApi::new(EVIL, EVIL)];
    let declared = Declared {
        owner: Some(EVIL),
        contacts: &[EVIL, "javascript:alert(3)"],
        provides: &[EVIL_API],
        requires: EVIL_REQUIRES,
        ..Declared::new(EVIL)
    };
    let page = ApiPages::new(declared).to_html(Date::new(2026, 11, 21).unwrap());
    assert!(!page.contains("<img"), "{page}");
    assert!(!page.contains("href=\"javascript"), "{page}");
}

#[test]
fn the_format_is_chosen_by_query_then_by_accept() {
    let kind = |path: &str, accept: Option<&str>| {
        let mut request = get(path);
        if let Some(accept) = accept {
            request.headers_mut().insert(header::ACCEPT, accept.parse().unwrap());
        }
        let response = pages().respond(&request).unwrap();
        (
            response.status().as_u16(),
            response.headers()[header::CONTENT_TYPE].to_str().unwrap().to_owned(),
        )
    };
    let browser = Some("text/html,application/xhtml+xml,*/*;q=0.8");
    assert_eq!(kind("/apis", browser).1, "text/html; charset=utf-8");
    assert_eq!(kind("/apis?format=json", browser).1, "application/json");
    assert_eq!(kind("/apis", Some("application/json, text/html")).1, "application/json");
    assert_eq!(kind("/apis", Some("*/*")).1, "application/json");
    for (accept, wanted) in [
        ("text/html;q=0.1, application/json;q=0.9", "application/json"),
        ("application/json;q=0.1, Text/HTML; level=1; q=0.9", "text/html; charset=utf-8"),
        ("text/html;q=0", "application/json"),
        ("text/html;q=0.5, application/json;q=0.5", "text/html; charset=utf-8"),
        ("text/html;q=no", "application/json"),
    ] {
        assert_eq!(kind("/apis", Some(accept)).1, wanted, "{accept}");
    }
    assert_eq!(kind("/apis", None).1, "application/json");
    assert_eq!(kind("/apis?format=xml", None).0, 400);
    assert_eq!(respond("/apis").headers()[header::VARY], "accept");
}

#[test]
fn the_catalogue_is_a_linkset() {
    let response = respond("/.well-known/api-catalog");
    assert_eq!(
        response.headers()[header::CONTENT_TYPE],
        "application/linkset+json; profile=\"https://www.rfc-editor.org/info/rfc9727\""
    );
    assert_eq!(response.headers()[header::LINK], "</.well-known/api-catalog>; rel=\"api-catalog\"");
    let set = json(&response);
    let link = |href: &str, kind: &str| json!([{ "href": href, "type": kind }]);
    let item = |href: &str, title: &str| json!({ "href": href, "title": title });
    assert_eq!(
        set["linkset"][0],
        json!({
            "anchor": "/.well-known/api-catalog",
            "item": [{ "href": "/apis/orders" }, { "href": "/apis/auth" }],
        })
    );
    let orders = &set["linkset"][1];
    assert_eq!(orders["anchor"], "/apis/orders");
    assert_eq!(orders["service-desc"], json!([{ "href": "/openapi.json" }]));
    assert_eq!(orders["service-doc"], link("/apis/orders?format=html", "text/html"));
    assert_eq!(orders["service-meta"], link("/apis/orders", "application/json"));
    // Only what can be called is an item.
    assert_eq!(orders["item"], json!([item("/v1", "v1_20171001-2"), item("/v2", "v2_20260901-1")]));
    assert_eq!(set["linkset"][2]["item"][0]["href"], "/apis/auth/1.9", "gRPC has no prefix");

    let based = pages().with_base_url("https://orders.example/");
    let response = based.respond(&get("/.well-known/api-catalog")).unwrap();
    assert_eq!(json(&response)["linkset"][1]["anchor"], "https://orders.example/apis/orders");
    let orders = &json(&response)["linkset"][1];
    assert_eq!(orders["service-desc"][0]["href"], "https://orders.example/openapi.json");
    assert_eq!(orders["item"][0]["href"], "https://orders.example/v1");
    let html = based.to_html(Date::new(2026, 11, 21).unwrap());
    assert!(html.contains("href=\"https://orders.example/apis/orders?format=html\""), "{html}");

    let routed = pages().with_routes(ApiRoutes::new().path("/shop/1", "orders", "v1_20171001-2"));
    let response = routed.respond(&get("/.well-known/api-catalog")).unwrap();
    assert_eq!(
        json(&response)["linkset"][1]["item"].as_array().map(|items| items[0].clone()),
        Some(item("/shop/1", "v1_20171001-2"))
    );
}

#[test]
fn head_is_get_without_the_text() {
    for path in ["/apis", "/apis/auth/1.9", "/apis/nothing", "/.well-known/api-catalog"] {
        let whole = respond(path);
        let request = Request::builder().method(Method::HEAD).uri(path).body(()).unwrap();
        let head = pages().respond(&request).unwrap();
        assert_eq!(head.status(), whole.status());
        assert!(head.body().is_empty());
        assert_eq!(head.headers()[header::CONTENT_LENGTH], whole.body().len().to_string());
        for name in [header::CONTENT_TYPE, header::ETAG, header::LINK] {
            assert_eq!(head.headers().get(&name), whole.headers().get(&name), "{path} {name}");
        }
    }
}

#[test]
fn other_methods_are_refused() {
    for path in ["/apis", "/.well-known/api-catalog"] {
        let response = pages().respond(&Request::post(path).body("x").unwrap()).unwrap();
        assert_eq!(response.status(), 405);
        assert_eq!(response.headers()[header::ALLOW], "GET, HEAD");
    }
}

#[test]
fn a_page_that_did_not_change_is_not_sent_again() {
    for path in ["/apis", "/apis?format=html", "/.well-known/api-catalog"] {
        let clock = Clock::at(2026, 11, 21);
        let pages = ApiPages::new(DECLARED).with_clock(clock.now());
        let first = pages.respond(&get(path)).unwrap();
        let tag = first.headers()[header::ETAG].clone();
        let again = |asked: &str| {
            let mut request = get(path);
            request.headers_mut().insert(header::IF_NONE_MATCH, asked.parse().unwrap());
            pages.respond(&request).unwrap()
        };
        let tag = tag.to_str().unwrap();
        for asked in [tag.to_owned(), format!("\"x\", W/{tag}"), "*".to_owned()] {
            let response = again(&asked);
            assert_eq!(response.status(), 304, "{asked}");
            assert_eq!(response.headers()[header::ETAG], tag);
            assert!(response.body().is_empty());
        }
        assert_eq!(again("\"x\"").status(), 200);
        // The same text from another process has the same tag.
        let other = ApiPages::new(DECLARED).with_clock(clock.now()).respond(&get(path)).unwrap();
        assert_eq!(other.headers()[header::ETAG], tag);
        clock.turn_to(2027, 3, 1);
        assert_eq!(again(tag).status(), 200, "a state changed");
    }
}
