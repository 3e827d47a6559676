//! The tree as a whole: every setting, from every side.

mod files;
mod schema;
mod standard;

use super::{
    kind::SettingKind,
    part::Variable,
    show::{each_leaf, leaves},
    *,
};
use crate::env::Env;
use proptest::prelude::*;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

fn value_at(settings: &Settings, wanted: &Path) -> Option<(Value, Source)> {
    let mut found = None;
    each_leaf(settings, &mut |path, _, leaf| {
        if path == wanted {
            found = leaf.value().map(|value| (value, leaf.origin().clone()));
        }
    });
    found
}

/// Writes a value as a variable has it.
fn as_variable(value: &Value) -> String {
    match value {
        Value::List(items) => items.iter().map(as_variable).collect::<Vec<_>>().join(","),
        Value::Text(text) => text.clone(),
        other => other.to_string().trim_matches('"').to_owned(),
    }
}

#[test]
fn there_are_many_and_each_has_values_and_words() {
    let all = leaves();
    assert!(all.len() > 250, "{}", all.len());
    for (path, spec) in &all {
        for value in spec.kind.examples() {
            assert!(spec.kind.allows(&value), "{path} = {value}");
            let text = as_variable(&value);
            assert_eq!(spec.kind.parse(&text).as_ref(), Some(&value), "{path}: {text}");
            let mut settings = Settings::default();
            assert!(settings.put(path, value.clone(), Source::Code), "{path} = {value}");
            assert_eq!(value_at(&settings, path), Some((value, Source::Code)));
        }
        assert!(
            spec.default.is_empty() || spec.default_value().is_some(),
            "{path}: {}",
            spec.default
        );
    }
    assert_eq!(Settings::defaults().check(), Ok(()));
}

#[test]
fn no_two_settings_share_a_variable() {
    let mut seen = BTreeSet::new();
    for (path, spec) in leaves() {
        let name = path.variable();
        // A map of values is one variable.
        let is_map = path.names().last().is_some_and(|name| name == "own-name");
        let is_route = path.names().iter().any(|name| name == "routes");
        if matches!(spec.variable, Variable::Own) && !is_map && !is_route {
            assert!(seen.insert(name.clone()), "{path}: {name}");
        }
    }
    let suffix = |name: &str| name.strip_prefix("MESHWISE_PEERS_AUTH_").map(str::to_owned);
    let suffixes: Vec<String> = seen.iter().filter_map(|name| suffix(name)).collect();
    for one in &suffixes {
        for other in &suffixes {
            // Otherwise it would not be plain where the peer's name ends.
            assert!(!one.ends_with(&format!("_{other}")), "{one} ends with {other}");
        }
    }
}

/// The table: each setting from a file, from a variable, and from both over code.
#[cfg(feature = "toml")]
#[test]
fn every_setting_is_set_by_code_file_and_variable_and_the_later_wins() {
    let (mut by_variable, mut by_standard) = (0, 0);
    for (path, spec) in leaves() {
        let [code, file, variable] = spec.kind.examples();
        let mut settings = Settings::default();
        assert!(settings.put(&path, code, Source::Code));

        let text = format!("\n\n{path} = {file}\n");
        let from_file = Settings::from_toml(&text, "mesh.toml").unwrap_or_else(|e| panic!("{e}"));
        let source = Source::File { path: "mesh.toml".into(), line: 3 };
        assert_eq!(value_at(&from_file, &path), Some((file.clone(), source.clone())), "{path}");
        settings.overlay(&from_file);
        assert_eq!(value_at(&settings, &path), Some((file, source)), "{path}");

        let is_route = path.names().iter().any(|name| name == "routes");
        let is_map = path.names().last().is_some_and(|name| name == "own-name");
        match spec.variable {
            Variable::Own if is_route => continue,
            Variable::Own => {
                let (name, text) = match is_map {
                    false => (path.variable(), as_variable(&variable)),
                    true => (
                        path.variable().replace("_OWN_NAME", ""),
                        format!("own-name={}", as_variable(&variable)),
                    ),
                };
                let env = Env::from_pairs([(name.as_str(), text)]);
                let from_env = Settings::from_env(&env).unwrap_or_else(|e| panic!("{e}"));
                settings.overlay(&from_env);
                let source = Source::Variable(name.into());
                assert_eq!(value_at(&settings, &path), Some((variable, source)), "{path}");
                assert!(env.unused().is_empty());
                by_variable += 1;
            }
            Variable::Standard(..) => by_standard += 1,
        }
    }
    assert!(by_variable > 150 && by_standard > 30, "{by_variable} {by_standard}");
}

