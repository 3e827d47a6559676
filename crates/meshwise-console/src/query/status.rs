//! What the console itself holds, and what it could not keep.

use crate::{
    shared::Shared,
    store::{Counts, Store},
    watch::Watched,
};
use serde::Serialize;
use std::sync::atomic::Ordering;

/// Is the console's own state.
#[derive(Debug, Serialize)]
pub(crate) struct Status {
    version: &'static str,
    now: u64,
    started: u64,
    /// Where OTLP is taken: gRPC and HTTP.
    otlp: [String; 2],
    memory: usize,
    budget: usize,
    traces: usize,
    spans: usize,
    logs: usize,
    series: usize,
    came: Counts,
    evicted_spans: u64,
    evicted_logs: u64,
    /// Data of services past the limit, edges, series, requests, connections.
    refused: Refused,
    services: Vec<ServiceStatus>,
    targets: Vec<TargetStatus>,
    /// What a session file held, if one is replayed.
    replay: Option<ReplayStatus>,
    /// Requests that are not in the session file; none if none is written.
    not_saved: Option<u64>,
}

#[derive(Debug, Serialize)]
struct Refused {
    services: u64,
    replaced_services: u64,
    edges: u64,
    series: u64,
    requests: u64,
    connections: u64,
    targets: u64,
}

#[derive(Debug, Serialize)]
struct ReplayStatus {
    lines: u64,
    unread: u64,
    done: bool,
    /// The end of the session, where the console's clock stands, in milliseconds of Unix time; none once
    /// something else came.
    stands_at: Option<u64>,
}

#[derive(Debug, Serialize)]
struct ServiceStatus {
    name: String,
    version: Option<String>,
    spans: usize,
    logs: usize,
    series: usize,
    memory: usize,
    evicted_spans: u64,
    evicted_logs: u64,
    first: u64,
    last: u64,
    /// How far its clock is ahead, in milliseconds.
    ahead: i64,
}

#[derive(Debug, Serialize)]
struct TargetStatus {
    service: String,
    address: String,
    answered: Option<u64>,
    problem: Option<String>,
}

/// Reads the state.
pub(crate) fn status(shared: &Shared, store: &Store, watched: &Watched, now: u64) -> Status {
    let [requests, connections] = shared.turned_away();
    let services: Vec<_> = store
        .services
        .iter()
        .map(|(_, service)| ServiceStatus {
            name: service.name.to_string(),
            version: service.version.clone(),
            spans: service.spans.rows(),
            logs: service.logs.rows(),
            series: service.series.len(),
            memory: service.memory(),
            evicted_spans: service.spans.evicted,
            evicted_logs: service.logs.evicted,
            first: service.first,
            last: service.last,
            ahead: service.ahead,
        })
        .collect();
    let refused_series = store.services.iter().map(|(_, service)| service.series.refused).sum();
    Status {
        version: env!("CARGO_PKG_VERSION"),
        now,
        started: shared.started,
        otlp: shared.otlp.map(|address| address.to_string()),
        memory: store.memory(),
        budget: store.budget,
        traces: store.traces.with_spans,
        spans: services.iter().map(|service| service.spans).sum(),
        logs: services.iter().map(|service| service.logs).sum(),
        series: services.iter().map(|service| service.series).sum(),
        came: store.counts,
        evicted_spans: services.iter().map(|service| service.evicted_spans).sum(),
        evicted_logs: services.iter().map(|service| service.evicted_logs).sum(),
        refused: Refused {
            services: store.services.refused,
            replaced_services: store.services.replaced,
            edges: store.edges.refused,
            series: refused_series,
            requests,
            connections,
            targets: watched.refused,
        },
        services,
        targets: watched
            .all
            .iter()
            .map(|watch| TargetStatus {
                service: watch.service.clone(),
                address: watch.address.to_string(),
                answered: watch.answered,
                problem: watch.problem.clone(),
            })
            .collect(),
        replay: shared.replayed.as_ref().map(|replayed| ReplayStatus {
            lines: replayed.lines.load(Ordering::Relaxed),
            unread: replayed.unread.load(Ordering::Relaxed),
            done: shared.clock.has_replayed(),
            stands_at: shared.clock.stands_at(),
        }),
        not_saved: shared.saver.as_ref().map(crate::save::Saver::lost),
    }
}
