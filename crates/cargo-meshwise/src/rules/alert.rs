//! One alert, and what it says to the person that it wakes.

use serde_json::{Map, Value, json};
use url::Url;

/// Says how soon a person must look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Urgency {
    /// Now.
    Page,
    /// On a working day.
    Ticket,
}

/// Describes one alert. Texts may hold Prometheus' templates, such as `{{ $labels.peer }}`.
#[derive(Debug)]
pub(super) struct Alert {
    pub(super) name: &'static str,
    /// The runbook's file, without `.md`.
    pub(super) runbook: &'static str,
    pub(super) severity: Urgency,
    pub(super) expression: String,
    /// How long the expression must hold.
    pub(super) hold: &'static str,
    pub(super) summary: String,
    pub(super) description: String,
    /// Finds the log lines, in `LogQL` over our JSON lines.
    pub(super) logs: String,
    /// Finds exemplars, each of which names a trace; of `/api/v1/query_exemplars`.
    pub(super) exemplars: Option<String>,
    /// The path of the console's page.
    pub(super) console: String,
    pub(super) labels: Vec<(&'static str, String)>,
}

/// Knows where the links of alerts lead.
#[derive(Debug)]
pub(super) struct Links {
    console: String,
    runbooks: String,
}

impl Links {
    pub(super) fn new(console: &Url, runbooks: &Url) -> Self {
        let base = |url: &Url| url.as_str().trim_end_matches('/').to_owned();
        Self { console: base(console), runbooks: base(runbooks) }
    }
}

impl Urgency {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Page => "page",
            Self::Ticket => "ticket",
        }
    }
}

impl Alert {
    /// Writes the alert as a rule.
    pub(super) fn json(&self, links: &Links) -> Value {
        let mut annotations = Map::new();
        let mut annotate = |key: &str, text: String| {
            annotations.insert(key.to_owned(), Value::from(text));
        };
        annotate("summary", self.summary.clone());
        annotate("description", self.description.clone());
        annotate("logs", self.logs.clone());
        if let Some(exemplars) = &self.exemplars {
            annotate("exemplars", exemplars.clone());
        }
        annotate("console", format!("{}{}", links.console, self.console));
        annotate("runbook_url", format!("{}/{}.md", links.runbooks, self.runbook));
        let mut labels = Map::new();
        labels.insert("severity".to_owned(), Value::from(self.severity.as_str()));
        for (name, value) in &self.labels {
            labels.insert((*name).to_owned(), Value::from(value.as_str()));
        }
        json!({
            "alert": self.name,
            "expr": self.expression,
            "for": self.hold,
            "labels": labels,
            "annotations": annotations,
        })
    }
}
