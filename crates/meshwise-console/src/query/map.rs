//! The map: services and who calls whom.
//!
//! Edges come from pairs of spans. Where a service counts its calls itself
//! (`traces_service_graph_*`), those counts say how many there were, for spans may be sampled.

use super::numbers::{rate, round};
use crate::{
    store::{
        Store,
        edges::{EdgeName, Kind},
        red::{STEP, Sum},
        series::Line,
    },
    watch::Watch,
};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// So many points has a spark line.
const SPARK: usize = 24;
/// Spans of this share of the calls and more are those of all: the others are on their way.
const WHOLE: f64 = 0.8;

/// Is the map.
#[derive(Debug, Serialize)]
pub(crate) struct Map {
    pub(crate) nodes: Vec<Node>,
    pub(crate) edges: Vec<EdgeView>,
    pub(crate) refused: u64,
}

/// Is a node.
#[derive(Debug, Serialize)]
pub(crate) struct Node {
    pub(crate) name: String,
    /// `service`, `peer`, `database`, `queue` or `user`.
    pub(crate) kind: &'static str,
    #[serde(flatten)]
    pub(crate) figures: Figures,
    pub(crate) version: Option<String>,
}

/// Says how calls went.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Figures {
    pub(crate) calls: u64,
    pub(crate) failed: u64,
    /// Calls a second.
    pub(crate) rate: f64,
    /// The share that failed, 0 to 1.
    pub(crate) share: f64,
    /// Milliseconds.
    pub(crate) p50: Option<f64>,
    pub(crate) p99: Option<f64>,
}

impl Figures {
    /// Says how the calls went that came in so many milliseconds.
    pub(crate) fn of(sum: &Sum, window: u64) -> Self {
        Self {
            calls: sum.calls,
            failed: sum.failed,
            rate: rate(sum.calls, window),
            share: round(sum.share()),
            p50: sum.quantile(0.5).map(round),
            p99: sum.quantile(0.99).map(round),
        }
    }
}

/// Is an edge.
#[derive(Debug, Serialize)]
pub(crate) struct EdgeView {
    pub(crate) client: String,
    pub(crate) server: String,
    pub(crate) kind: &'static str,
    #[serde(flatten)]
    pub(crate) figures: Figures,
    /// Calls a second, and failed ones, in each of the last steps of 5 s.
    pub(crate) spark: Vec<(u64, u64)>,
    /// Whether the client's own metrics say how many calls there were.
    pub(crate) counted: bool,
    /// Calls that no requirement of the client's declares.
    pub(crate) undeclared: bool,
    /// Deprecated versions that are called over it: `api version`.
    pub(crate) deprecated: Vec<String>,
    /// The breaker's state, where the client says it.
    pub(crate) breaker: Option<String>,
    /// Instances of the server that the client has ejected.
    pub(crate) ejected: f64,
    pub(crate) last: u64,
}

/// Draws the map of the last `window` milliseconds.
pub(crate) fn map(store: &Store, watches: &[Watch], now: u64, window: u64) -> Map {
    let heard = store.heard(now, window);
    let mut edges: BTreeMap<EdgeName, EdgeView> = BTreeMap::new();
    for (name, edge) in &store.edges.edges {
        let sum = edge.red.sum(now, window);
        if sum.calls == 0 {
            continue;
        }
        let spark = edge.red.steps(now, SPARK).iter().map(|sum| (sum.calls, sum.failed)).collect();
        let mut view = empty(name);
        view.figures = Figures::of(&sum, heard);
        (view.spark, view.last) = (spark, edge.red.last);
        edges.insert(name.clone(), view);
    }
    count(store, now, window, &mut edges);
    for view in edges.values_mut() {
        decorate(store, watches, now, window, view);
    }
    let edges: Vec<_> = edges.into_values().collect();
    let nodes = nodes(store, now, window, &edges);
    Map { nodes, edges, refused: store.edges.refused }
}

fn empty(name: &EdgeName) -> EdgeView {
    EdgeView {
        client: name.client.to_string(),
        server: name.server.to_string(),
        kind: name.kind.name(),
        figures: Figures::default(),
        spark: Vec::new(),
        counted: false,
        undeclared: false,
        deprecated: Vec::new(),
        breaker: None,
        ejected: 0.0,
        last: 0,
    }
}

