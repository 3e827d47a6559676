//! Spans and events that never come to be: compiled away, or filtered away.

use crate::doctor::{
    directives::{Directives, Level},
    facts::Facts,
    graph::Node,
    rule::{Hit, Rule, Severity},
};

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "spans-compiled-out",
        severity: Severity::Error,
        summary: "a feature compiles spans and events of level info away",
        why: "`#[instrument]` makes spans of level info. A feature of `tracing` or `log` that \
              stands in any manifest of the graph is on for all of it, so one dependency can \
              remove every other crate's spans; no filter brings them back",
        reference: "https://github.com/swc-project/plugins/pull/182",
        check: spans_compiled_out,
    },
    Rule {
        id: "rust-log-compiled-out",
        severity: Severity::Warning,
        summary: "RUST_LOG asks for a level that was compiled away",
        why: "raising the level shows nothing, as if the code were never reached",
        reference: "https://docs.rs/tracing/latest/tracing/level_filters/index.html",
        check: rust_log_compiled_out,
    },
    Rule {
        id: "rust-log-ignored",
        severity: Severity::Warning,
        summary: "RUST_LOG is set, and the subscriber does not read it",
        why: "`tracing_subscriber::fmt().init()` is not `tracing_subscriber::fmt::init()`: the \
              builder reads no variable unless given a filter, and stays at info",
        reference: "https://github.com/tokio-rs/tracing/issues/2993",
        check: rust_log_ignored,
    },
    Rule {
        id: "otel-target-filtered",
        severity: Severity::Warning,
        summary: "the filter stops the spans that carry the trace context",
        why: "the crates around tracing-opentelemetry-instrumentation-sdk make their spans for \
              target `otel::tracing` at level trace; a filter without that target drops them, \
              `set_parent` then has no span to set it on, and the incoming `traceparent` is lost",
        reference: "https://github.com/davidB/tracing-opentelemetry-instrumentation-sdk/issues/148",
        check: otel_target_filtered,
    },
    Rule {
        id: "own-spans-filtered",
        severity: Severity::Warning,
        summary: "MESHWISE_TRACES_SPAN_FILTER stops the service's own spans",
        why: "it decides which `tracing` spans become spans of the trace; `#[instrument]` makes \
              them at level info under the crate's own name",
        reference: "https://docs.rs/tracing/latest/tracing/attr.instrument.html",
        check: own_spans_filtered,
    },
    Rule {
        id: "panic-abort",
        severity: Severity::Warning,
        summary: "a panic ends the process at once, with the spans that wait to be exported",
        why: "the panic hook still runs, so the panic itself is logged; but nothing is unwound: a \
              panic in one request ends all others, no guard is dropped, and the spans of the last \
              seconds are never sent. They are the ones that would explain it",
        reference: "https://doc.rust-lang.org/std/panic/fn.set_hook.html",
        check: panic_abort,
    },
];

const LEVELS: [(&str, Level); 6] = [
    ("off", Level::Off),
    ("error", Level::Error),
    ("warn", Level::Warn),
    ("info", Level::Info),
    ("debug", Level::Debug),
    ("trace", Level::Trace),
];

/// Finds the feature that limits levels in release builds, as `tracing` and `log` choose it: the
/// strictest for release builds, else the strictest for all.
fn limit(node: &Node) -> Option<(String, Level)> {
    ["release_max_level_", "max_level_"].iter().find_map(|prefix| {
        LEVELS.iter().find_map(|(name, level)| {
            let feature = format!("{prefix}{name}");
            node.has(&feature).then_some((feature, *level))
        })
    })
}

fn limited(facts: &Facts) -> impl Iterator<Item = (&Node, String, Level)> {
    ["tracing", "log"].into_iter().flat_map(|name| facts.graph.named(name)).filter_map(|node| {
        let (feature, level) = limit(node)?;
        Some((node, feature, level))
    })
}

fn compiled_out(facts: &Facts, node: &Node, feature: &str, message: String) -> Hit {
    let by = facts.graph.who_enables(node, feature);
    let names: Vec<String> = by.iter().map(|by| by.name().to_owned()).collect();
    let root = facts.graph.root();
    let own = by.iter().any(|by| by.package.id == root.package.id);
    let hit = Hit::new(message).seen(match names.is_empty() {
        true => format!("`{feature}` of {} {} is on", node.name(), node.version()),
        false => format!("`{feature}` is turned on by {}", super::join(&names)),
    });
    match (own, by.first()) {
        (true, _) => hit
            .at(facts.features_of(node.name()))
            .help(format!("take \"{feature}\" out of the features of {}", node.name())),
        (false, Some(by)) => {
            hit.at(facts.features_of(by.name())).seen(facts.graph.path_text(by)).help(format!(
                "a library must not set it: ask the authors of {} to take \"{feature}\" out, or \
                 patch it ([patch.crates-io])",
                by.name()
            ))
        }
        (false, None) => hit.help(format!("`cargo tree -e features -i {}` shows who", node.name())),
    }
}

