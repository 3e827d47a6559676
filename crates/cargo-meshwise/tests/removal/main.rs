//! `cargo meshwise can-i-remove`, as it is called, against a server that plays Prometheus: honest,
//! lying, hanging, flooding.

#![cfg(feature = "http")]

#[path = "../support/server.rs"]
mod server;
mod world;

use std::{
    process::Output,
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};
use server::{Reply, Server};
use world::{AUTH, Dictionary, ORDERS, World, ask_world, assert_answer};

#[test]
fn yes_with_all_three_proofs() {
    let output = ask_world(&[AUTH], &World::default());
    assert_answer(
        &output,
        0,
        &[
            "yes: auth@1.1 can be removed",
            "+ its sunset was 2026-06-01",
            "+ no service in the dictionary requires it",
            "+ no calls in 30d, counted by 2 instances",
        ],
    );
}

#[test]
fn no_while_it_is_called_required_or_not_past() {
    let world = World {
        risen: vec![("orders", 12.3), ("gateway", 0.0)],
        newborn: vec![("orders", 1.0), ("unknown", 2.0)],
        ..World::default()
    };
    let output = ask_world(&[AUTH, ORDERS], &world);
    assert_answer(
        &output,
        1,
        &[
            "no: auth@1.1 cannot be removed",
            "- 1 service requires it:",
            "orders (requires 1.1, owned by team-checkout)",
            "orders: 14 calls",
            "unknown: 2 calls",
        ],
    );
    assert!(!String::from_utf8_lossy(&output.stdout).contains("gateway"));

    let dictionary = Dictionary::new(&[AUTH]);
    let output = dictionary.ask(&["auth@1.1", "--today", "2026-05-30"]);
    assert_answer(&output, 2, &["--today"]); // given twice
    let output = dictionary.ask(&["auth@2.0"]);
    assert_answer(&output, 1, &["- it has no sunset", "? calls are not known: no one was asked"]);
}

#[test]
fn unknown_whenever_the_counters_do_not_cover_the_window() {
    let worlds = [
        (World { hole: Some(100), ..World::default() }, "no instance was scraped"),
        (World { hole: Some(0), ..World::default() }, "beyond Prometheus's retention"),
        (
            World { late: Some(5), ..World::default() },
            "auth/late:1: ran before it was first scraped",
        ),
        (World { old: true, ..World::default() }, "auth/old:1: was scraped and did not count"),
        (World { warning: Some("partial"), ..World::default() }, "not whole: partial"),
        (
            World { unrouted: vec![("a:1", 0.2)], ..World::default() },
            "auth/a:1: 1 requests that no route fits",
        ),
        (
            World { strange: vec![("b:1", 3.0)], ..World::default() },
            "auth/b:1: 3 calls named a version that api.toml does not have",
        ),
        (World { empty: true, ..World::default() }, "no instance said that it counts"),
    ];
    for (world, words) in worlds {
        let output = ask_world(&[AUTH], &world);
        assert_answer(&output, 3, &["unknown: it is not known whether auth@1.1 can go", words]);
        assert!(!String::from_utf8_lossy(&output.stdout).contains("no calls in"));
    }
}

/// The provider of the removal that is asked about: `v1` is past its sunset, and these are beside it.
fn provider(scheme: &str, old: &str, others: &[&str]) -> String {
    let mut text = format!(
        "schema = 1\nservice = {{ name = \"auth\" }}\n[[provides]]\napi = \"auth\"\nscheme = \"{scheme}\"\nversions = [\
         {{ version = \"{old}\", released = 2024-01-01, deprecated = 2026-01-01, sunset = 2026-06-01 }}"
    );
    for other in others {
        text += &format!(", {{ version = \"{other}\", released = 2026-01-01 }}");
    }
    text + "]\n"
}

fn consumer(version: &str) -> String {
    format!(
        "schema = 1\nservice = {{ name = \"orders\" }}\n[[requires]]\napi = \"auth\"\nversion = \"{version}\"\n"
    )
}