/// Takes counts from the services' own metrics.
fn count(store: &Store, now: u64, window: u64, edges: &mut BTreeMap<EdgeName, EdgeView>) {
    for (_, service) in store.services.iter() {
        for line in service.series.lines("traces_service_graph_request_total") {
            let (Some(client), Some(server)) = (line.label("client"), line.label("server")) else {
                continue;
            };
            let kind = match line.label("connection_type") {
                Some("messaging_system") => Kind::Messaging,
                Some("database") => Kind::Database,
                _ => Kind::Call,
            };
            let Some((calls, over)) = line.growth(now, window) else { continue };
            if calls <= 0.0 {
                continue;
            }
            let failed = service
                .series
                .lines("traces_service_graph_request_failed_total")
                .find(|failed| failed.labels == line.labels)
                .and_then(|failed| failed.growth(now, window))
                .map_or(0.0, |(failed, _)| failed);
            let name = EdgeName { client: client.into(), server: server.into(), kind };
            let view = edges.entry(name.clone()).or_insert_with(|| empty(&name));
            // Spans of nearly all calls know more: a 4xx is an error of the caller's, and no failure of the
            // peer's.
            #[expect(clippy::cast_precision_loss, reason = "counts")]
            let failed = match view.figures.calls as f64 >= calls * WHOLE {
                true => view.figures.share * calls,
                false => failed,
            };
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts")]
            {
                view.figures.calls = calls as u64;
                view.figures.failed = failed as u64;
            }
            #[expect(clippy::cast_precision_loss, reason = "milliseconds")]
            {
                view.figures.rate = round(calls / (over as f64 / 1e3));
            }
            view.undeclared |= line.label("connection_type") == Some("undeclared");
            view.figures.share = round((failed / calls).clamp(0.0, 1.0));
            (view.counted, view.last) = (true, now);
        }
    }
}

/// Adds what the client's ops pages and metrics say of the peer.
fn decorate(store: &Store, watches: &[Watch], now: u64, window: u64, view: &mut EdgeView) {
    let watch =
        watches.iter().find(|watch| watch.service == view.client && watch.problem.is_none());
    view.breaker = watch
        .and_then(|watch| watch.breakers.get(&view.server)?.back().map(|(_, state)| state.clone()));
    let Some(client) = store.services.find(&view.client).and_then(|at| store.services.get(at))
    else {
        return;
    };
    let of_peer = |name| {
        let server = view.server.clone();
        client.series.lines(name).filter(move |line| line.label("peer") == Some(server.as_str()))
    };
    if view.breaker.is_none() {
        let state = of_peer("meshwise_breaker_state").find_map(Line::value);
        view.breaker = state.map(|state| {
            let state = if state > 1.5 {
                "open"
            } else if state > 0.5 {
                "half_open"
            } else {
                "closed"
            };
            state.to_owned()
        });
    }
    view.undeclared |= of_peer("meshwise_api_undeclared_calls_total")
        .any(|line| line.growth(now, window).is_some_and(|(grown, _)| grown > 0.0));
    view.ejected = of_peer("meshwise_instances")
        .filter(|line| line.label("state") == Some("ejected"))
        .filter_map(Line::value)
        .sum();
    if let Some(server) = store.services.find(&view.server).and_then(|at| store.services.get(at)) {
        let called: BTreeSet<_> = server
            .series
            .lines("meshwise_api_calls_total")
            .filter(|line| line.label("caller") == Some(view.client.as_str()))
            .filter(|line| line.label("state") == Some("deprecated"))
            .filter(|line| line.growth(now, window).is_some_and(|(grown, _)| grown > 0.0))
            .filter_map(|line| Some(format!("{} {}", line.label("api")?, line.label("version")?)))
            .collect();
        view.deprecated = called.into_iter().collect();
    }
}

fn nodes(store: &Store, now: u64, window: u64, edges: &[EdgeView]) -> Vec<Node> {
    let heard = store.heard(now, window);
    let mut nodes: BTreeMap<&str, Node> = BTreeMap::new();
    for (_, service) in store.services.iter() {
        let sum = service.red.sum(now, window);
        let silent = now.saturating_sub(service.last) > window.max(STEP * 12);
        if sum.calls == 0 && silent {
            continue;
        }
        nodes.insert(
            &service.name,
            Node {
                name: service.name.to_string(),
                kind: "service",
                figures: Figures::of(&sum, heard),
                version: service.version.clone(),
            },
        );
    }
    for edge in edges {
        for (name, is_server) in [(&edge.client, false), (&edge.server, true)] {
            nodes.entry(name).or_insert_with(|| Node {
                name: name.clone(),
                kind: match edge.kind {
                    _ if name == crate::store::USER => "user",
                    "messaging" => "queue",
                    "database" if is_server => "database",
                    _ => "peer",
                },
                figures: if is_server { edge.figures.clone() } else { Figures::default() },
                version: None,
            });
        }
    }
    nodes.into_values().collect()
}
