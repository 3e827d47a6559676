//! What a service calls: its peers and their instances.

use super::grafana::{CHOSEN, Dashboard, Panel, WINDOW};
use meshwise_core::internal::catalogue::{
    EJECTIONS, HTTP_CLIENT_ACTIVE_REQUESTS, HTTP_CLIENT_REQUEST_DURATION as HTTP, INSTANCES,
    RPC_CLIENT_CALL_DURATION as RPC,
};

pub(super) fn page() -> Dashboard {
    let both = |series: &str, labels: &str, by: &str| {
        format!(
            "sum by ({by}) (rate({HTTP}_{series}{{{CHOSEN}{labels}}}[{WINDOW}]) \
             or rate({RPC}_{series}{{{CHOSEN}{labels}}}[{WINDOW}]))"
        )
    };
    let edges = vec![
        Panel::lines("Calls a second", "Attempts at each peer, by the service that makes them.")
            .unit("reqps")
            .query(
                "{{job}} → {{server_service_name}}",
                both("count", "", "job, server_service_name"),
            ),
        Panel::lines("Failures by type", "Attempts that failed, by error.type; 4xx count here.")
            .unit("reqps")
            .query(
                "{{job}} → {{server_service_name}} {{error_type}}",
                both("count", ",error_type!=\"\"", "job, server_service_name, error_type"),
            ),
        Panel::lines("99th percentile", "99 of 100 attempts at a peer lasted no longer than this.")
            .unit("s")
            .exemplars()
            .query(
                "{{job}} → {{server_service_name}}",
                format!(
                    "histogram_quantile(0.99, {})",
                    both("bucket", "", "job, server_service_name, le")
                ),
            ),
    ];
    let instances = vec![
        Panel::lines("Calls a second by instance", "Attempts at each address of each peer.")
            .unit("reqps")
            .query(
                "{{server_service_name}} {{server_address}}:{{server_port}}",
                format!(
                    "sum by (server_service_name, server_address, server_port) \
                     (rate({HTTP}_count{{{CHOSEN}}}[{WINDOW}]))"
                ),
            ),
        Panel::lines("Failures by instance", "Attempts that failed, by the peer's address.")
            .unit("reqps")
            .query(
                "{{server_service_name}} {{server_address}}:{{server_port}}",
                format!(
                    "sum by (server_service_name, server_address, server_port) \
                     (rate({HTTP}_count{{{CHOSEN},error_type!=\"\"}}[{WINDOW}]))"
                ),
            ),
        Panel::lines(
            "In flight by instance",
            "Calls that wait for an answer, by the peer's address.",
        )
        .query(
            "{{server_service_name}} {{server_address}}:{{server_port}}",
            format!(
                "sum by (server_service_name, server_address, server_port) \
                     ({HTTP_CLIENT_ACTIVE_REQUESTS}{{{CHOSEN}}})"
            ),
        ),
        Panel::lines(
            "Instances by state",
            "Known instances of a peer: ready, ejected, slow_start.",
        )
        .query(
            "{{job}} → {{peer}} {{state}}",
            format!("sum by (job, peer, state) ({INSTANCES}{{{CHOSEN}}})"),
        ),
        Panel::lines("Ejections", "Instances taken out of balancing in ten minutes, by cause.")
            .query(
                "{{job}} → {{peer}} {{cause}}",
                format!("sum by (job, peer, cause) (increase({EJECTIONS}{{{CHOSEN}}}[10m]))"),
            ),
    ];
    Dashboard {
        name: "peers",
        title: "meshwise / Peers and instances",
        description: "What services call: each peer, and each instance of it.",
        rows: vec![("Peers", edges), ("Instances", instances)],
    }
}
