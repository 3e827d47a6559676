//! Versions of APIs: which are called, by whom, until when.

use super::grafana::{CHOSEN, Dashboard, Panel, WINDOW};
use meshwise_core::internal::catalogue::{
    API_CALLS, API_COUNTING_SINCE, API_DEPRECATED_RESPONSES, API_SUNSET, API_UNDECLARED_CALLS,
};

const DAY: u32 = 86_400;

pub(super) fn page() -> Dashboard {
    let calls = vec![
        Panel::lines("Calls a second by version", "Calls that were served, by the version asked for.")
            .unit("reqps")
            .query(
                "{{api}} {{version}} ({{state}})",
                format!("sum by (api, version, state) (rate({API_CALLS}{{{CHOSEN}}}[{WINDOW}]))"),
            ),
        Panel::lines("Deprecated calls by caller", "Calls of versions that are deprecated or retired.")
            .unit("reqps")
            .query(
                "{{caller}} → {{api}} {{version}}",
                format!(
                    "sum by (api, version, caller) \
                     (rate({API_CALLS}{{{CHOSEN},state=~\"deprecated|retired\"}}[{WINDOW}]))"
                ),
            ),
        Panel::lines("Told by peers", "Answers by which a peer said that a version is deprecated.")
            .unit("reqps")
            .query(
                "{{job}} → {{api}} {{version}}",
                format!(
                    "sum by (job, api, version) (rate({API_DEPRECATED_RESPONSES}{{{CHOSEN}}}[{WINDOW}]))"
                ),
            ),
    ];
    let people = vec![
        Panel::table("Who still calls what", "Calls of deprecated and retired versions in a day.")
            .query(
                "",
                format!(
                    "sum by (job, api, version, state, caller) \
                     (increase({API_CALLS}{{{CHOSEN},state=~\"deprecated|retired\"}}[1d])) > 0"
                ),
            ),
        Panel::table(
            "Days until sunset",
            "Days until a version may stop working; below 0 it is past.",
        )
        .unit("d")
        .query(
            "",
            format!("min by (job, api, version) ({API_SUNSET}{{{CHOSEN}}} - time()) / {DAY}"),
        ),
        Panel::table("Counted for", "Days that each instance has counted a version's calls.")
            .unit("d")
            .query(
                "",
                format!(
                    "min by (job, api, version) (time() - {API_COUNTING_SINCE}{{{CHOSEN}}}) / {DAY}"
                ),
            ),
        Panel::table("Undeclared calls", "Calls of APIs that the caller's api.toml does not name.")
            .query(
                "",
                format!(
                    "sum by (job, peer, api) (increase({API_UNDECLARED_CALLS}{{{CHOSEN}}}[1d]))"
                ),
            ),
    ];
    Dashboard {
        name: "versions",
        title: "meshwise / Versions and deprecations",
        description: "Which versions of APIs are called, by whom, and until when they may be.",
        rows: vec![("Calls", calls), ("Who and until when", people)],
    }
}
