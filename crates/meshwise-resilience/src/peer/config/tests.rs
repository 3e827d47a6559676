//! Every limit, as code sets it and as an operator does.

use super::*;
use crate::{
    adaptive::AdaptiveConfig,
    breaker::BreakerConfig,
    bulkhead::BulkheadConfig,
    peer::{PeerLayer, RouteConfig},
    rate::RateConfig,
    registry::Guards,
    retry::{HttpRetries, RetryConfig},
};
use meshwise_core::settings::{Path, Settings, Source, Value};
use std::time::Duration;

/// Lists the leaves of a peer, but for those that are for others to set.
fn leaves() -> Vec<(Path, [Value; 3])> {
    let mut all = Settings::leaves();
    all.retain(|(path, _)| {
        let names = path.names();
        names[0] == "peers" && !["url", "fault"].contains(&names[2].as_str())
    });
    all
}

fn of(config: &PeerConfig) -> Settings {
    let mut all = Settings::default();
    *all.peers.entry("auth") = config.settings();
    all
}

fn shown(settings: &Settings, wanted: &Path) -> Option<Value> {
    settings.shown().into_iter().find(|shown| shown.path == *wanted).and_then(|shown| shown.value)
}

#[test]
fn the_defaults_of_code_are_those_of_the_tree() {
    let mut tree = Settings::default();
    *tree.peers.entry("auth") = Settings::defaults().peer;
    for (path, _) in leaves() {
        let names = path.names();
        let unset = ["routes", "rate"].contains(&names[2].as_str())
            && names.last().is_some_and(|name| name != "enabled");
        // What a guard would have that is not there, and a limit that is not adaptive.
        if unset || names[2..].join(".").starts_with("bulkhead.adaptive.") || names[2] == "routes" {
            continue;
        }
        assert_eq!(shown(&of(&PeerConfig::new()), &path), shown(&tree, &path), "{path}");
    }
}

/// What has to be set beside a leaf for it to show: the guard that it is of, the limits beside it.
fn beside(path: &Path, settings: &mut Settings) {
    let mut put = |end: &[&str], value: Value| {
        let own = path.names()[..3].iter().map(String::as_str);
        let route = path.names()[2] == "routes";
        let own: Vec<&str> = match route {
            true => path.names()[..5].iter().map(String::as_str).collect(),
            false => own.collect(),
        };
        let whole: Path = own.into_iter().chain(end.iter().copied()).collect();
        assert!(settings.put(&whole, value, Source::Code), "{whole}");
    };
    let names: Vec<&str> = path.names().iter().map(String::as_str).collect();
    let guard = if names[2] == "routes" { names[4] } else { names[2] };
    let is_enabled = names.len() > 3 && names[names.len() - 1] == "enabled";
    if ["breaker", "bulkhead", "rate"].contains(&guard) && !is_enabled {
        put(&["enabled"], Value::Bool(true));
    }
    if guard == "retry" && names[names.len() - 1] == "attempts" && names[2] != "routes" {
        put(&["enabled"], Value::Bool(true));
    }
    if names.contains(&"adaptive") {
        put(&["adaptive", "enabled"], Value::Bool(true));
    }
}

/// The table: for each leaf, an author who sets one value and an operator who sets another.
#[test]
fn the_operator_beats_the_author_for_every_limit_alike() {
    let mut seen = 0;
    for (path, examples) in leaves() {
        for (author, operator) in [(0, 1), (1, 0), (2, 1)] {
            let (author, operator) = (&examples[author], &examples[operator]);
            let mut code = Settings::default();
            beside(&path, &mut code);
            assert!(code.put(&path, author.clone(), Source::Code));
            let mut file = Settings::default();
            beside(&path, &mut file);
            assert!(file.put(&path, operator.clone(), Source::Code));
            let config = PeerConfig::new().with_settings(&code.peer("auth"));
            let whole = format!("{path}: {author} by code, {operator} by the operator");
            assert_eq!(shown(&of(&config), &path).as_ref(), Some(author), "{whole}");
            let config = config.with_settings(&file.peer("auth"));
            assert_eq!(shown(&of(&config), &path).as_ref(), Some(operator), "{whole}");
            seen += 1;
        }
    }
    assert!(seen > 250, "{seen}");
}

