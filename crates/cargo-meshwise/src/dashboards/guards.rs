//! What the guards do: breakers, refusals, retries, hedges, bulkheads.

use super::grafana::{CHOSEN, Dashboard, Panel, WINDOW};
use meshwise_core::internal::catalogue::{
    BREAKER_STATE, BREAKER_TRANSITIONS, BULKHEAD_IN_USE, CALLS_REFUSED, HEDGES, RETRIES,
};

pub(super) fn page() -> Dashboard {
    let breakers = vec![
        Panel::lines("Breakers", "0 closed, 1 half-open, 2 open; of all instances the worst.")
            .red_from(2.0)
            .query(
                "{{job}} → {{peer}}",
                format!("max by (job, peer) ({BREAKER_STATE}{{{CHOSEN}}})"),
            ),
        Panel::lines("Transitions", "Changes of breakers' states in ten minutes, by the new one.")
            .query(
                "{{job}} → {{peer}} {{to}}",
                format!(
                    "sum by (job, peer, to) (increase({BREAKER_TRANSITIONS}{{{CHOSEN}}}[10m]))"
                ),
            ),
        Panel::table(
            "Instances with an open breaker",
            "1: the instance does not call the peer now.",
        )
        .query("", format!("max by (job, instance, peer) ({BREAKER_STATE}{{{CHOSEN}}} == bool 2)")),
    ];
    let rate = |metric: String, label: &str| {
        format!("sum by (job, peer, {label}) (rate({metric}{{{CHOSEN}}}[{WINDOW}]))")
    };
    let calls = vec![
        Panel::lines("Refused calls a second", "Calls that a guard refused or broke off, by rule.")
            .unit("reqps")
            .query("{{job}} → {{peer}} {{reason}}", rate(CALLS_REFUSED.to_string(), "reason")),
        Panel::lines("Retries a second", "Calls that were, or were not, tried again, by result.")
            .unit("reqps")
            .query("{{job}} → {{peer}} {{result}}", rate(RETRIES.to_string(), "result")),
        Panel::lines("Hedges a second", "Second attempts beside slow ones: won or lost.")
            .unit("reqps")
            .query("{{job}} → {{peer}} {{result}}", rate(HEDGES.to_string(), "result")),
        Panel::lines("Bulkheads in use", "Calls to a peer that hold a place in its bulkhead.")
            .query(
                "{{job}} → {{peer}}",
                format!("sum by (job, peer) ({BULKHEAD_IN_USE}{{{CHOSEN}}})"),
            ),
    ];
    Dashboard {
        name: "guards",
        title: "meshwise / Guards",
        description: "Breakers, refusals, retries, hedges and bulkheads, by service and peer.",
        rows: vec![("Breakers", breakers), ("Calls", calls)],
    }
}
