//! The alerts that need no objective.

use super::alert::{Alert, Links, Urgency};
use meshwise_core::internal::catalogue::{
    API_CALLS, API_SUNSET, API_UNDECLARED_CALLS, BREAKER_STATE, CALLS_REFUSED, CONSUMER_AGE,
    CONSUMER_LAG, HTTP_CLIENT_REQUEST_DURATION as HTTP, HTTP_SERVER_REQUEST_DURATION, INSTANCES,
    LABEL_OVERFLOW, MESSAGING_PROCESS_DURATION, RETRIES, RPC_CLIENT_CALL_DURATION as RPC,
    TELEMETRY_DROPPED,
};
use serde_json::{Value, json};

/// A version's last month.
const NEAR: &str = "30 * 86400";

/// Writes the groups of rules.
pub(super) fn groups(links: &Links) -> Vec<Value> {
    let group = |name: &str, alerts: Vec<Alert>| {
        let rules: Vec<Value> = alerts.iter().map(|alert| alert.json(links)).collect();
        json!({ "name": name, "rules": rules })
    };
    vec![
        group("meshwise-peers", peers()),
        group("meshwise-messages", messages()),
        group("meshwise-versions", versions()),
        group("meshwise-telemetry", telemetry()),
    ]
}

/// Finds the log lines of the service that the alert is about.
fn logs_of_job(filter: &str) -> String {
    format!("{{service_name=\"{{{{ $labels.job }}}}\"}} | json{filter}")
}

/// Finds the lines of the calls that the service served and that failed: refusals, retries and single
/// instances have no lines of their own but at the level of debugging.
fn failed_lines() -> String {
    logs_of_job(" | target=\"meshwise::access\" | outcome=\"failure\"")
}

/// Finds the exemplars of the failed calls of a service at a peer.
fn failed_calls() -> Option<String> {
    Some(format!(
        "{HTTP}_bucket{{job=\"{{{{ $labels.job }}}}\",\
         server_service_name=\"{{{{ $labels.peer }}}}\",error_type!=\"\"}} \
         or {RPC}_bucket{{job=\"{{{{ $labels.job }}}}\",\
         server_service_name=\"{{{{ $labels.peer }}}}\",error_type!=\"\"}}"
    ))
}

fn edge() -> String {
    "/map?client={{ $labels.job }}&server={{ $labels.peer }}".to_owned()
}

fn peers() -> Vec<Alert> {
    let of_peer = " | peer=\"{{ $labels.peer }}\"";
    let sent = format!(
        "sum by (job, peer) (label_replace(rate({HTTP}_count[5m]) or rate({RPC}_count[5m]), \
         \"peer\", \"$1\", \"server_service_name\", \"(.*)\"))"
    );
    vec![
        Alert {
            name: "MeshwiseBreakerOpen",
            runbook: "breaker-open",
            severity: Urgency::Page,
            expression: format!("max by (job, peer) ({BREAKER_STATE}) == 2"),
            hold: "1m",
            summary: "{{ $labels.job }} does not call {{ $labels.peer }}: circuit breaker open"
                .to_owned(),
            description: "Too many calls to {{ $labels.peer }} failed or were slow, so that \
                          {{ $labels.job }} refuses them at once and tries now and then."
                .to_owned(),
            logs: logs_of_job(&format!(" | target=\"meshwise::resilience\"{of_peer}")),
            exemplars: failed_calls(),
            console: edge(),
            labels: vec![],
        },
        Alert {
            name: "MeshwiseRetryBudgetExhausted",
            runbook: "retry-budget-exhausted",
            severity: Urgency::Ticket,
            expression: format!(
                "sum by (job, peer) (rate({RETRIES}{{result=\"budget_exhausted\"}}[5m])) > 0"
            ),
            hold: "5m",
            summary: "{{ $labels.job }} may not retry calls to {{ $labels.peer }} any more"
                .to_owned(),
            description: "So many calls fail that retries would add to the load; failures reach \
                          callers of {{ $labels.job }} unretried."
                .to_owned(),
            logs: failed_lines(),
            exemplars: failed_calls(),
            console: edge(),
            labels: vec![],
        },
        Alert {
            name: "MeshwiseDeadlineSpent",
            runbook: "deadline-spent",
            severity: Urgency::Ticket,
            expression: format!(
                "sum by (job, peer) (rate({CALLS_REFUSED}{{reason=\"deadline_exceeded\"}}[5m])) \
                 / on (job, peer) ({sent} > 0) > 0.01"
            ),
            hold: "5m",
            summary: "calls of {{ $labels.job }} reach {{ $labels.peer }} with their time spent"
                .to_owned(),
            description: "More than one of 100 calls had no time left when its turn came: callers \
                          give too little, or something before it takes too long."
                .to_owned(),
            logs: failed_lines(),
            exemplars: Some(format!(
                "{HTTP_SERVER_REQUEST_DURATION}_bucket{{job=\"{{{{ $labels.job }}}}\",error_type!=\"\"}}"
            )),
            console: edge(),
            labels: vec![],
        },
        Alert {
            name: "MeshwiseInstanceEjected",
            runbook: "instance-ejected",
            severity: Urgency::Ticket,
            expression: format!("max by (job, peer) ({INSTANCES}{{state=\"ejected\"}}) > 0"),
            hold: "10m",
            summary: "{{ $labels.job }} leaves out an instance of {{ $labels.peer }}".to_owned(),
            description: "An instance of {{ $labels.peer }} has failed more than the others for \
                          ten minutes; the others carry its load."
                .to_owned(),
            logs: failed_lines(),
            exemplars: failed_calls(),
            console: edge(),
            labels: vec![],
        },
    ]
}