#[test]
fn variables_of_ours_are_strict() {
    for (name, text, wanted) in [
        (
            "MESHWISE_LOG_FORMAT",
            "jsno",
            "MESHWISE_LOG_FORMAT is `jsno`; allowed: one of \"json\", \"pretty\", \"logfmt\", \"ecs\", \"gcp\"; did you mean `json`?",
        ),
        (
            "MESHWISE_LOG_FORMT",
            "json",
            "MESHWISE_LOG_FORMT is not known; did you mean `MESHWISE_LOG_FORMAT`?",
        ),
        (
            "MESHWISE_LOG_FILTER",
            "debug",
            "MESHWISE_LOG_FILTER is not known; that setting is RUST_LOG",
        ),
        (
            "MESHWISE_TRACES_RATIO",
            "0.1",
            "MESHWISE_TRACES_RATIO is not known; that setting is OTEL_TRACES_SAMPLER_ARG",
        ),
        (
            "MESHWISE_LOG_QUEUE",
            "8",
            "MESHWISE_LOG_QUEUE is `8`; allowed: a size with its unit, such as \"64KiB\" or \"8MiB\", from 256KiB to 1024GiB",
        ),
        (
            "MESHWISE_DRAIN_DELAY",
            "-1s",
            "MESHWISE_DRAIN_DELAY is `-1s`; allowed: a duration with its unit, such as \"250ms\", \"10s\" or \"5m\", from 0s to 365d",
        ),
        (
            "MESHWISE_PEERS_AUTH_TIMEUOT_LIMIT",
            "1s",
            "MESHWISE_PEERS_AUTH_TIMEUOT_LIMIT is not known; did you mean `MESHWISE_PEERS_AUTH_TIMEOUT_LIMIT`?",
        ),
        (
            "MESHWISE_PEERS_AUTH_TIMEOUT_LIMIT",
            "1",
            "MESHWISE_PEERS_AUTH_TIMEOUT_LIMIT is `1`; allowed: a duration with its unit, such as \"250ms\", \"10s\" or \"5m\", from 1ms to 365d",
        ),
        (
            "MESHWISE_PEER_RETRY_ATTEMPTS",
            "11",
            "MESHWISE_PEER_RETRY_ATTEMPTS is `11`; allowed: a whole number from 1 to 10",
        ),
        (
            "MESHWISE_PEER_BREAKER_FAILURE_RATE",
            "0",
            "MESHWISE_PEER_BREAKER_FAILURE_RATE is `0`; allowed: a number above 0 to 1",
        ),
        (
            "MESHWISE_OPS_LOG_LEVEL",
            "TRUE",
            "MESHWISE_OPS_LOG_LEVEL is `TRUE`; allowed: true or false",
        ),
        ("MESHWISE_SOMETHING_ELSE", "x", "MESHWISE_SOMETHING_ELSE is not known; unset it"),
    ] {
        let error = Settings::from_env(&Env::from_pairs([(name, text)])).unwrap_err();
        assert_eq!(error.to_string(), wanted);
    }
    // What Kubernetes sets for a service `meshwise-console` is not for the operator to mend.
    let kubernetes = [
        ("MESHWISE_CONSOLE_SERVICE_HOST", "10.0.0.1"),
        ("MESHWISE_CONSOLE_SERVICE_PORT", "80"),
        ("MESHWISE_CONSOLE_SERVICE_PORT_HTTP", "80"),
        ("MESHWISE_CONSOLE_PORT", "tcp://10.0.0.1:80"),
        ("MESHWISE_CONSOLE_PORT_80_TCP", "tcp://10.0.0.1:80"),
        ("MESHWISE_CONSOLE_PORT_80_TCP_ADDR", "10.0.0.1"),
        ("MESHWISE_PEERS_SERVICE_HOST", "10.0.0.1"),
        ("MESHWISE_STRICT", "true"),
        ("MESHWISE_TODAY", "2026-01-01"),
    ];
    assert_eq!(Settings::from_env(&Env::from_pairs(kubernetes)), Ok(Settings::default()));
}

#[test]
fn a_peer_has_what_is_for_all_and_over_that_its_own() {
    let mut settings = Settings::default();
    settings.peer.timeout.limit.set(Duration::from_secs(1));
    settings.peer.retry.attempts.set(2_u32);
    settings.peer.url.set("http://everywhere".to_owned());
    settings.peers.entry("auth-v2.eu").timeout.limit.set(Duration::from_secs(2));
    settings.peers.entry("auth-v2-eu").timeout.limit.set(Duration::from_secs(3));
    let env = Env::from_pairs([("MESHWISE_PEERS_AUTH_V2_EU_RETRY_ATTEMPTS", "5")]);
    settings.overlay(&Settings::from_env(&env).unwrap());
    let auth = settings.peer("auth-v2.eu");
    assert_eq!(auth.timeout.limit.get(), Some(&Duration::from_secs(2)));
    assert_eq!(auth.retry.attempts.get(), Some(&5), "the variable is for each spelling");
    assert_eq!(auth.url.get(), None, "no two peers are at one place");
    let other = settings.peer("stock");
    assert_eq!(other.timeout.limit.get(), Some(&Duration::from_secs(1)));
    assert_eq!(other.retry.attempts.get(), Some(&2));
}

