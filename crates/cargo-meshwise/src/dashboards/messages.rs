//! Queues: what is sent and processed, and how far consumers are behind.

use super::grafana::{CHOSEN, Dashboard, Panel, WINDOW};
use meshwise_core::internal::catalogue::{
    CONSUMER_AGE, CONSUMER_LAG, MESSAGES_DUPLICATE, MESSAGES_SETTLED,
    MESSAGING_CLIENT_CONSUMED_MESSAGES, MESSAGING_CLIENT_SENT_MESSAGES,
    MESSAGING_PROCESS_DURATION as PROCESS,
};

pub(super) fn page() -> Dashboard {
    let rate =
        |metric: String, by: &str| format!("sum by ({by}) (rate({metric}{{{CHOSEN}}}[{WINDOW}]))");
    let flow = vec![
        Panel::lines("Sent a second", "Messages that producers tried to send, by destination.")
            .query(
                "{{job}} → {{messaging_destination_name}}",
                rate(MESSAGING_CLIENT_SENT_MESSAGES.to_string(), "job, messaging_destination_name"),
            ),
        Panel::lines("Consumed a second", "Messages that were handed to consumers, by group.")
            .query(
                "{{messaging_destination_name}} → {{messaging_consumer_group_name}}",
                rate(
                    MESSAGING_CLIENT_CONSUMED_MESSAGES.to_string(),
                    "messaging_destination_name, messaging_consumer_group_name",
                ),
            ),
        Panel::lines(
            "99th percentile of processing",
            "99 of 100 messages lasted no longer than this.",
        )
        .unit("s")
        .exemplars()
        .query(
            "{{job}} {{messaging_destination_name}}",
            format!(
                "histogram_quantile(0.99, sum by (job, messaging_destination_name, le) \
                     (rate({PROCESS}_bucket{{{CHOSEN}}}[{WINDOW}])))"
            ),
        ),
    ];
    let group = "messaging_destination_name, messaging_consumer_group_name";
    let behind = vec![
        Panel::lines("Lag", "Messages that a consumer group has not processed yet.").query(
            "{{messaging_destination_name}} → {{messaging_consumer_group_name}}",
            format!("sum by ({group}) ({CONSUMER_LAG}{{{CHOSEN}}})"),
        ),
        Panel::lines("Age", "Age of the oldest message in hand; grows while a handler hangs.")
            .unit("s")
            .query(
                "{{messaging_destination_name}} → {{messaging_consumer_group_name}}",
                format!("max by ({group}) ({CONSUMER_AGE}{{{CHOSEN}}})"),
            ),
        Panel::lines("Settled a second", "Messages that were settled, by outcome.").query(
            "{{messaging_destination_name}} {{outcome}}",
            rate(MESSAGES_SETTLED.to_string(), "messaging_destination_name, outcome"),
        ),
        Panel::lines(
            "Duplicates a second",
            "Messages that came again and were not processed twice.",
        )
        .query(
            "{{messaging_destination_name}}",
            rate(MESSAGES_DUPLICATE.to_string(), "messaging_destination_name"),
        ),
    ];
    Dashboard {
        name: "messages",
        title: "meshwise / Messages",
        description: "Queues: what is sent and processed, and how far consumers are behind.",
        rows: vec![("Flow", flow), ("Behind", behind)],
    }
}