fn messages() -> Vec<Alert> {
    let group = "job, messaging_destination_name, messaging_consumer_group_name";
    // (Lines name the trace of their message, and not where it came from.)
    let lines = || logs_of_job(" | level=~\"WARN|ERROR\"");
    let traces = || {
        Some(format!(
            "{MESSAGING_PROCESS_DURATION}_bucket{{job=\"{{{{ $labels.job }}}}\",\
             messaging_destination_name=\"{{{{ $labels.messaging_destination_name }}}}\"}}"
        ))
    };
    // (A queue is an edge of the map; its node is who takes from it.)
    let console = || "/map?server={{ $labels.job }}".to_owned();
    vec![
        Alert {
            name: "MeshwiseConsumerBehind",
            runbook: "consumer-behind",
            severity: Urgency::Ticket,
            expression: format!(
                "sum by ({group}) ({CONSUMER_LAG}) > 100 \
                 and sum by ({group}) (deriv({CONSUMER_LAG}[10m])) > 0"
            ),
            hold: "10m",
            summary: "{{ $labels.messaging_consumer_group_name }} falls behind on \
                      {{ $labels.messaging_destination_name }}"
                .to_owned(),
            description: "More than 100 messages wait, and they become more: more are sent than \
                          are processed."
                .to_owned(),
            logs: lines(),
            exemplars: traces(),
            console: console(),
            labels: vec![],
        },
        Alert {
            name: "MeshwiseMessageHangs",
            runbook: "message-hangs",
            severity: Urgency::Page,
            expression: format!("max by ({group}) ({CONSUMER_AGE}) > 300"),
            hold: "1m",
            summary: "a message of {{ $labels.messaging_destination_name }} has been in hand for \
                      more than five minutes"
                .to_owned(),
            description: "A handler of {{ $labels.messaging_consumer_group_name }} hangs, or \
                          waits for something that does."
                .to_owned(),
            logs: lines(),
            exemplars: traces(),
            console: console(),
            labels: vec![],
        },
    ]
}

