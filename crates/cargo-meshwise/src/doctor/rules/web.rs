//! The app and meshwise on different lines of the web stack.

use crate::doctor::{
    facts::{Facts, is_https},
    graph::Node,
    rule::{Hit, Rule, Severity},
};

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "other-http-line",
        severity: Severity::Error,
        summary: "the app's http types are not meshwise's",
        why: "`http::Request` of one line is not that of the other; the layers do not fit, and the \
              compiler's message names two types that look the same",
        reference: "https://github.com/hyperium/http/issues/668",
        check: |facts| other_line(facts, &["http", "http-body"]),
    },
    Rule {
        id: "other-axum-line",
        severity: Severity::Error,
        summary: "the app's axum is not meshwise's",
        why: "the server layer fits any router over the same `http`, so it compiles; but the route \
              template (`MatchedPath`) is kept under the other line's type and not found: metrics, \
              spans and API versions by route are lost",
        reference: "https://docs.rs/axum/latest/axum/extract/struct.MatchedPath.html",
        check: |facts| other_line(facts, &["axum", "axum-core"]),
    },
    Rule {
        id: "other-tonic-line",
        severity: Severity::Error,
        summary: "the app's tonic is not meshwise's",
        why: "`tonic::Status` and the transport of one line are not those of the other; status and \
              metadata are not found across",
        reference: "https://docs.rs/tonic/latest/tonic/struct.Status.html",
        check: |facts| other_line(facts, &["tonic"]),
    },
    Rule {
        id: "client-no-tls",
        severity: Severity::Error,
        summary: "a peer is called by https, and https is not compiled in",
        why: "every call to this peer fails before it is sent; on a machine where the \
              variable says http it works",
        reference: "https://docs.rs/reqwest/latest/reqwest/tls/index.html",
        check: client_no_tls,
    },
];

/// Compares what the package itself links to with what meshwise's crates link to.
fn other_line(facts: &Facts, names: &[&str]) -> Vec<Hit> {
    let graph = &facts.graph;
    let family = || graph.nodes().filter(|node| is_family(node));
    let mut hits: Vec<Hit> = Vec::new();
    for name in names {
        let theirs = family().flat_map(|node| graph.links(node)).find(|node| node.name() == *name);
        let own = graph.links(graph.root()).find(|node| {
            node.name() == *name && theirs.is_some_and(|theirs| theirs.line() != node.line())
        });
        // A package on both lines at once has renamed one of them: it knows what it does.
        let both = |line: String| {
            graph.links(graph.root()).any(|node| node.name() == *name && node.line() == line)
        };
        if let (Some(theirs), Some(own)) = (theirs, own)
            && !both(theirs.line())
        {
            hits.push(
                Hit::new(format!(
                    "this package uses {name} {}, meshwise uses {name} {}",
                    own.line(),
                    theirs.line()
                ))
                .at(facts.dependency(name))
                .seen(graph.path_text(own))
                .seen(graph.path_text(theirs))
                .help(format!("{name} = \"{}\"", theirs.line())),
            );
        }
    }
    hits
}

pub(super) fn is_family(node: &Node) -> bool {
    node.name() == "meshwise" || node.name().starts_with("meshwise-")
}

fn client_no_tls(facts: &Facts) -> Vec<Hit> {
    let Some(client) = facts.graph.named("meshwise-reqwest").next() else { return Vec::new() };
    let tls = client.has("tls") || facts.graph.named("reqwest").any(has_tls);
    let is_peer = |name: &str| name.starts_with("MESHWISE_PEERS_") && name.ends_with("_URL");
    facts
        .env
        .iter()
        .filter(|(name, value)| !tls && is_peer(name) && is_https(value))
        .map(|(name, _)| {
            Hit::new(format!("{name} begins with https://, and meshwise's feature `tls` is off"))
                .at(facts.features_of("meshwise"))
                .seen(facts.graph.path_text(client))
                .help("add \"tls\" to the features of meshwise")
        })
        .collect()
}

/// Tells whether a reqwest can speak TLS, whatever its line calls the feature.
pub(super) fn has_tls(reqwest: &Node) -> bool {
    reqwest.features.iter().any(|feature| {
        feature == "default-tls"
            || feature.starts_with("native-tls")
            || feature.starts_with("rustls")
            || feature == "__tls"
    })
}
