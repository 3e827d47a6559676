//! All services at a glance.

use super::grafana::{CHOSEN, Dashboard, Panel, WINDOW};
use meshwise_core::internal::catalogue::{
    BREAKER_STATE, BUILD_INFO, HTTP_SERVER_REQUEST_DURATION as HTTP,
    RPC_SERVER_CALL_DURATION as RPC, SERVICE_GRAPH_FAILED, SERVICE_GRAPH_REQUESTS,
    TELEMETRY_DROPPED,
};

pub(super) fn page() -> Dashboard {
    // A call is HTTP or gRPC, never both; a service may serve only one of them.
    let calls = |labels: &str| {
        format!(
            "sum by ({labels}) (rate({HTTP}_count{{{CHOSEN}}}[{WINDOW}]) \
             or rate({RPC}_count{{{CHOSEN}}}[{WINDOW}]))"
        )
    };
    let failed = |labels: &str| {
        format!(
            "sum by ({labels}) (rate({HTTP}_count{{{CHOSEN},error_type!=\"\"}}[{WINDOW}]) \
             or rate({RPC}_count{{{CHOSEN},error_type!=\"\"}}[{WINDOW}]))"
        )
    };
    // A service without a failure has no series of failures: 0 of its calls failed.
    let ratio = |by: &str| format!("({} or 0 * {}) / ({} > 0)", failed(by), calls(by), calls(by));
    let quantile = |q: &str, by: &str| {
        format!(
            "histogram_quantile({q}, sum by ({by}) (rate({HTTP}_bucket{{{CHOSEN}}}[{WINDOW}]) \
             or rate({RPC}_bucket{{{CHOSEN}}}[{WINDOW}])))"
        )
    };
    let now = vec![
        Panel::stat("Services", "Services that a scrape reached, by job.")
            .query("", format!("count(count by (job) ({BUILD_INFO}{{{CHOSEN}}}))")),
        Panel::stat("Calls a second", "Calls that all services served, HTTP and gRPC.")
            .unit("reqps")
            .query("", calls("")),
        Panel::stat("Failed calls", "Share of calls that failed on the server's side.")
            .unit("percentunit")
            .red_from(0.01)
            .query("", ratio("")),
        Panel::stat("99th percentile", "99 of 100 calls lasted no longer than this.")
            .unit("s")
            .query("", quantile("0.99", "le")),
        Panel::stat("Open breakers", "Peers that some instance does not call now.")
            .red_from(1.0)
            .query("", format!("sum({BREAKER_STATE}{{{CHOSEN}}} == bool 2)")),
        Panel::stat("Telemetry lost", "Log lines, spans and points lost within an hour.")
            .red_from(1.0)
            .query("", format!("sum(increase({TELEMETRY_DROPPED}{{{CHOSEN}}}[1h]))")),
    ];
    let over_time = vec![
        Panel::lines("Calls a second", "Calls that each service served, HTTP and gRPC.")
            .unit("reqps")
            .query("{{job}}", calls("job")),
        Panel::lines("Failed calls", "Share of each service's calls that failed on its side.")
            .unit("percentunit")
            .query("{{job}}", ratio("job")),
        Panel::lines("99th percentile", "99 of 100 calls of a service lasted no longer than this.")
            .unit("s")
            .exemplars()
            .query("{{job}}", quantile("0.99", "job, le")),
    ];
    let edges = "client, server, connection_type";
    let map = vec![
        Panel::table("Edges", "Who calls whom, calls a second; undeclared calls are named so.")
            .unit("reqps")
            .query(
                "",
                format!("sum by ({edges}) (rate({SERVICE_GRAPH_REQUESTS}{{{CHOSEN}}}[{WINDOW}]))"),
            ),
        Panel::table("Red edges", "Edges with calls that fail, and the share that does.")
            .unit("percentunit")
            .query(
                "",
                format!(
                    "sum by ({edges}) (rate({SERVICE_GRAPH_FAILED}{{{CHOSEN}}}[{WINDOW}])) \
                     / sum by ({edges}) (rate({SERVICE_GRAPH_REQUESTS}{{{CHOSEN}}}[{WINDOW}])) > 0"
                ),
            ),
    ];
    let builds = vec![
        Panel::table("What runs", "Each service's instances by version, and meshwise's in them.")
            .query("", format!(
                "count by (job, service_namespace, service_version, version) ({BUILD_INFO}{{{CHOSEN}}})"
            )),
    ];
    Dashboard {
        name: "overview",
        title: "meshwise / Overview",
        description: "All services: how much is called, how much of it fails, how long it takes.",
        rows: vec![("Now", now), ("Services", over_time), ("Map", map), ("Builds", builds)],
    }
}