fn versions() -> Vec<Alert> {
    let by = "job, api, version, caller";
    let called =
        |state: &str| format!("sum by ({by}) (increase({API_CALLS}{{state=\"{state}\"}}[1d])) > 0");
    // The calls of the caller, as its provider logs them: an unnamed one's line holds its address.
    let calls = || {
        logs_of_job(
            " | target=\"meshwise::access\" | caller=\"{{ if ne $labels.caller \"unknown\" }}\
             {{ $labels.caller }}{{ end }}\"",
        )
    };
    let console = || "/apis/{{ $labels.api }}".to_owned();
    vec![
        Alert {
            name: "MeshwiseDeprecatedVersionCalled",
            runbook: "deprecated-version-called",
            severity: Urgency::Ticket,
            expression: called("deprecated"),
            hold: "1h",
            summary: "{{ $labels.caller }} still calls {{ $labels.api }} {{ $labels.version }}, \
                      which is deprecated"
                .to_owned(),
            description: "The version stops working at its sunset; its callers must move to its \
                          successor before. `cargo meshwise notify` writes to their owners."
                .to_owned(),
            logs: calls(),
            exemplars: None,
            console: console(),
            labels: vec![],
        },
        Alert {
            name: "MeshwiseRetiredVersionCalled",
            runbook: "retired-version-called",
            severity: Urgency::Page,
            expression: called("retired"),
            hold: "5m",
            summary: "{{ $labels.caller }} calls {{ $labels.api }} {{ $labels.version }}, which \
                      is retired"
                .to_owned(),
            description: "The version's sunset is past; its calls fail, or will at any time."
                .to_owned(),
            logs: calls(),
            exemplars: None,
            console: console(),
            labels: vec![],
        },
        Alert {
            name: "MeshwiseSunsetNear",
            runbook: "sunset-near",
            severity: Urgency::Ticket,
            expression: format!(
                "min by (job, api, version) ({API_SUNSET}) - time() < {NEAR} \
                 and on (job, api, version) \
                 sum by (job, api, version) (increase({API_CALLS}[1d])) > 0"
            ),
            hold: "1h",
            summary: "{{ $labels.api }} {{ $labels.version }} ends within 30 days and is still \
                      called"
                .to_owned(),
            description: "`cargo meshwise who-uses {{ $labels.api }}@{{ $labels.version }}` names \
                          those that need it; move them, or move the date."
                .to_owned(),
            // Each of its callers says once a day which version it was told the end of.
            logs: "{service_name=~\".+\"} | json | target=\"meshwise::api\" \
                   | api=\"{{ $labels.api }}\" | version=\"{{ $labels.version }}\""
                .to_owned(),
            exemplars: None,
            console: console(),
            labels: vec![],
        },
        Alert {
            name: "MeshwiseUndeclaredCall",
            runbook: "undeclared-call",
            severity: Urgency::Ticket,
            expression: format!(
                "sum by (job, peer, api) (increase({API_UNDECLARED_CALLS}[1d])) > 0"
            ),
            hold: "5m",
            summary: "{{ $labels.job }} calls {{ $labels.api }} of {{ $labels.peer }} and does \
                      not declare it"
                .to_owned(),
            description: "No build checks that call, and who-uses does not know of it: declare \
                          it under requires in api.toml."
                .to_owned(),
            logs: logs_of_job(" | peer=\"{{ $labels.peer }}\""),
            exemplars: Some(format!(
                "{HTTP}_bucket{{job=\"{{{{ $labels.job }}}}\",\
                 server_service_name=\"{{{{ $labels.peer }}}}\"}}"
            )),
            console: edge(),
            labels: vec![],
        },
    ]
}