#[test]
fn what_is_in_force_is_shown_of_each_peer_by_its_own_name() {
    let mut settings = Settings::default();
    settings.peer.retry.attempts.set(2_u32);
    settings.peers.entry("auth-v2").timeout.limit.set(Duration::from_secs(2));
    let env = Env::from_pairs([
        ("MESHWISE_PEERS_AUTH_V2_TIMEOUT_LIMIT", "5s"),
        ("MESHWISE_PEERS_STOCK_URL", "http://stock"),
    ]);
    settings.overlay(&Settings::from_env(&env).unwrap());
    let all = settings.effective();
    assert_eq!(all.peers.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["auth-v2", "stock"]);
    let auth = all.peers.get("auth-v2").unwrap();
    assert_eq!(auth.timeout.limit.get(), Some(&Duration::from_secs(5)));
    assert_eq!(auth.retry.attempts.get(), Some(&2));
    assert_eq!(auth.breaker.min_calls.get(), Some(&20), "the default");
    assert_eq!(all.drain.timeout.source(), &Source::Default);
}

#[test]
fn code_is_checked_too() {
    let mut settings = Settings::default();
    settings.log.format.set("xml".to_owned());
    settings.peers.entry("auth").breaker.failure_rate.set(1.5);
    let error = settings.check().unwrap_err().to_string();
    assert!(error.contains("code: log.format is \"xml\"; allowed: one of"), "{error}");
    assert!(error.contains("code: peers.auth.breaker.failure_rate is 1.5"), "{error}");
}

#[test]
fn secrets_are_never_shown() {
    let env = Env::from_pairs([("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20hunter2")]);
    let settings = Settings::from_standard_env(&env).unwrap();
    let text = settings.traces.otlp.headers.get("authorization").and_then(Setting::get);
    assert_eq!(text.map(String::as_str), Some("Bearer hunter2"));
    let shown: Vec<String> = settings.shown().iter().map(ToString::to_string).collect();
    let all = format!("{}{}", settings.to_json(), shown.join("\n"));
    assert!(!all.contains("hunter2"), "{all}");
    assert!(
        all.contains("traces.otlp.headers.authorization = (secret)  # OTEL_EXPORTER_OTLP_HEADERS")
    );
}

#[test]
fn passwords_within_addresses_are_never_shown() {
    let env = Env::from_pairs([
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://user:hunter2@collector:4318"),
        ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "https://collector/v1/logs?token=hunter2"),
    ]);
    let settings = Settings::from_standard_env(&env).unwrap();
    let endpoint = settings.traces.otlp.endpoint.get().map(String::as_str);
    assert_eq!(endpoint, Some("http://user:hunter2@collector:4318"));
    let shown: Vec<String> = settings.shown().iter().map(ToString::to_string).collect();
    let all = format!("{}{}", settings.to_json(), shown.join("\n"));
    assert!(!all.contains("hunter2"), "{all}");
    assert!(all.contains("@collector:4318"), "{all}");
}

/// Any tree: some leaves set to some of their examples, from some source.
fn any_settings() -> impl Strategy<Value = Settings> {
    let sources = prop_oneof![
        Just(Source::Code),
        (1_usize..9).prop_map(|line| Source::File { path: "a.toml".into(), line }),
        Just(Source::Variable("X".into())),
    ];
    let leaves = leaves();
    let count = leaves.len();
    let examples: Vec<_> = leaves.iter().map(|(_, spec)| spec.kind.examples()).collect();
    proptest::collection::vec((0..count, 0_usize..3, sources), 0..60).prop_map(move |picked| {
        let mut settings = Settings::default();
        for (leaf, example, source) in picked {
            let (path, _) = &leaves[leaf];
            assert!(settings.put(path, examples[leaf][example].clone(), source));
        }
        settings
    })
}

/// All leaves that are set.
fn set(settings: &Settings) -> BTreeMap<Path, (String, Source)> {
    let mut all = BTreeMap::new();
    each_leaf(settings, &mut |path, _, leaf| {
        if let Some(value) = leaf.value() {
            all.insert(path.clone(), (value.to_string(), leaf.origin().clone()));
        }
    });
    all
}

fn over(mut earlier: Settings, later: &Settings) -> Settings {
    earlier.overlay(later);
    earlier
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_overlay_is_associative_and_the_last_one_wins(
        a in any_settings(), b in any_settings(), c in any_settings(),
    ) {
        let left = over(over(a.clone(), &b), &c);
        let right = over(a.clone(), &over(b.clone(), &c));
        prop_assert_eq!(&left, &right);
        prop_assert_eq!(&over(a.clone(), &Settings::default()), &a);
        prop_assert_eq!(&over(Settings::default(), &a), &a);
        let mut last = set(&a);
        last.extend(set(&b));
        last.extend(set(&c));
        prop_assert_eq!(set(&left), last);
    }
}
