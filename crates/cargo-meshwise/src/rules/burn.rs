//! Rules that tell how fast an error budget burns.
//!
//! Two windows for each alert, as in Google's SRE workbook, chapter 5: the long one says that it
//! matters, the short one that it still goes on. At a burn rate of 1 the budget lasts exactly the
//! objective's period.

use super::{
    alert::{Alert, Links, Urgency},
    slo::Objective,
};
use serde_json::{Value, json};
use std::collections::BTreeSet;

pub(super) const RUNBOOK: &str = "error-budget-burn";

/// Share of the budget that may be spent in the long window before the alert fires.
const WINDOWS: [BurnWindow; 4] = [
    BurnWindow { long: "1h", hours: 1.0, short: "5m", share: 0.02, severity: Urgency::Page },
    BurnWindow { long: "6h", hours: 6.0, short: "30m", share: 0.05, severity: Urgency::Page },
    BurnWindow { long: "1d", hours: 24.0, short: "2h", share: 0.10, severity: Urgency::Ticket },
    BurnWindow { long: "3d", hours: 72.0, short: "6h", share: 0.10, severity: Urgency::Ticket },
];

struct BurnWindow {
    long: &'static str,
    hours: f64,
    short: &'static str,
    share: f64,
    severity: Urgency,
}

/// Writes an objective's recording rules, and its alerts.
pub(super) fn groups(objective: &Objective, links: &Links) -> Vec<Value> {
    let labels = json!({"slo": objective.name, "service": objective.service});
    let windows: BTreeSet<&str> = WINDOWS.iter().flat_map(|w| [w.short, w.long]).collect();
    let mut recorded: Vec<Value> = windows
        .into_iter()
        .map(|window| {
            json!({
                "record": format!("slo:error_ratio:rate{window}"),
                "expr": objective.error_ratio(window),
                "labels": labels,
            })
        })
        .collect();
    recorded.push(json!({
        "record": "slo:objective:ratio",
        "expr": format!("vector({})", objective.target),
        "labels": labels,
    }));
    let alerts: Vec<Value> =
        WINDOWS.iter().map(|window| alert(objective, window).json(links)).collect();
    vec![
        json!({"name": format!("slo-{}", objective.name), "rules": recorded}),
        json!({"name": format!("slo-{}-alerts", objective.name), "rules": alerts}),
    ]
}

fn alert(objective: &Objective, window: &BurnWindow) -> Alert {
    let (name, service) = (&objective.name, &objective.service);
    let factor = window.share * objective.period_hours / window.hours;
    // A ratio cannot be more than 1: a generous objective would never alert otherwise.
    let limit = (factor * (1.0 - objective.target)).min(0.99);
    let limit = format!("{limit:.6}");
    let above = |range: &str| format!("slo:error_ratio:rate{range}{{slo=\"{name}\"}} > {limit}");
    let percent = format!("{:.0}", window.share * 100.0);
    Alert {
        name: "MeshwiseErrorBudgetBurn",
        runbook: RUNBOOK,
        severity: window.severity,
        expression: format!("{} and {}", above(window.long), above(window.short)),
        hold: "0s",
        summary: format!("{service} burns the error budget of {name}"),
        description: format!(
            "In {} at least {percent} % of the budget of {:.0} days was spent, and it goes on.",
            window.long,
            objective.period_hours / 24.0
        ),
        logs: objective.logs(),
        exemplars: objective.exemplars(),
        console: format!("/services/{service}"),
        labels: vec![("window", window.long.to_owned())],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::slo::{Calls, Indicator, Objective};

    fn objective(target: f64) -> Objective {
        Objective {
            name: "orders".to_owned(),
            service: "orders".to_owned(),
            target,
            period_hours: 720.0,
            indicator: Indicator::Calls { which: Calls::Route("/orders".to_owned()), within: None },
        }
    }

    #[test]
    fn the_factors_are_those_of_the_workbook() {
        let limits: Vec<f64> = WINDOWS
            .iter()
            .map(|window| (window.share * 720.0 / window.hours * 10.0).round() / 10.0)
            .collect();
        assert_eq!(limits, [14.4, 6.0, 3.0, 1.0]);
        assert!(alert(&objective(0.999), &WINDOWS[0]).expression.contains("> 0.014400"));
    }

    #[test]
    fn a_generous_objective_still_alerts() {
        assert!(alert(&objective(0.5), &WINDOWS[0]).expression.contains("> 0.990000"));
    }
}
