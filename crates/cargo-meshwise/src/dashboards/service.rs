//! What a service serves, by route and method.

use super::grafana::{CHOSEN, Dashboard, Panel, WINDOW};
use meshwise_core::internal::catalogue::{
    CAPACITY_HEADROOM, HTTP_SERVER_ACTIVE_REQUESTS, HTTP_SERVER_REQUEST_DURATION as HTTP,
    ROUTE_BUSY, ROUTE_CPU, RPC_SERVER_CALL_DURATION as RPC,
};

pub(super) fn page() -> Dashboard {
    let http = vec![
        Panel::lines("Calls a second by route", "HTTP calls that were served, by method and route.")
            .unit("reqps")
            .query(
                "{{http_request_method}} {{http_route}}",
                format!(
                    "sum by (http_request_method, http_route) (rate({HTTP}_count{{{CHOSEN}}}[{WINDOW}]))"
                ),
            ),
        Panel::lines("Answers by status", "HTTP answers a second, by status; 4xx are no failures.")
            .unit("reqps")
            .query(
                "{{http_response_status_code}}",
                format!(
                    "sum by (http_response_status_code) (rate({HTTP}_count{{{CHOSEN}}}[{WINDOW}]))"
                ),
            ),
        Panel::lines("Failures by type", "HTTP calls that failed on this side, by error.type.")
            .unit("reqps")
            .query(
                "{{http_route}} {{error_type}}",
                format!(
                    "sum by (http_route, error_type) \
                     (rate({HTTP}_count{{{CHOSEN},error_type!=\"\"}}[{WINDOW}]))"
                ),
            ),
        quantiles(&HTTP.to_string()),
        Panel::lines("99th percentile by route", "99 of 100 calls of a route lasted no longer than this.")
            .unit("s")
            .exemplars()
            .query(
                "{{http_route}}",
                format!(
                    "histogram_quantile(0.99, sum by (http_route, le) \
                     (rate({HTTP}_bucket{{{CHOSEN}}}[{WINDOW}])))"
                ),
            ),
        Panel::lines("In flight", "HTTP calls that are being served now, by instance.").query(
            "{{job}} {{instance}}",
            format!("sum by (job, instance) ({HTTP_SERVER_ACTIVE_REQUESTS}{{{CHOSEN}}})"),
        ),
    ];
    let grpc = vec![
        Panel::lines("Calls a second by method", "gRPC calls that were served, by method.")
            .unit("reqps")
            .query(
                "{{rpc_method}}",
                format!("sum by (rpc_method) (rate({RPC}_count{{{CHOSEN}}}[{WINDOW}]))"),
            ),
        Panel::lines("Answers by code", "gRPC answers a second, by status code.")
            .unit("reqps")
            .query(
                "{{rpc_status_code}}",
                format!("sum by (rpc_status_code) (rate({RPC}_count{{{CHOSEN}}}[{WINDOW}]))"),
            ),
        quantiles(&RPC.to_string()),
    ];
    let by_route =
        |metric: String| format!("sum by (route) (rate({metric}{{{CHOSEN}}}[{WINDOW}]))");
    let capacity = vec![
        Panel::lines("Headroom", "Share of what an instance can do that is not used; 0 is full.")
            .unit("percentunit")
            .query(
                "{{job}} {{instance}}",
                format!("min by (job, instance) ({CAPACITY_HEADROOM}{{{CHOSEN}}})"),
            ),
        Panel::lines(
            "Processors by route",
            "Processor time that a route's calls take in a second.",
        )
        .query("{{route}}", by_route(ROUTE_CPU.to_string())),
        Panel::lines(
            "Busy by route",
            "Time in a second that a route's code runs or blocks a worker.",
        )
        .query("{{route}}", by_route(ROUTE_BUSY.to_string())),
    ];
    Dashboard {
        name: "service",
        title: "meshwise / Service",
        description: "What a service serves: calls, failures and durations by route and method.",
        rows: vec![("HTTP", http), ("gRPC", grpc), ("Capacity", capacity)],
    }
}

fn quantiles(metric: &str) -> Panel {
    let panel = Panel::lines("Durations", "How long half, 90 and 99 of 100 calls lasted at most.");
    [("50 %", "0.5"), ("90 %", "0.9"), ("99 %", "0.99")].into_iter().fold(
        panel.unit("s").exemplars(),
        |panel, (legend, quantile)| {
            panel.query(
                legend,
                format!(
                    "histogram_quantile({quantile}, sum by (le) \
                     (rate({metric}_bucket{{{CHOSEN}}}[{WINDOW}])))"
                ),
            )
        },
    )
}
