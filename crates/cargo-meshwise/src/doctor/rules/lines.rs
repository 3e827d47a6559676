//! Two lines of one package in a binary: each has its own globals, so what one half records the
//! other half never sees.

use std::collections::{BTreeMap, BTreeSet};

use super::{join, web::is_family};
use crate::doctor::{
    facts::Facts,
    graph::Node,
    rule::{Hit, Rule, Severity},
};

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "two-opentelemetry-lines",
        severity: Severity::Error,
        summary: "two lines of opentelemetry in one binary",
        why: "each line has its own global tracer provider, propagator and current context; spans \
              of one line are not exported by the other, and `traceparent` is neither read nor \
              sent across. It compiles, and nothing is logged",
        reference: "https://github.com/davidB/tracing-opentelemetry-instrumentation-sdk/issues/157",
        check: |facts| two_lines(facts, &["opentelemetry", "opentelemetry_api"], opentelemetry),
    },
    Rule {
        id: "otel-feature-missing",
        severity: Severity::Error,
        summary: "an instrumentation crate is not told which line of opentelemetry to use",
        why: "the crate supports several lines of opentelemetry, each behind a feature; without \
              the one of this binary it still makes `tracing` spans, but sends and reads no \
              `traceparent`, so every service begins a trace of its own",
        reference: "https://docs.rs/reqwest-tracing/latest/reqwest_tracing/",
        check: feature_missing,
    },
    Rule {
        id: "two-metrics-lines",
        severity: Severity::Error,
        summary: "two lines of metrics in one binary",
        why: "each line has its own global recorder; what is counted through the line without one \
              goes nowhere, and `/metrics` simply lacks it",
        reference: "https://github.com/metrics-rs/metrics/issues/440",
        check: |facts| two_lines(facts, &["metrics"], metrics),
    },
    Rule {
        id: "two-tracing-lines",
        severity: Severity::Error,
        summary: "two lines of tracing in one binary",
        why: "each line of tracing-core has its own global subscriber; events and spans of the \
              line without one vanish",
        reference: "https://docs.rs/tracing-core/latest/tracing_core/dispatcher/index.html",
        check: |facts| two_lines(facts, &["tracing-core"], |_, _, _| None),
    },
    Rule {
        id: "two-subscriber-lines",
        severity: Severity::Warning,
        summary: "two lines of tracing-subscriber in one binary",
        why: "a layer of one line cannot be added to a subscriber of the other, and data that \
              layers keep on spans (the OpenTelemetry context among it) is not found across",
        reference: "https://github.com/tokio-rs/tracing/pull/2273",
        check: |facts| two_lines(facts, &["tracing-subscriber"], |_, _, _| None),
    },
];

/// Suggests what to write for a package so that it uses a line: package, its features, the line.
type Companion = fn(&Node, &str, &str) -> Option<String>;

/// Packages that follow the number of `opentelemetry` since 0.25.
const FOLLOWERS: [&str; 9] = [
    "opentelemetry-appender-log",
    "opentelemetry-appender-tracing",
    "opentelemetry-http",
    "opentelemetry-jaeger-propagator",
    "opentelemetry-otlp",
    "opentelemetry-proto",
    "opentelemetry-semantic-conventions",
    "opentelemetry-stdout",
    "opentelemetry_sdk",
];

/// Packages that choose a line by a feature, `opentelemetry_0_33`.
const CHOOSERS: [&str; 2] = ["reqwest-tracing", "tracing-actix-web"];

fn two_lines(facts: &Facts, names: &[&str], companion: Companion) -> Vec<Hit> {
    let mut lines: BTreeMap<String, Vec<&Node>> = BTreeMap::new();
    for node in names.iter().flat_map(|name| facts.graph.named(name)) {
        lines.entry(node.line()).or_default().push(node);
    }
    if lines.len() < 2 {
        return Vec::new();
    }
    let keep = line_to_keep(facts, &lines);
    let mut hit = Hit::new(format!(
        "this binary holds {} lines of `{}`: {}",
        lines.len(),
        names[0],
        join(&lines.keys().cloned().collect::<Vec<_>>()),
    ));
    let mut culprits: BTreeMap<&str, &Node> = BTreeMap::new();
    for (line, nodes) in &lines {
        for node in nodes {
            hit = hit.seen(asked_for_by(facts, node));
            if *line != keep {
                culprits.extend(doorways(facts, node).into_iter().map(|d| (d.name(), d)));
            }
        }
    }
    let mut place = None;
    for (name, node) in culprits {
        place = place.or_else(|| facts.dependency(name));
        hit = hit.help(match companion(node, name, &keep) {
            Some(text) => text,
            None if name == "opentelemetry" && facts.mesh().is_some() => {
                format!("{name} = \"{keep}\", or use `meshwise::opentelemetry` and drop the line")
            }
            None if names.contains(&name) => format!("{name} = \"{keep}\""),
            None => format!(
                "set {name} to a version that is built on {} {keep} (now {}); \
                 `cargo tree -i {}` shows the ways",
                names[0],
                node.version(),
                names[0],
            ),
        });
    }
    vec![hit.at(place)]
}

