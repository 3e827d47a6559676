use proptest::prelude::*;

use super::*;
use crate::finding::Finding;

const FULL: &str = r#"
schema = 1

[service]
name = "orders"
owner = "team-checkout"
contacts = ["mailto:checkout@example.com"]

[[provides]]
api = "orders"
scheme = "main-date-bugfix"
transport = "http"
description = "openapi.json"
[[provides.versions]]
version = "v1_20171001-2"
released = 2017-10-01
deprecated = 2026-09-01
sunset = 2027-03-01
successor = "v2_20260901-1"
migration = "docs/v1-to-v2.md"
notes = "..."
[[provides.versions]]
version = "v2_20260901-1"

[[provides]]
api = "geo"
scheme = "calver"
same-or-later = true
transport = "grpc"
versions = [{ version = "201610", released = 2016-10-01 }]

[[requires]]
api = "auth"
version = "1.1"
reason = "token introspection"
level = "warn"
since = 2020-02-29

[policy]
min-deprecation-days = 180
max-lock-age-days = 7
stale-lock = "deny"
deprecated-version = "allow"
"#;

fn errors(text: &str) -> Diagnostics {
    Declaration::parse("api.toml", text).expect_err(text)
}

/// Completes a text with what every declaration needs.
fn with_service(text: &str) -> String {
    format!("schema = 1\n[service]\nname = \"orders\"\n{text}")
}

#[test]
fn everything_that_can_be_said_is_read() {
    let declaration = Declaration::parse("api.toml", FULL).expect("well-formed");
    assert_eq!(declaration.service.owner.as_deref(), Some("team-checkout"));
    let orders = declaration.provided("orders").expect("provided");
    assert_eq!(orders.scheme, Scheme::MainDateBugfix);
    assert_eq!(orders.description.as_deref(), Some("openapi.json"));
    let v1 = orders.version("v1_20171001-2").expect("declared");
    assert_eq!(v1.sunset, Date::new(2027, 3, 1));
    assert_eq!(v1.successor.as_deref(), Some("v2_20260901-1"));
    let geo = declaration.provided("geo").expect("provided");
    assert_eq!(geo.scheme, Scheme::Calver { same_or_later: true });
    assert_eq!(geo.transport, Transport::Grpc);
    assert_eq!(declaration.requires[0].level, Level::Warn);
    assert_eq!(declaration.requires[0].since, Date::new(2020, 2, 29));
    assert_eq!(declaration.policy.min_deprecation_days(), 180);
    assert_eq!(declaration.policy.level(Finding::STALE_LOCK, false), Level::Deny);
}

#[test]
fn json_says_the_same() {
    let declaration = Declaration::parse("api.toml", FULL).expect("well-formed");
    let json = serde_json::to_string_pretty(&declaration).expect("json");
    insta::assert_snapshot!(json);
    let again: Declaration = serde_json::from_str(&json).expect("declaration");
    assert_eq!(again, declaration);
    assert!(again.locate("requires[0].version").is_none(), "JSON has no places");
}

#[test]
fn places_are_those_of_the_values() {
    let declaration = Declaration::parse("api.toml", FULL).expect("well-formed");
    let place = |path: &str| {
        let at = declaration.locate(path).expect(path);
        let line = FULL.lines().nth(at.line - 1).expect("a line");
        line.chars().skip(at.column - 1).take(at.end_column - at.column).collect::<String>()
    };
    assert_eq!(place("requires[0].version"), "\"1.1\"");
    assert_eq!(place("provides[0].versions[0].sunset"), "2027-03-01");
    assert_eq!(place("provides[1].versions[0].version"), "\"201610\"");
    assert_eq!(place("provides[0].versions[1]"), "[[provides.versions]]");
    assert_eq!(place("service.contacts[0]"), "\"mailto:checkout@example.com\"");
    // What is not there is at the table around it.
    assert_eq!(place("provides[0].versions[1].sunset"), "[[provides.versions]]");
}

#[test]
fn a_byte_order_mark_and_mixed_line_ends_shift_nothing() {
    let text = "\u{feff}schema = 1\r\n[service]\nname = \"orders\"\r\n[[requires]]\napi = \"auth\"\r\nversion = \"1.1\"\r\n";
    let declaration = Declaration::parse("api.toml", text).expect("well-formed");
    let at = declaration.locate("requires[0].version").expect("placed");
    assert_eq!((at.line, at.column, at.end_column), (6, 11, 16));
    assert_eq!(at.text, "version = \"1.1\"");
    let at = declaration.locate("schema").expect("placed");
    assert_eq!((at.line, at.column), (1, 10), "the mark is no column");
}

