use super::*;

fn env() -> Env {
    Env::from_pairs([
        ("BLANK", "  "),
        ("YES", " True "),
        ("NO", "FALSE"),
        ("ONE", "1"),
        ("MANY", "old"),
        ("MANY", "1500"),
        ("BAD", "1.5s"),
    ])
}

#[test]
fn blank_is_unset_and_space_is_no_part() {
    assert_eq!(env().get("BLANK"), None);
    assert_eq!(env().get("UNSET"), None);
    assert_eq!(env().get("YES").as_deref(), Some("True"));
    assert_eq!(env().get("MANY").as_deref(), Some("1500"), "the last of two counts");
    assert_eq!(Env::empty().get("YES"), None);
    assert_eq!(env().parse::<u8>("BLANK", "a number"), Ok(None));
}

#[test]
fn values_parse_or_say_what_is_allowed() {
    assert_eq!(env().bool("YES"), Ok(Some(true)));
    assert_eq!(env().bool("NO"), Ok(Some(false)));
    assert_eq!(env().bool("UNSET"), Ok(None));
    let error = env().bool("ONE").unwrap_err();
    assert_eq!(error.to_string(), "ONE is `1`; allowed: true or false");
    assert_eq!(error.variable(), "ONE");

    assert_eq!(env().millis("MANY"), Ok(Some(Duration::from_millis(1500))));
    assert!(env().millis("BAD").unwrap_err().to_string().contains("milliseconds"));
    assert_eq!(env().parse::<u16>("MANY", "a number"), Ok(Some(1500)));
    assert!(env().parse::<u8>("MANY", "a number").is_err());
    assert_eq!(timeout("0"), Some(Duration::MAX));
    assert_eq!(timeout("5"), Some(Duration::from_millis(5)));
    assert_eq!(timeout("-5"), None);
}

#[test]
fn an_error_is_one_line_and_shows_so_much_of_a_value_and_no_more() {
    let error = EnvError::new("V", "\u{e9}".repeat(200), "less").to_string();
    assert_eq!(error, format!("V is `{}`; allowed: less", "\u{e9}".repeat(200)));
    let error = EnvError::new("V", "\u{e9}".repeat(201), "less").to_string();
    assert_eq!(error, format!("V is `{}…`; allowed: less", "\u{e9}".repeat(200)));
    let error = EnvError::new("V", "a\nb\u{1b}[1m", "less").to_string();
    assert_eq!(error, "V is `a\\nb\\u{1b}[1m`; allowed: less");
}

#[test]
fn values_are_not_shown_by_debug() {
    assert_eq!(format!("{:?}", env()), "Env(..)");
}

#[test]
fn what_is_wrong_with_opentelemetry_s_is_ignored_and_told() {
    let env = Env::from_pairs([
        ("OTEL_NUMBER", "5s"),
        ("OTEL_BOOL", "1"),
        ("OTEL_LIST", "A,b,a,zipkin, none"),
        ("OTEL_NONE", " None,"),
        ("OTEL_UNKNOWN", "x"),
        ("MESHWISE_UNKNOWN", "x"),
        ("OTHER_UNKNOWN", "x"),
    ]);
    let word = |word: &str| ["a", "b"].iter().position(|known| *known == word);
    assert_eq!(env.millis("OTEL_NUMBER"), Ok(None));
    assert_eq!(env.bool("OTEL_BOOL"), Ok(Some(false)), "false, not unset");
    assert_eq!(env.list("OTEL_LIST", "a or b", word), Ok(Some(vec![0, 1])));
    assert_eq!(env.list("OTEL_NONE", "a or b", word), Ok(Some(vec![])));
    let told: Vec<String> = env.findings().iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "OTEL_NUMBER is `5s`; allowed: a whole number of milliseconds",
            "OTEL_BOOL is `1`; allowed: true or false",
            "OTEL_LIST is `A,b,a,zipkin, none`; allowed: a or b (`zipkin` is not known)",
            "OTEL_LIST is `A,b,a,zipkin, none`; allowed: a or b (`none` is not alone)",
        ]
    );
    assert_eq!(env.unused(), ["MESHWISE_UNKNOWN", "OTEL_UNKNOWN"]);
    assert!(env.millis("OTEL_NUMBER").is_ok());
    assert_eq!(env.findings().len(), 4, "told once");
    let nothing = Env::from_pairs([("OTEL_LIST", "zipkin"), ("OTEL_COMMAS", ",,")]);
    assert_eq!(nothing.list("OTEL_LIST", "a or b", word), Ok(None), "as if unset");
    assert_eq!(nothing.list("OTEL_COMMAS", "a or b", word), Ok(None));
}