/// What builders say is what settings show, and the operator's is over it.
#[test]
fn what_builders_leave_out_an_operator_can_switch_on() {
    let bare = PeerConfig::new()
        .without_total()
        .without_retry()
        .without_timeout()
        .without_breaker()
        .without_bulkhead();
    let all = bare.settings();
    for enabled in [
        &all.deadline.enabled,
        &all.retry.enabled,
        &all.timeout.enabled,
        &all.breaker.enabled,
        &all.bulkhead.enabled,
        &all.rate.enabled,
    ] {
        assert_eq!(enabled.get(), Some(&false));
    }
    let mut operator = PeerSettings::default();
    operator.deadline.enabled.set(true);
    operator.retry.enabled.set(true);
    operator.timeout.enabled.set(true);
    operator.breaker.enabled.set(true);
    operator.bulkhead.enabled.set(true);
    let on = bare.clone().with_settings(&operator);
    assert_eq!(on.difference(&PeerConfig::new()), None, "all as by default");
    // A limit alone switches nothing on.
    let mut limits = PeerSettings::default();
    limits.breaker.failure_rate.set(0.1);
    limits.deadline.total.set(Duration::from_secs(1));
    limits.timeout.limit.set(Duration::from_secs(1));
    let still = bare.clone().with_settings(&limits);
    assert_eq!(still.difference(&bare), None);
    // And off again.
    let mut off = PeerSettings::default();
    off.deadline.enabled.set(false);
    off.retry.enabled.set(false);
    off.timeout.enabled.set(false);
    off.breaker.enabled.set(false);
    off.bulkhead.enabled.set(false);
    assert_eq!(on.with_settings(&off).difference(&bare), None);
}

#[test]
fn what_code_says_in_its_own_words_is_shown_and_kept_where_the_operator_is_silent() {
    let secs = Duration::from_secs;
    let config = PeerConfig::new()
        .with_total(secs(4))
        .with_timeout(secs(2))
        .with_retry(RetryConfig::new().with_attempts(5).with_longest_asked(secs(1)))
        .with_retries(HttpRetries::new().with_idempotent_method("/a.B/C"))
        .with_breaker(
            BreakerConfig::new().with_call_window(50).with_consecutive_failures(0, Duration::ZERO),
        )
        .with_bulkhead(BulkheadConfig::new().with_adaptive_limit(AdaptiveConfig::vegas()))
        .with_rate_limit(RateConfig::new(7, secs(1)).with_burst(3))
        .with_streaming(["a.B/D"])
        .with_route("GET /x", RouteConfig::new().with_timeout(secs(8)).without_breaker());
    let all = config.settings();
    assert_eq!(all.breaker.window.calls.get(), Some(&50));
    assert_eq!(all.breaker.consecutive_failures.get(), Some(&0));
    assert_eq!(all.bulkhead.adaptive.algorithm.get().map(String::as_str), Some("vegas"));
    assert_eq!(all.rate.burst.get(), Some(&3));
    let methods = all.retry.idempotent_methods.get().map(Vec::as_slice);
    assert_eq!(methods, Some(["a.B/C".to_owned()].as_slice()));
    let route = all.routes.get("GET /x").unwrap();
    assert_eq!(route.breaker.enabled.get(), Some(&false));
    let same = config.clone().with_settings(&PeerSettings::default());
    assert_eq!(same.difference(&config), None);
    let again = PeerConfig::new().with_settings(&all);
    assert_eq!(again.difference(&config), None, "settings say all that code says");
}

#[test]
fn clients_whom_an_operator_sets_alike_share_their_guards() {
    let guards = Guards::new();
    let mut operator = PeerSettings::default();
    operator.retry.budget.share.set(0.5);
    operator.timeout.limit.set(Duration::from_secs(2));
    let classifier = Classifier::new();
    for author in [PeerConfig::new(), PeerConfig::new().with_timeout(Duration::from_secs(9))] {
        let config = author.with_settings(&operator);
        guards.share("stock", config, classifier.clone()).unwrap();
    }
}

/// What the tree allows, the guards take; what is beyond it, they refuse.
#[test]
fn ranges_are_those_of_the_guards() {
    for (path, examples) in leaves() {
        for value in examples {
            let mut settings = Settings::default();
            beside(&path, &mut settings);
            assert!(settings.put(&path, value.clone(), Source::Code));
            let config = PeerConfig::new().with_settings(&settings.peer("auth"));
            let layer = PeerLayer::new("auth", config);
            // Two limits that do not go together are no matter of a range.
            if let Err(error) = layer {
                let pairs = [
                    "trial_limit",
                    "trial_calls",
                    "open_time_max",
                    "backoff.max",
                    "floor",
                    "ceiling",
                    "initial",
                    "min_calls",
                    "max_wait",
                ];
                assert!(
                    pairs.iter().any(|pair| error.setting().ends_with(pair)),
                    "{path} = {value}: {error}"
                );
            }
        }
    }
}

/// Who sets one of two times is not told of the other, which no one has set.
#[test]
fn a_default_is_no_bound_for_what_is_set_beside_it() {
    let mut settings = Settings::default();
    settings.peer.breaker.open_time.set(Duration::from_secs(600));
    settings.peer.retry.backoff.base.set(Duration::from_secs(5));
    let layer = |settings: &Settings| {
        PeerLayer::new("auth", PeerConfig::new().with_settings(&settings.peer("auth")))
    };
    layer(&settings).expect("the longest times are these, then");
    settings.peer.breaker.open_time_max.set(Duration::from_secs(60));
    let error = layer(&settings).expect_err("two that do not go together");
    assert_eq!(error.setting(), "breaker.open_time_max");
}
