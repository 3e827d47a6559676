//! The map as text for people.

use std::fmt::Write as _;

use super::{Edge, Map};
use crate::output::{count, paint, style};

/// Writes each service with what it requires, and where it gets it.
#[must_use]
pub(crate) fn text(map: &Map) -> String {
    let mut out = String::new();
    let mut edges = map.edges.iter().peekable();
    for service in &map.services {
        // Writing to a String cannot fail.
        let _ = write!(out, "{}", paint(style::STRONG, &service.name));
        if let Some(owner) = &service.owner {
            let _ = write!(out, " ({owner})");
        }
        if !service.provides.is_empty() {
            let _ = write!(out, " provides {}", service.provides.join(", "));
        }
        out.push('\n');
        while let Some(edge) = edges.next_if(|edge| edge.caller == service.name) {
            let _ = writeln!(out, "  {}", line(edge));
        }
    }
    let _ = writeln!(
        out,
        "{}, {}",
        count(map.services.len(), "service"),
        count(map.edges.len(), "requirement")
    );
    out
}

fn line(edge: &Edge) -> String {
    let asked = format!("{}@{}", edge.api, edge.required);
    match &edge.provider {
        None if edge.unchecked => format!("{asked} <- {}", resolution(edge)),
        Some(provider) if edge.resolved.is_none() => {
            format!("{asked} <- {provider}: {}", resolution(edge))
        }
        Some(provider) => format!("{asked} <- {provider} {}", resolution(edge)),
        None => format!("{asked} <- {}", paint(style::ERROR, "no service provides it")),
    }
}

/// Says which version serves a requirement, and how long.
#[must_use]
pub(crate) fn resolution(edge: &Edge) -> String {
    let Some(resolved) = &edge.resolved else {
        return match edge.unchecked {
            true => paint(style::WARNING, "not checked: not all services could be read"),
            false => paint(style::ERROR, "no version that is compatible"),
        };
    };
    let Some(state) = edge.state else {
        return resolved.clone();
    };
    let mut out = format!("{resolved} ");
    out += &match state {
        meshwise_api::State::Current => paint(style::GOOD, state),
        meshwise_api::State::Retired => paint(style::ERROR, state),
        _ => paint(style::WARNING, state),
    };
    if let Some(sunset) = edge.sunset {
        let _ = write!(out, ", sunset {sunset}");
    }
    if let Some(successor) = &edge.successor {
        let _ = write!(out, ", use {successor}");
    }
    out
}
