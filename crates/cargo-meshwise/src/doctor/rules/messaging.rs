//! Clients of messages whose headers no carrier reads.

use std::collections::BTreeMap;

use super::join;
use crate::doctor::{
    facts::Facts,
    graph::Node,
    rule::{Hit, Rule, Severity},
};

pub(super) const RULES: &[Rule] = &[Rule {
    id: "message-client-unknown",
    severity: Severity::Warning,
    summary: "a client of messages is not one that meshwise-messaging is told of",
    why: "the headers of a client's line are read and written by a feature that names it; without, \
          its messages are no `Carrier`, and what is sent by hand carries no trace, deadline or caller",
    reference: "https://docs.rs/meshwise-messaging/latest/meshwise_messaging/#features",
    check: client_unknown,
}];

/// Reads which lines there are features for, by client: `lapin-4`, `rdkafka-0_39`.
fn known(messaging: &Node) -> BTreeMap<&str, Vec<(String, &str)>> {
    let mut known: BTreeMap<&str, Vec<(String, &str)>> = BTreeMap::new();
    for feature in messaging.package.features.keys() {
        if let Some((client, line)) = feature.rsplit_once('-')
            && line.starts_with(|c: char| c.is_ascii_digit())
        {
            known.entry(client).or_default().push((line.replace('_', "."), feature));
        }
    }
    known
}

fn client_unknown(facts: &Facts) -> Vec<Hit> {
    let Some(messaging) = facts.graph.named("meshwise-messaging").next() else { return Vec::new() };
    let mut hits = Vec::new();
    for (client, lines) in known(messaging) {
        // Clients of the service itself; those deeper down are not its business.
        for node in facts.graph.links(facts.graph.root()).filter(|node| node.name() == client) {
            let feature = lines.iter().find(|(line, _)| *line == node.line());
            if feature.is_some_and(|(_, feature)| messaging.has(feature)) {
                continue;
            }
            let seen = [node, messaging].map(|node| facts.graph.path_text(node)).join("; ");
            let known: Vec<_> =
                lines.iter().map(|(line, _)| format!("`{client}` {line}")).collect();
            let line = node.line();
            hits.push(match feature {
                Some((_, feature)) => Hit::new(format!(
                    "meshwise-messaging is not told of `{client}` {line}: its feature `{feature}` is off"
                ))
                .at(facts.features_of("meshwise-messaging"))
                .seen(seen)
                .help(format!(
                    "meshwise-messaging = {{ version = \"{}\", features = [\"{feature}\"] }}",
                    messaging.line()
                )),
                None => Hit::new(format!(
                    "meshwise-messaging {} does not know `{client}` {line}, but {}",
                    messaging.version(),
                    join(&known)
                ))
                .at(facts.dependency(client))
                .seen(seen)
                .help(format!(
                    "use a line that it knows, or write a `Carrier` for {client} {line}: two functions"
                )),
            });
        }
    }
    hits
}