fn spans_compiled_out(facts: &Facts) -> Vec<Hit> {
    limited(facts)
        .filter(|(_, _, level)| *level < Level::Info)
        .map(|(node, feature, _)| {
            let message = format!("`{}/{feature}` compiles events of level info away", node.name());
            compiled_out(facts, node, &feature, message)
        })
        .collect()
}

fn rust_log_compiled_out(facts: &Facts) -> Vec<Hit> {
    let Some((text, filter)) = facts.filter("RUST_LOG") else { return Vec::new() };
    limited(facts)
        .filter(|(_, _, level)| *level >= Level::Info && filter.most() > *level)
        .map(|(node, feature, _)| {
            let message = format!("`{}/{feature}` makes RUST_LOG={text} show less", node.name());
            compiled_out(facts, node, &feature, message)
        })
        .collect()
}

fn rust_log_ignored(facts: &Facts) -> Vec<Hit> {
    if facts.mesh().is_some() {
        return Vec::new(); // meshwise reads it, and another subscriber is a finding of its own
    }
    let Some(text) = facts.env("RUST_LOG") else { return Vec::new() };
    let mut hits = Vec::new();
    for source in &facts.sources {
        for at in [".init()", ".try_init()"].iter().flat_map(|call| source.find(call)) {
            let statement: String =
                source.statement(at).chars().filter(|c| !c.is_whitespace()).collect();
            let builder = statement.contains("tracing_subscriber::fmt()")
                || statement.contains("FmtSubscriber::builder()");
            let filtered = ["with_env_filter", "with_max_level", "EnvFilter", ".with("];
            if builder && !filtered.iter().any(|word| statement.contains(word)) {
                hits.push(
                    Hit::new(format!("this subscriber does not read RUST_LOG={text}"))
                        .at(Some(source.place(at)))
                        .help(
                            "add `.with_env_filter(tracing_subscriber::EnvFilter\
                             ::from_default_env())`, and \"env-filter\" to the features of \
                             tracing-subscriber",
                        ),
                );
            }
        }
    }
    hits
}

fn otel_target_filtered(facts: &Facts) -> Vec<Hit> {
    const TARGET: &str = "otel::tracing";
    let Some(sdk) = facts.graph.named("tracing-opentelemetry-instrumentation-sdk").next() else {
        return Vec::new();
    };
    let level = if sdk.has("tracing_level_info") { Level::Info } else { Level::Trace };
    let handled = facts.sources.iter().any(|source| source.says(TARGET))
        || facts.call("init_tracing_opentelemetry").is_some();
    if handled {
        return Vec::new();
    }
    // The filter of the environment, else one that is written in the source.
    let from_env = facts.filter("RUST_LOG").map(|(text, _)| (text.to_owned(), None));
    let from_source = || {
        facts.sources.iter().find_map(|source| {
            ["EnvFilter::new(", "EnvFilter::try_new("].iter().find_map(|call| {
                let at = source.find(call).next()?;
                Some((source.literal_after(at)?.to_owned(), Some(source.place(at))))
            })
        })
    };
    let Some((text, place)) = from_env.or_else(from_source) else { return Vec::new() };
    if !Directives::parse(&text).stops(TARGET, level) {
        return Vec::new();
    }
    let name = if level == Level::Info { "info" } else { "trace" };
    vec![
        Hit::new(format!("the filter `{text}` stops spans for target `{TARGET}`"))
            .at(place)
            .seen(facts.graph.path_text(sdk))
            .help(format!("RUST_LOG={text},{TARGET}={name}"))
            .help("or turn on the feature `tracing_level_info` of the crate that brings it in"),
    ]
}

fn own_spans_filtered(facts: &Facts) -> Vec<Hit> {
    let Some((text, filter)) = facts.filter("MESHWISE_TRACES_SPAN_FILTER") else {
        return Vec::new();
    };
    let name = facts.graph.root().name().replace('-', "_");
    if facts.mesh().is_none() || !filter.stops(&name, Level::Info) {
        return Vec::new();
    }
    vec![
        Hit::new(format!("MESHWISE_TRACES_SPAN_FILTER=`{text}` stops the spans of `{name}`"))
            .help(format!("MESHWISE_TRACES_SPAN_FILTER={text},{name}=info")),
    ]
}

fn panic_abort(facts: &Facts) -> Vec<Hit> {
    let traces = ["meshwise-trace", "opentelemetry_sdk"].iter().any(|name| facts.graph.has(name));
    // Profiles count in the workspace's manifest alone.
    let manifest = facts.workspace.as_ref().unwrap_or(&facts.manifest);
    let profiles = manifest.table.get("profile").and_then(toml::Value::as_table);
    profiles
        .into_iter()
        .flatten()
        .filter(|(_, profile)| {
            traces && profile.get("panic").and_then(toml::Value::as_str) == Some("abort")
        })
        .map(|(name, _)| {
            Hit::new(format!("profile `{name}` sets panic = \"abort\""))
                .at(manifest.key(&format!("profile.{name}"), "panic"))
                .help(format!("[profile.{name}] panic = \"unwind\" (the default)"))
        })
        .collect()
}