#[test]
fn strict_makes_an_error_of_each() {
    let env = Env::from_pairs([
        ("MESHWISE_STRICT", "TRUE"),
        ("OTEL_NUMBER", "5s"),
        ("OTEL_BOOL", "1"),
        ("OTEL_LIST", "a,zipkin"),
    ]);
    assert_eq!(env.is_strict(), Ok(true));
    assert_eq!(env.millis("OTEL_NUMBER").unwrap_err().variable(), "OTEL_NUMBER");
    assert_eq!(env.bool("OTEL_BOOL").unwrap_err().variable(), "OTEL_BOOL");
    let list = env.list("OTEL_LIST", "a", |word| (word == "a").then_some(()));
    assert_eq!(list.unwrap_err().variable(), "OTEL_LIST");
    assert!(env.findings().is_empty());
    let unsure = Env::from_pairs([("MESHWISE_STRICT", "yes")]);
    assert_eq!(unsure.is_strict().unwrap_err().variable(), "MESHWISE_STRICT");
}

#[test]
fn disabled_asks_nothing_else() {
    for strict in ["true", "false"] {
        let env = Env::from_pairs([
            ("OTEL_SDK_DISABLED", "True"),
            ("MESHWISE_STRICT", strict),
            ("OTEL_NUMBER", "5s"),
            ("OTEL_UNKNOWN", "x"),
            ("OTEL_PROPAGATORS", "b3"),
            ("OTEL_SERVICE_NAME", "billing"),
            ("MESHWISE_NUMBER", "5s"),
        ]);
        assert_eq!(env.is_disabled(), Ok(true));
        assert_eq!(env.millis("OTEL_NUMBER"), Ok(None));
        assert_eq!(env.get("OTEL_PROPAGATORS").as_deref(), Some("b3"));
        assert_eq!(env.get("OTEL_SERVICE_NAME").as_deref(), Some("billing"));
        assert!(env.is_strict().is_ok() && env.millis("MESHWISE_NUMBER").is_err());
        assert_eq!((env.findings(), env.unused()), (vec![], vec![]));
    }
    let unsure = Env::from_pairs([("OTEL_SDK_DISABLED", "1")]);
    assert_eq!(unsure.is_disabled(), Ok(false));
    assert_eq!(unsure.findings().len(), 1);
}

#[test]
fn the_first_that_is_allowed_counts_and_all_are_used() {
    let env = Env::from_pairs([("OTEL_A_TIMEOUT", "x"), ("OTEL_TIMEOUT", "0"), ("OTEL_C", "1")]);
    let found = env.first_parsed(&["OTEL_A_TIMEOUT", "OTEL_TIMEOUT"], "a number", timeout);
    assert_eq!(found, Ok(Some(Duration::MAX)));
    assert_eq!(env.findings().len(), 1);
    assert_eq!(env.first(&["OTEL_C", "OTEL_TIMEOUT"]), Ok(Some(("OTEL_C", "1".to_owned()))));
    assert!(env.unused().is_empty());
}

#[cfg(unix)]
#[test]
fn a_value_that_is_not_unicode_is_not_overlooked() {
    use std::os::unix::ffi::OsStrExt;
    let value = OsStr::from_bytes(b"debug\xff");
    let names = ["OTEL_SERVICE_NAME", "OTEL_EXPORTER_OTLP_HEADERS", "RUST_LOG"];
    let env = Env::from_os(names.map(|name| (name, value)));
    assert_eq!(env.text("OTEL_SERVICE_NAME"), Ok(None));
    assert_eq!(env.text("OTEL_EXPORTER_OTLP_HEADERS"), Ok(None));
    let told: Vec<String> = env.findings().iter().map(ToString::to_string).collect();
    assert_eq!(told[0], "OTEL_SERVICE_NAME is `debug\u{fffd}`; allowed: Unicode text");
    assert!(!told[1].contains("debug"), "it may be a credential");
    assert_eq!(
        env.parse_with("RUST_LOG", "directives", |_| Some(())).unwrap_err().to_string(),
        "RUST_LOG is `debug\u{fffd}`; allowed: Unicode text"
    );
    assert_eq!(env.get("RUST_LOG").as_deref(), Some("debug\u{fffd}"));
}

#[test]
fn messages_show_no_password_of_a_url() {
    let error = EnvError::new("MESHWISE_X", "http://u:s3cret@x:99999 \u{1b}[31m", "a URL");
    let shown = "MESHWISE_X is `http://u:[redacted]@x:99999 \\u{1b}[31m`; allowed: a URL";
    assert_eq!(error.to_string(), shown);
    let error = EnvError::new("MESHWISE_X", "x".repeat(9_000), "a URL");
    assert!(
        error.to_string().contains("xx…`; allowed") && error.to_string().len() < 300,
        "{error}"
    );
}