#[test]
fn messages_say_what_to_write_instead() {
    let mut told = String::new();
    for text in [
        "",
        "schema = 2\n[service]\nname = \"orders\"",
        "schema = \"1\"\n[service]\nname = \"orders\"",
        "schema = 1\n[service]\nname = \"a b\"",
        "schema = 1\n[servce]\nname = \"orders\"",
        "schema = 1\nschema = 1\n[service]\nname = \"orders\"",
        "schema = 1\nservice = \"orders\"",
        "schema = 1\n[service]\nname = \"orders\"\ncontacts = [\"checkout@example.com\", \"us\"]",
        "schema = 1\n[service\nname = \"orders\"",
        &with_service(
            "[[provides]]\napi = \"orders\"\nscheme = \"semvr\"\n[[provides.versions]]\nversion = \"1\"",
        ),
        &with_service("[[provides]]\napi = \"orders\"\nscheme = \"semver\""),
        &with_service("[[provides]]\nscheme = \"semver\"\nversion = \"1.0.0\"\nversions = []"),
        &with_service("[provides]\napi = \"orders\""),
        &with_service(
            "[[provides]]\napi = \"orders\"\nscheme = \"main-date-bugfix\"\n[[provides.versions]]\nversion = \"v1_20170229-1\"\nreleased = \"2017-02-29\"\nsunset = \"2017-03-01\"\ndeprecated = 2017-03-01T00:00:00Z",
        ),
        &with_service(
            "[[provides]]\napi = \"orders\"\nscheme = \"semver\"\nsame-or-later = true\nversions = []",
        ),
        &with_service(
            "[[provides]]\napi = \"orders\"\nscheme = \"semver\"\nversions = [{ version = \"1.0.0\", released = 2023-02-29 }]",
        ),
        &with_service("[[requires]]\napi = \"auth\"\nversion = 1.1"),
        &with_service("[[requires]]\napi = \"auth\"\nversion = \"auth-1.1\""),
        &with_service("[[requires]]\napi = \"auth\"\nversion = \"1.1\"\nlevel = \"error\""),
        &with_service(
            "[policy]\nmin_deprecation_days = 90\nsunset-moved-earlier = \"allow\"\nunknown-api = \"denied\"",
        ),
        &with_service(
            "[policy]\nmin-deprecation-days = -1\nmax-lock-age-days = 99999999999999999999",
        ),
    ] {
        told.push_str(&format!("{text}\n----\n{}\n\n========\n", errors(text)));
    }
    insta::assert_snapshot!(told);
}

#[test]
fn bytes_that_are_no_text_are_told_with_their_place() {
    let error =
        Declaration::from_bytes("api.toml", b"schema = 1\nname = \"\xff\"").expect_err("not UTF-8");
    let at = error.as_slice()[0].location.clone().expect("a place");
    assert_eq!((at.line, at.column), (2, 9));
    assert!(Declaration::from_bytes("api.toml", FULL.as_bytes()).is_ok());
}

#[test]
fn what_is_too_big_is_refused_before_it_is_read() {
    let big = format!("{FULL}\n# {}", "x".repeat(10_000_000));
    let error = errors(&big);
    assert_eq!(error.as_slice().len(), 1);
    assert!(error.to_string().contains("at most 1048576 are read"), "{error}");
    assert!(Declaration::from_bytes("api.toml", big.as_bytes()).is_err());
}

#[test]
fn hostile_texts_get_an_answer() {
    let mib = Declaration::MAX_SIZE - 100;
    for text in [
        format!("a = {}", "[".repeat(mib / 2)),
        format!("a = {}{}", "[".repeat(1000), "]".repeat(1000)),
        format!("a = {}1{}", "{b=".repeat(mib / 8), "}".repeat(mib / 8)),
        format!("{} = 1", "a.".repeat(mib / 4)),
        format!("[{}a]", "a.".repeat(mib / 4)),
        "a = 1\n".repeat(mib / 6),
        (0..mib / 16).map(|n| format!("k{n} = 1\n")).collect::<String>(),
        "[[requires]]\n".repeat(mib / 13),
        "[[provides]]\n[[provides.versions]]\n".repeat(mib / 35),
        "\u{0}".repeat(1000),
        "\r".repeat(1000),
        "\"".repeat(mib),
        "é".repeat(mib / 2),
    ] {
        let error = errors(&text);
        assert!(!error.as_slice().is_empty());
        assert!(error.as_slice().len() <= 101, "{}", error.as_slice().len());
        assert!(error.to_string().len() < 200_000);
    }
}

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC{0,200}") {
        let _ = Declaration::parse("api.toml", &text).map_err(|error| error.to_string());
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Declaration::from_bytes("api.toml", &bytes).map_err(|error| error.to_string());
    }

    /// Cuts and overwrites a good file anywhere: the nearest a machine gets to a person's mistakes.
    #[test]
    fn no_damage_panics(at in 0..FULL.len(), cut in 0..20usize, insert in "[\\[\\]\"=.{}#\n\r a-z0-9é\u{feff}-]{0,5}") {
        let start = FULL.floor_char_boundary(at);
        let end = FULL.floor_char_boundary((at + cut).min(FULL.len()));
        let text = format!("{}{insert}{}", &FULL[..start], &FULL[end..]);
        match Declaration::parse("api.toml", &text) {
            Ok(declaration) => {
                let json = serde_json::to_string(&declaration).expect("json");
                let again: Declaration = serde_json::from_str(&json).expect("declaration");
                prop_assert_eq!(again, declaration);
            }
            Err(error) => {
                prop_assert!(!error.as_slice().is_empty());
                let _ = error.to_string();
            }
        }
    }
}