/// Says who asks for a package: the shortest way through each of the root's dependencies.
fn asked_for_by(facts: &Facts, node: &Node) -> String {
    let mut ways: Vec<Vec<&Node>> =
        facts.graph.parents(node).map(|parent| facts.graph.path(parent)).collect();
    ways.sort_by_key(Vec::len);
    let mut doors = BTreeSet::new();
    ways.retain(|way| doors.insert(way.get(1).map(|door| &door.package.id)));
    let more = ways.len().saturating_sub(3);
    let texts: Vec<String> = ways
        .iter()
        .take(3)
        .filter_map(|way| way.last())
        .map(|last| facts.graph.path_text(last))
        .collect();
    format!(
        "{} {} is asked for by: {}{}",
        node.name(),
        node.version(),
        texts.join("; "),
        if more > 0 { format!("; and {more} more") } else { String::new() },
    )
}

/// Chooses the line that stays: meshwise's, since it cannot be chosen; else the newest.
fn line_to_keep(facts: &Facts, lines: &BTreeMap<String, Vec<&Node>>) -> String {
    let family: Vec<&Node> = facts.graph.nodes().filter(|node| is_family(node)).collect();
    let ours = |node: &Node| family.iter().any(|from| facts.graph.reaches(from, node));
    lines
        .iter()
        .max_by_key(|(_, nodes)| {
            let newest = nodes.iter().map(|node| node.version()).max();
            (nodes.iter().any(|node| ours(node)), newest)
        })
        .map(|(line, _)| line.clone())
        .unwrap_or_default()
}

/// Lists the dependencies of the package itself through which a node comes in.
fn doorways<'a>(facts: &'a Facts, node: &'a Node) -> Vec<&'a Node> {
    let root = facts.graph.root();
    let mut seen = BTreeSet::new();
    let mut queue = vec![node];
    let mut doors = Vec::new();
    while let Some(at) = queue.pop() {
        if !seen.insert(&at.package.id) {
            continue;
        }
        for parent in facts.graph.parents(at) {
            if parent.package.id == root.package.id {
                doors.push(at);
            } else {
                queue.push(parent);
            }
        }
    }
    doors
}

fn minor(line: &str) -> Option<u32> {
    line.strip_prefix("0.")?.parse().ok()
}

fn opentelemetry(node: &Node, name: &str, keep: &str) -> Option<String> {
    let minor = minor(keep)?;
    if name == "tracing-opentelemetry" && minor >= 20 {
        // It is one ahead ever since it skipped a number at 0.21.
        Some(format!("tracing-opentelemetry = \"0.{}\"", minor + 1))
    } else if FOLLOWERS.contains(&name) && minor >= 25 {
        Some(format!("{name} = \"{keep}\""))
    } else if CHOOSERS.contains(&name) {
        let feature = format!("opentelemetry_0_{minor}");
        Some(match node.package.features.contains_key(&feature) {
            true => {
                format!("{name} = {{ version = \"{}\", features = [\"{feature}\"] }}", node.line())
            }
            false => format!("update {name} to a version that has the feature `{feature}`"),
        })
    } else {
        None
    }
}

fn metrics(_: &Node, name: &str, keep: &str) -> Option<String> {
    match (name, keep) {
        ("metrics-exporter-prometheus", "0.24") => Some(format!("{name} = \"0.18\"")),
        ("metrics-util", "0.24") => Some(format!("{name} = \"0.20\"")),
        _ => None,
    }
}

fn feature_missing(facts: &Facts) -> Vec<Hit> {
    let lines: BTreeSet<String> = facts.graph.named("opentelemetry").map(Node::line).collect();
    let Some(line) = lines.iter().next_back() else { return Vec::new() };
    let Some(minor) = minor(line) else { return Vec::new() };
    let feature = format!("opentelemetry_0_{minor}");
    CHOOSERS
        .iter()
        .flat_map(|name| facts.graph.named(name))
        .filter(|node| !node.has(&feature))
        .map(|node| {
            let others: Vec<String> = node
                .features
                .iter()
                .filter(|f| f.starts_with("opentelemetry_0_"))
                .cloned()
                .collect();
            let has = match others.is_empty() {
                true => "no such feature is on".to_owned(),
                false => format!("on are {}", join(&others)),
            };
            let hit = Hit::new(format!(
                "`{}` does not speak opentelemetry {line}: its feature `{feature}` is off",
                node.name()
            ))
            .at(facts.features_of(node.name()))
            .seen(format!("{}; {has}", facts.graph.path_text(node)));
            if node.package.features.contains_key(&feature) {
                hit.help(format!(
                    "{} = {{ version = \"{}\", features = [\"{feature}\"] }}",
                    node.name(),
                    node.line()
                ))
            } else {
                hit.help(format!(
                    "{} {} has no feature `{feature}`: update it, or leave its part to meshwise's \
                     own client and server layers",
                    node.name(),
                    node.version()
                ))
            }
        })
        .collect()
}
