//! Names of metrics, made valid.

use crate::kind::Kind;

/// Longest metric name that is taken, in bytes.
const MAX_NAME: usize = 512;
const TOTAL: &str = "_total";
const CREATED: &str = "_created";

/// Makes a valid name (Prometheus data model: `[a-zA-Z_:][a-zA-Z0-9_:]*`), which ends with
/// `_total` for a counter; `None` if it is too long.
pub(super) fn metric(kind: Kind, raw: &str) -> Option<String> {
    if raw.len() > MAX_NAME {
        return None;
    }
    let mut name = String::with_capacity(raw.len() + TOTAL.len() + 1);
    if raw.is_empty() || raw.starts_with(|c: char| c.is_ascii_digit()) {
        name.push('_');
    }
    let valid = |c: char| if c.is_ascii_alphanumeric() || c == ':' { c } else { '_' };
    name.extend(raw.chars().map(valid));
    if kind == Kind::Counter && !name.ends_with(TOTAL) {
        name.push_str(TOTAL);
    }
    Some(name)
}

/// Makes a valid label name (`[a-zA-Z_][a-zA-Z0-9_]*`).
///
/// Names that Prometheus keeps for itself are changed: `__x` becomes `_x`, and `le` becomes
/// `exported_le`, as Prometheus itself does with labels that get in its way.
pub(crate) fn label(raw: &str) -> String {
    let mut name = String::with_capacity(raw.len() + 1);
    if raw.is_empty() || raw.starts_with(|c: char| c.is_ascii_digit()) {
        name.push('_');
    }
    name.extend(raw.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }));
    if name.starts_with("__") {
        name.replace_range(..name.len() - name.trim_start_matches('_').len(), "_");
    }
    if matches!(name.as_str(), "le" | "quantile") {
        name.insert_str(0, "exported_");
    }
    name
}

/// Lists the names of the samples that a family writes.
pub(super) fn samples(kind: Kind, name: &str) -> impl Iterator<Item = String> {
    let suffixes: &[&str] = match kind {
        Kind::Counter | Kind::Gauge => &[""],
        Kind::Histogram => &["", "_bucket", "_sum", "_count"],
    };
    suffixes.iter().map(move |suffix| format!("{name}{suffix}"))
}

/// Lists the names that `OpenMetrics` 1.0 keeps for a family of this type ("Suffixes"), beyond
/// those of its samples; `None` if the family cannot have the type.
pub(super) fn reserved(kind: Kind, name: &str) -> Option<Vec<String>> {
    match kind {
        Kind::Counter => {
            let base = name.strip_suffix(TOTAL).filter(|base| !base.is_empty())?;
            Some(vec![base.to_owned(), format!("{base}{CREATED}")])
        }
        Kind::Histogram => Some(vec![format!("{name}{CREATED}")]),
        Kind::Gauge => Some(Vec::new()),
    }
}

/// Makes a histogram's name valid, as the registry does.
pub(crate) fn histogram_name(raw: &str) -> String {
    metric(Kind::Histogram, raw).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metric_names_become_valid() {
        for (kind, raw, expected) in [
            (Kind::Gauge, "queue_depth", "queue_depth"),
            (Kind::Gauge, "queue.depth", "queue_depth"),
            (Kind::Gauge, "job:rate", "job:rate"),
            (Kind::Gauge, "2xx", "_2xx"),
            (Kind::Gauge, "größe", "gr__e"),
            (Kind::Gauge, "", "_"),
            (Kind::Gauge, "a\nb\"c", "a_b_c"),
            (Kind::Counter, "jobs", "jobs_total"),
            (Kind::Counter, "jobs.total", "jobs_total"),
            (Kind::Counter, "jobs_total", "jobs_total"),
            (Kind::Counter, "", "__total"),
        ] {
            assert_eq!(metric(kind, raw).as_deref(), Some(expected), "{raw}");
        }
        assert_eq!(metric(Kind::Gauge, &"x".repeat(MAX_NAME + 1)), None);
    }

    #[test]
    fn label_names_become_valid_and_keep_off_reserved_ones() {
        for (raw, expected) in [
            ("path", "path"),
            ("http.route", "http_route"),
            ("a:b", "a_b"),
            ("9lives", "_9lives"),
            ("", "_"),
            ("__name__", "_name__"),
            ("___", "_"),
            ("_x", "_x"),
            ("le", "exported_le"),
            ("quantile", "exported_quantile"),
        ] {
            assert_eq!(label(raw), expected, "{raw}");
        }
    }
}
