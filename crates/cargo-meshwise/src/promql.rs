//! What an expression of `PromQL` asks for.

use meshwise_core::internal::catalogue::{self, Metric};

/// Labels that a scrape adds, and those of histograms' buckets.
const SCRAPED: [&str; 3] = ["job", "instance", "le"];
/// How metrics begin that come from elsewhere: rules of ours, and Prometheus itself.
const FOREIGN: [&str; 3] = ["slo:", "up", "ALERTS"];

/// Lists the names in an expression that are neither metrics of the catalogue nor known to come
/// from elsewhere, and labels that are asked of a metric that does not have them.
///
/// Reads names and matchers; what functions are given by way of `by (..)` is not held against it.
#[must_use]
pub(crate) fn unknown(expression: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let mut rest = expression;
    while let Some(start) = rest.find(|c: char| c.is_ascii_alphabetic() || c == '_' || c == '"') {
        rest = &rest[start..];
        if let Some(text) = rest.strip_prefix('"') {
            rest = text.split_once('"').map_or("", |(_, rest)| rest);
            continue;
        }
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'));
        let (name, behind) = rest.split_at(end.unwrap_or(rest.len()));
        rest = behind;
        // A name with an underscore that no function is called by, or that has matchers.
        let selector = behind.starts_with(['{', '[']);
        if !selector || FOREIGN.iter().any(|foreign| name.starts_with(foreign)) {
            continue;
        }
        match catalogue::find(name) {
            None => problems.push(format!("{name} is in no catalogue")),
            Some(metric) => {
                let matchers = behind.strip_prefix('{').and_then(|text| text.split_once('}'));
                problems.extend(strange_labels(metric, matchers.map_or("", |(text, _)| text)));
            }
        }
    }
    problems
}

fn strange_labels(metric: &'static Metric, matchers: &str) -> Vec<String> {
    let labels = matchers.split(',').filter_map(|matcher| {
        let end = matcher.find(['=', '!', '~'])?;
        Some(matcher[..end].trim())
    });
    let strange = labels.filter(|label| !metric.labels.contains(label) && !SCRAPED.contains(label));
    strange.map(|label| format!("{metric} has no label {label}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_one_counts_is_found() {
        let fine =
            r#"sum by (le) (rate(http_server_request_duration_seconds_bucket{job=~"a"}[5m]))"#;
        assert_eq!(unknown(fine), Vec::<String>::new());
        assert_eq!(unknown("rate(http_server_calls_total[5m])").len(), 1);
        assert_eq!(unknown(r#"meshwise_breaker_state{peer="a",colour="b"}"#).len(), 1);
        assert_eq!(unknown(r#"slo:error_ratio:rate5m{colour="b"}"#).len(), 0);
    }
}