/// Asks whether the old version can go.
fn can_go(old: &str, declarations: &[String], world: &World) -> Option<i32> {
    let declarations: Vec<&str> = declarations.iter().map(String::as_str).collect();
    let dictionary = Dictionary::new(&declarations);
    let world = world.clone();
    let server = Server::start(move |request| world.answer(request));
    dictionary.ask(&[&format!("auth@{old}"), "--prometheus", &server.url()]).status.code()
}

const SCHEMES: [(&str, &str, &str, &str); 5] = [
    // The scheme, what is to go, what would do in its place, and what would not.
    ("main-minor", "1.1", "1.2", "2.0"),
    ("semver", "0.1.0", "0.1.1", "0.2.0"),
    ("main-date-bugfix", "v1_20171001-1", "v1_20171001-2", "v1_20180101-1"),
    ("calver", "201610", "201610", "201611"),
    ("exact", "red", "red", "blue"),
];

#[test]
fn never_yes_with_one_caller_left() {
    let mut situations = 0;
    for (scheme, old, _, other) in SCHEMES {
        // Seen by Prometheus in ten ways, or declared.
        let seen = [
            World { risen: vec![("orders", 1.0)], ..World::default() },
            World { risen: vec![("unknown", 0.1)], ..World::default() },
            World { newborn: vec![("orders", 1.0)], ..World::default() },
            World { unrouted: vec![("a:1", 1.0)], ..World::default() },
            World { strange: vec![("b:1", 1.0)], ..World::default() },
            World { hole: Some(50), ..World::default() },
            World { late: Some(3), ..World::default() },
            World { old: true, ..World::default() },
            World { warning: Some("partial"), ..World::default() },
            World { empty: true, ..World::default() },
        ];
        for world in seen {
            let code = can_go(old, &[provider(scheme, old, &[other])], &world);
            assert!(matches!(code, Some(1 | 3)), "{scheme} {world:?}: {code:?}");
            situations += 1;
        }
        let declared = [provider(scheme, old, &[other]), consumer(old)];
        assert_eq!(can_go(old, &declared, &World::default()), Some(1), "{scheme}");
        situations += 1;
    }
    assert!(situations >= 50);
}

#[test]
fn yes_where_no_one_would_fail() {
    for (scheme, old, will_do, other) in SCHEMES {
        assert_eq!(
            can_go(old, &[provider(scheme, old, &[other]), consumer(other)], &World::default()),
            Some(0),
            "{scheme}: they need another"
        );
        if will_do != old {
            // `orders` names the old one, the least that is enough, and gets the new one.
            let declared = [provider(scheme, old, &[will_do]), consumer(old)];
            assert_eq!(can_go(old, &declared, &World::default()), Some(0), "{scheme}");
        }
    }
    // Of another service's instances nothing follows.
    let world = World { unrouted: vec![("elsewhere:1", 9.0)], ..World::default() };
    assert_eq!(can_go("red", &[provider("exact", "red", &["blue"])], &world), Some(0));
}

#[test]
fn calls_outweigh_a_gap() {
    let world = World { hole: Some(3), risen: vec![("orders", 1.0)], ..World::default() };
    let output = ask_world(&[AUTH], &world);
    assert_answer(&output, 1, &["orders: 1 call", "? calls may have gone uncounted"]);
}

#[test]
fn the_json_holds_a_usage_that_can_be_given_back() {
    let dictionary = Dictionary::new(&[AUTH]);
    let world = World { risen: vec![("orders", 2.0)], ..World::default() };
    let server = Server::start(move |request| world.answer(request));
    let url = format!("{}/prometheus/", server.url().replace("http://", "http://user:hunter2@"));
    let plain = dictionary.ask(&["auth@1.1", "--prometheus", &url, "--format", "json"]);
    assert_answer(&plain, 1, &[]);
    assert!(server.seen().iter().all(|r| r.target.starts_with("/prometheus/api/v1/query")));
    assert!(!String::from_utf8_lossy(&plain.stdout).contains("hunter2"), "{plain:?}");

    let output = dictionary.ask(&["auth@1.1", "--prometheus", &server.url(), "--format", "json"]);
    assert_answer(&output, 1, &[]);
    let json: Value = serde_json::from_slice(&output.stdout).expect("one document");
    assert_eq!((&json["answer"], &json["window"]), (&json!("no"), &json!("30d")));
    assert_eq!(json["reasons"][0]["reason"], "calls");
    assert_eq!(json["usage"]["calls"], json!({"orders": 2}));

    let file = dictionary.path().join("usage.json");
    std::fs::write(&file, json["usage"].to_string()).expect("written");
    let file = file.display().to_string();
    let again = dictionary.ask(&["auth@1.1", "--usage", &file]);
    assert_answer(&again, 1, &["orders: 2 calls"]);
    let longer = dictionary.ask(&["auth@1.1", "--usage", &file, "--window", "60d"]);
    assert_answer(&longer, 1, &["the export is shorter than 60d"]);
    let other = dictionary.ask(&["auth@2.0", "--usage", &file]);
    assert_answer(&other, 1, &["calls are not known: the exported usage is about auth@1.1"]);
}