fn telemetry() -> Vec<Alert> {
    vec![
        Alert {
            name: "MeshwiseTelemetryDropped",
            runbook: "telemetry-dropped",
            severity: Urgency::Ticket,
            expression: format!(
                "sum by (job, signal, reason) (increase({TELEMETRY_DROPPED}[10m])) > 0"
            ),
            hold: "5m",
            summary: "{{ $labels.job }} loses {{ $labels.signal }}: {{ $labels.reason }}"
                .to_owned(),
            description: "What you see of {{ $labels.job }} is not all that happened. The reason \
                          says where it was lost."
                .to_owned(),
            logs: logs_of_job(" | level=~\"WARN|ERROR\" | target=~\"meshwise.*\""),
            exemplars: None,
            console: "/services/{{ $labels.job }}".to_owned(),
            labels: vec![],
        },
        Alert {
            name: "MeshwiseLabelsOverflow",
            runbook: "labels-overflow",
            severity: Urgency::Ticket,
            expression: format!("sum by (job, metric, label) (increase({LABEL_OVERFLOW}[1h])) > 0"),
            hold: "5m",
            summary: "{{ $labels.metric }} of {{ $labels.job }} has more values of \
                      {{ $labels.label }} than it may"
                .to_owned(),
            description: "The rest is counted as _other. A label takes something unbounded, such \
                          as an id, or the bound is too low."
                .to_owned(),
            logs: logs_of_job(" | target=~\"meshwise.*\""),
            exemplars: None,
            console: "/services/{{ $labels.job }}".to_owned(),
            labels: vec![],
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::promql;
    use std::collections::BTreeSet;

    fn all() -> Vec<Alert> {
        [peers(), messages(), versions(), telemetry()].into_iter().flatten().collect()
    }

    #[test]
    fn each_expression_asks_only_for_what_is_counted() {
        for alert in all() {
            for expression in std::iter::once(&alert.expression).chain(&alert.exemplars) {
                let problems = promql::unknown(expression);
                assert!(problems.is_empty(), "{}: {problems:?}", alert.name);
            }
        }
    }

    #[test]
    fn each_query_of_lines_asks_only_for_what_lines_have() {
        // Those of all lines, of the access log, of `meshwise::resilience` and of `meshwise::api`.
        const FIELDS: [&str; 8] =
            ["json", "level", "target", "outcome", "caller", "peer", "api", "version"];
        for alert in all() {
            let stages = alert.logs.split(" | ").skip(1);
            for field in stages.filter_map(|stage| stage.split(['=', '!', '~']).next()) {
                assert!(FIELDS.contains(&field), "{}: no line has {field}", alert.name);
            }
        }
    }

    #[test]
    fn each_link_leads_to_what_the_console_has() {
        for alert in all() {
            let labels = alert.console.split("$labels.").skip(1);
            for label in labels.filter_map(|rest| rest.split_whitespace().next()) {
                let known = ["job", "peer", "api"].contains(&label);
                assert!(known, "{}: the console has no page of a {label}", alert.name);
            }
        }
    }

    #[test]
    fn each_alert_has_its_runbook_and_each_runbook_its_alert() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/runbooks");
        let mut files: BTreeSet<String> = std::fs::read_dir(folder)
            .expect("the runbooks")
            .map(|entry| entry.expect("a file").file_name().into_string().expect("a name"))
            .collect();
        let burn = ("MeshwiseErrorBudgetBurn", super::super::burn::RUNBOOK);
        let named = all().into_iter().map(|alert| (alert.name, alert.runbook));
        for (alert, runbook) in named.chain([burn]) {
            let file = format!("{runbook}.md");
            assert!(files.remove(&file), "{alert} has no docs/runbooks/{file} of its own");
            let text = std::fs::read_to_string(format!("{folder}/{file}")).expect("a runbook");
            assert!(text.starts_with(&format!("# {alert}\n")), "{file} is not about {alert}");
            for part in ["## Means", "## Look", "## Do", "## Never again"] {
                assert!(text.contains(part), "{file} has no {part}");
            }
        }
        assert!(files.is_empty(), "no alert leads to {files:?}");
    }

    #[test]
    fn templates_name_labels_that_the_expression_keeps() {
        for alert in all() {
            let json = alert.json(&Links::new(
                &"http://console".parse().expect("a URL"),
                &"http://runbooks".parse().expect("a URL"),
            ));
            let text = json["annotations"].to_string();
            for used in text.split("{{ $labels.").skip(1) {
                let label = used.split(' ').next().unwrap_or_default();
                let kept =
                    alert.expression.split_once("by (").and_then(|(_, rest)| rest.split_once(')'));
                let kept = kept.expect("an aggregation").0;
                assert!(kept.split(", ").any(|kept| kept == label), "{}: {label}", alert.name);
            }
        }
    }
}
