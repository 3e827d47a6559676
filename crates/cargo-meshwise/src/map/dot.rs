//! The map as Graphviz.

use std::fmt::Write as _;

use super::{Map, colour};

/// Writes a `digraph`: services as nodes, one edge for each requirement.
#[must_use]
pub(crate) fn dot(map: &Map) -> String {
    let mut out = String::from("digraph apis {\n  rankdir=LR;\n  node [shape=box];\n");
    for service in &map.services {
        let label = match &service.owner {
            Some(owner) => format!("{}\n{owner}", service.name),
            None => service.name.clone(),
        };
        // Writing to a String cannot fail.
        let _ = writeln!(out, "  {} [label={}];", quoted(&service.name), quoted(&label));
    }
    for edge in &map.edges {
        let to = match &edge.provider {
            Some(provider) => quoted(provider),
            None => {
                let missing = quoted(&format!("? {}", edge.api));
                let _ = writeln!(out, "  {missing} [style=dashed, color=red];");
                missing
            }
        };
        let label = quoted(&edge.label());
        let _ = write!(out, "  {} -> {to} [label={label}", quoted(&edge.caller));
        if let Some(colour) = colour(edge.state) {
            let _ = write!(out, ", color={colour}");
        }
        out.push_str("];\n");
    }
    out.push_str("}\n");
    out
}

/// Writes a DOT string: quotes and backslashes escaped, line ends as `\n`.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
