//! What is wrong now, the likeliest cause first.

use super::map::{EdgeView, Map};
use crate::{store::Store, watch::Watch};
use serde::Serialize;

/// A share of failed calls from which an edge or a service is said to fail.
const FAILING: f64 = 0.05;
/// Fewer calls say nothing.
const CALLS: u64 = 3;
/// A clock that is further off is told, in milliseconds: ahead, and behind.
const AHEAD: i64 = 2_000;
const BEHIND: i64 = -600_000;
/// A service whose ops pages answered, and have not for so many milliseconds, does not answer; after so
/// many, it is no longer missed.
const GONE: std::ops::Range<u64> = 5_000..600_000;
/// So many problems are listed.
const LISTED: usize = 12;

/// Is a problem.
#[derive(Debug, Serialize)]
pub(crate) struct Problem {
    /// 3 callers notice; 2 one should look; 1 good to know.
    pub(crate) severity: u8,
    /// `edge`, `service`, `breaker`, `gone`, `deprecated`, `undeclared` or `clock`.
    pub(crate) kind: &'static str,
    pub(crate) subject: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) client: Option<String>,
    pub(crate) share: f64,
    pub(crate) detail: String,
    /// Whether what it calls fails too, so that it is most likely not the cause.
    pub(crate) passed_on: bool,
    /// Since when, in milliseconds of Unix time, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) since: Option<u64>,
}

/// Lists problems, the worst and deepest first.
pub(crate) fn list(store: &Store, watches: &[Watch], map: &Map, now: u64) -> Vec<Problem> {
    let mut problems = Vec::new();
    let fails = |edge: &&EdgeView| edge.figures.share >= FAILING && edge.figures.calls >= CALLS;
    let failing: Vec<_> = map.edges.iter().filter(fails).collect();
    for edge in &failing {
        let passed_on = failing.iter().any(|other| other.client == edge.server);
        problems.push(Problem {
            severity: 3,
            kind: "edge",
            subject: edge.server.clone(),
            client: Some(edge.client.clone()),
            share: edge.figures.share,
            detail: format!("{} of {} calls", edge.figures.failed, edge.figures.calls),
            passed_on,
            since: None,
        });
    }
    for node in map.nodes.iter().filter(|node| node.kind == "service") {
        let known = failing.iter().any(|edge| edge.server == node.name);
        if node.figures.share >= FAILING && node.figures.calls >= CALLS && !known {
            problems.push(Problem {
                severity: 3,
                kind: "service",
                subject: node.name.clone(),
                client: None,
                share: node.figures.share,
                detail: format!("{} of {} calls", node.figures.failed, node.figures.calls),
                passed_on: failing.iter().any(|edge| edge.client == node.name),
                since: None,
            });
        }
    }
    // What a service said before it went silent holds no more.
    for watch in watches.iter().filter(|watch| watch.problem.is_none()) {
        for (peer, changes) in &watch.breakers {
            let Some((since, state)) = changes.back() else { continue };
            if state != "closed" && state != "disabled" {
                problems.push(Problem {
                    severity: if state == "half_open" { 2 } else { 3 },
                    kind: "breaker",
                    subject: peer.clone(),
                    client: Some(watch.service.clone()),
                    share: 0.0,
                    detail: state.replace('_', " "),
                    passed_on: false,
                    since: Some(*since),
                });
            }
        }
    }
    for watch in watches.iter().filter(|watch| watch.problem.is_some()) {
        let Some(since) = watch.answered else { continue };
        let other = |other: &Watch| other.service == watch.service && other.problem.is_none();
        let told = problems.iter().any(|p| p.kind == "gone" && p.subject == watch.service);
        if GONE.contains(&now.saturating_sub(since)) && !told && !watches.iter().any(other) {
            problems.push(Problem {
                severity: 2,
                kind: "gone",
                subject: watch.service.clone(),
                client: None,
                share: 0.0,
                detail: watch.address.to_string(),
                passed_on: false,
                since: Some(since),
            });
        }
    }
    for edge in &map.edges {
        let mut note = |kind, detail: String| {
            problems.push(Problem {
                severity: 1,
                kind,
                subject: edge.server.clone(),
                client: Some(edge.client.clone()),
                share: 0.0,
                detail,
                passed_on: false,
                since: None,
            });
        };
        if !edge.deprecated.is_empty() {
            note("deprecated", edge.deprecated.join(", "));
        }
        if edge.undeclared {
            note("undeclared", String::new());
        }
    }
    for (_, service) in store.services.iter() {
        let recent = now.saturating_sub(service.last) < 60_000 && service.spans.rows() > 0;
        if recent && !(BEHIND..=AHEAD).contains(&service.ahead) {
            problems.push(Problem {
                severity: 1,
                kind: "clock",
                subject: service.name.to_string(),
                client: None,
                share: 0.0,
                detail: service.ahead.to_string(),
                passed_on: false,
                since: None,
            });
        }
    }
    problems.sort_by(|a, b| {
        let rank = |p: &Problem| (std::cmp::Reverse(p.severity), p.passed_on);
        rank(a).cmp(&rank(b)).then(b.share.total_cmp(&a.share))
    });
    problems.truncate(LISTED);
    problems
}
