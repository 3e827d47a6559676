//! The map as Mermaid.

use std::{collections::BTreeMap, fmt::Write as _};

use super::{Map, colour};

/// Writes a `flowchart`: services as nodes, one arrow for each requirement.
///
/// Nodes are numbered, because Mermaid gives words such as `end` a meaning of their own.
#[must_use]
pub(crate) fn mermaid(map: &Map) -> String {
    let mut out = String::from("flowchart LR\n");
    let mut ids: BTreeMap<String, usize> = BTreeMap::new();
    let mut node = |out: &mut String, name: String| -> usize {
        let next = ids.len();
        *ids.entry(name).or_insert_with_key(|name| {
            // Writing to a String cannot fail.
            let _ = writeln!(out, "  n{next}[\"{}\"]", escaped(name));
            next
        })
    };
    for service in &map.services {
        node(&mut out, service.name.clone());
    }
    let mut styles = String::new();
    for (at, edge) in map.edges.iter().enumerate() {
        let from = node(&mut out, edge.caller.clone());
        let to = match &edge.provider {
            Some(provider) => node(&mut out, provider.clone()),
            None => node(&mut out, format!("? {}", edge.api)),
        };
        let _ = writeln!(out, "  n{from} -->|\"{}\"| n{to}", escaped(&edge.label()));
        if let Some(colour) = colour(edge.state) {
            let _ = writeln!(styles, "  linkStyle {at} stroke:{colour}");
        }
    }
    out + &styles
}

/// Writes what Mermaid would read as its own as entity codes.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            'a'..='z'
            | 'A'..='Z'
            | '0'..='9'
            | ' '
            | '.'
            | '_'
            | '-'
            | '/'
            | '@'
            | ':'
            | ','
            | '?' => {
                out.push(c);
            }
            c if c.is_control() => out.push(' '),
            c => {
                let _ = write!(out, "#{};", c as u32);
            }
        }
    }
    out
}