#[test]
fn the_token_goes_to_the_server_and_labels_into_every_question() {
    let dictionary = Dictionary::new(&[AUTH]);
    let server = Server::start(|request| World::default().answer(request));
    let args = ["auth@1.1", "--prometheus", &server.url(), "--job", "auth", "--match", "env=a\"b"];
    assert_answer(&dictionary.ask(&args), 0, &[]);
    let third = [&args[..], &["--instances", "3"]].concat();
    assert_answer(&dictionary.ask(&third), 3, &["fewer than 3 instances were scraped"]);
    let seen = server.seen();
    assert_eq!(seen.len(), 2 * 10);
    for request in seen {
        assert_eq!(request.method, "GET");
        assert_eq!(request.header("authorization"), Some("Bearer s3cret"));
        let query = request.param("query").expect("a query");
        assert!(query.contains(r#"job="auth""#) && query.contains(r#"env="a\"b""#), "{query}");
    }
}

/// Lets the server do one thing with every question.
fn ask_liar(reply: impl Fn() -> Reply + Send + Sync + 'static) -> Output {
    let dictionary = Dictionary::new(&[AUTH]);
    let server = Server::start(move |_| reply());
    dictionary.ask(&["auth@1.1", "--prometheus", &server.url(), "--timeout", "2s"])
}

#[test]
fn nonsense_is_no_answer() {
    let vector = |result: Value| json!({"status": "success", "data": {"resultType": "vector", "result": result}});
    let sample = |value: Value| vector(json!([{"metric": {"caller": "x"}, "value": [1, value]}]));
    let lies = [
        json!({}),
        json!({"status": "success"}),
        json!({"status": "perhaps", "data": {}}),
        json!({"status": "success", "data": {"resultType": "scalar", "result": [1, "0"]}}),
        json!({"status": "success", "data": {"resultType": "matrix", "result": []}}),
        vector(json!(null)),
        sample(json!("NaN")),
        sample(json!("+Inf")),
        sample(json!("-1")),
        sample(json!("none")),
        sample(json!(1)),
        vector(json!([
            {"metric": {"caller": "x"}, "value": [1, "1"]},
            {"metric": {"caller": "x"}, "value": [1, "0"]}
        ])),
        sample(json!("1e999")),
        // An honest face: nothing for any question.
        vector(json!([])),
    ];
    for lie in lies {
        let shown = lie.to_string();
        let output = ask_liar(move || Reply::json(&lie));
        assert_eq!(output.status.code(), Some(3), "{shown}");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains("? calls are not known:"), "{shown}: {text}");
    }
}

#[test]
fn a_server_that_refuses_hangs_floods_or_is_gone_is_no_answer() {
    let error = json!({"status": "error", "errorType": "bad_data", "error": "too many samples"});
    let body = error.to_string().into_bytes();
    let refused = ask_liar(move || Reply::Answer(422, Vec::new(), body.clone()));
    assert_answer(&refused, 3, &["refused the query", "too many samples"]);
    assert_answer(&ask_liar(|| Reply::status(401)), 3, &["401 (is the token set?)"]);
    assert_answer(&ask_liar(|| Reply::status(500)), 3, &["500"]);
    let away = || Reply::Answer(302, vec![("location", "http://evil.example".into())], Vec::new());
    assert_answer(&ask_liar(away), 3, &["302 (redirects are not followed"]);
    assert_answer(&ask_liar(|| Reply::Hang), 3, &["no answer", "timed out"]);
    assert_answer(&ask_liar(|| Reply::Close), 3, &["no answer"]);
    assert_answer(&ask_liar(|| Reply::Flood(40 << 20)), 3, &["larger than 33554432 bytes"]);
    assert_answer(&ask_liar(|| Reply::Answer(200, Vec::new(), vec![b'['; 1 << 20])), 3, &[]);

    let dictionary = Dictionary::new(&[AUTH]);
    let gone = Server::start(|_| Reply::Close).url();
    let output = dictionary.ask(&["auth@1.1", "--prometheus", &gone]);
    assert_answer(&output, 3, &["cannot ask http://127.0.0.1"]);
}

#[test]
fn a_server_that_lies_halfway_is_no_answer() {
    // Honest, but for one question at a time.
    let asked = Arc::new(Mutex::new(0));
    for liar in 0..8 {
        let count = Arc::clone(&asked);
        *count.lock().expect("unpoisoned") = 0;
        let dictionary = Dictionary::new(&[AUTH]);
        let server = Server::start(move |request| {
            let mut count = count.lock().expect("unpoisoned");
            *count += 1;
            if *count == liar + 1 {
                return Reply::json(&json!({"status": "success", "data": {
                    "resultType": if liar == 7 { "matrix" } else { "vector" },
                    "result": if liar == 7 {
                        json!([{"metric": {}, "values": [[-1e300, "1"]]}])
                    } else {
                        json!([{"metric": {}, "value": [0, "NaN"]}])
                    },
                }}));
            }
            World::default().answer(request)
        });
        let output = dictionary.ask(&["auth@1.1", "--prometheus", &server.url()]);
        assert_answer(&output, 3, &["answered", "nonsense"]);
    }
}

#[test]
fn a_warning_about_any_one_question_is_a_gap() {
    for warned in 0..10 {
        let count = Mutex::new(0);
        let dictionary = Dictionary::new(&[AUTH]);
        let server = Server::start(move |request| {
            let mut count = count.lock().expect("unpoisoned");
            *count += 1;
            let warning = (*count == warned + 1).then_some("a store is gone");
            World { warning, ..World::default() }.answer(request)
        });
        let output = dictionary.ask(&["auth@1.1", "--prometheus", &server.url()]);
        assert_answer(&output, 3, &["not whole: a store is gone"]);
    }
}

#[test]
fn one_series_told_twice_is_nonsense() {
    let world = World { risen: vec![("orders", 0.0), ("orders", 0.0)], ..World::default() };
    assert_answer(&ask_world(&[AUTH], &world), 3, &["nonsense: one series twice"]);
}

#[test]
fn a_dictionary_out_of_reach_or_damaged_is_no_answer() {
    let server = Server::start(|request| World::default().answer(request));
    let dictionary = Dictionary::new(&[AUTH, ORDERS]);
    std::fs::write(dictionary.path().join("services/orders/1.json"), "{}").expect("written");
    let output = dictionary.ask(&["auth@1.1", "--prometheus", &server.url()]);
    assert_answer(&output, 3, &["? the dictionary cannot be read", "orders/1.json"]);

    let empty = Dictionary::new(&[]);
    let output = empty.ask(&["auth@1.1", "--prometheus", &server.url()]);
    assert_answer(&output, 3, &["? the dictionary knows no one who provides it"]);
}

#[test]
fn what_can_not_be_asked_is_a_usage_error() {
    let dictionary = Dictionary::new(&[AUTH]);
    for args in [
        vec!["auth"],
        vec!["auth@"],
        vec!["auth@1.1", "--window", "30"],
        vec!["auth@1.1", "--match", "a-b=c"],
        vec!["auth@1.1", "--prometheus", "ftp://x"],
        vec!["auth@1.1", "--prometheus", "not a url"],
        vec!["auth@1.1", "--usage", "/nowhere.json"],
        vec!["auth@1.1", "--usage", "x", "--prometheus", "http://x"],
    ] {
        assert_answer(&dictionary.ask(&args), 2, &[]);
    }
}
