//! Which histograms have native buckets.

use crate::{
    backend::{COARSEST, FINEST},
    error::MetricsError,
    registry::name::histogram_name,
};

/// 8 buckets to a power of two, the next ends 9 % later: what Prometheus' client libraries
/// recommend, and with 160 buckets enough for 1 microsecond to 1 second, or 1 millisecond to 17
/// minutes.
const SCHEMA: i8 = 3;

/// Knows which histograms have native buckets, and how fine they are at first.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct NativeHistograms {
    /// What a name has between its `*`s.
    patterns: Vec<Vec<String>>,
    schema: Option<i8>,
}

impl NativeHistograms {
    pub(crate) fn add(&mut self, pattern: &str) {
        let mut parts = pattern.split('*');
        // What is not valid in a name is changed as it is in names themselves.
        let first = parts.next().filter(|first| !first.is_empty()).map(histogram_name);
        let valid = |c: char| if c.is_ascii_alphanumeric() || c == ':' { c } else { '_' };
        let rest = parts.map(|part| part.chars().map(valid).collect());
        self.patterns.push([first.unwrap_or_default()].into_iter().chain(rest).collect());
    }

    pub(crate) fn set_schema(&mut self, schema: i8) {
        self.schema = Some(schema);
    }

    /// Lists names and patterns.
    pub(crate) fn names(&self) -> Vec<String> {
        self.patterns.iter().map(|parts| parts.join("*")).collect()
    }

    pub(crate) fn schema(&self) -> i64 {
        i64::from(self.schema.unwrap_or(SCHEMA))
    }

    /// Takes the names of another.
    pub(crate) fn set_patterns(&mut self, other: Self) {
        self.patterns = other.patterns;
    }

    /// Returns the schema that a histogram begins with, if it has native buckets.
    pub(crate) fn schema_of(&self, name: &str) -> Option<i8> {
        let wanted = self.patterns.iter().any(|pattern| matches(pattern, name));
        wanted.then(|| self.schema.unwrap_or(SCHEMA))
    }

    pub(crate) fn check(&self) -> Result<(), MetricsError> {
        match self.schema {
            Some(schema) if !(COARSEST..=FINEST).contains(&schema) => {
                Err(MetricsError::NativeSchema { schema })
            }
            _ => Ok(()),
        }
    }
}

/// Tells whether a name is made of these parts, in this order, with anything between them.
fn matches(parts: &[String], name: &str) -> bool {
    let [first, between @ .., last] = parts else {
        return parts.first().is_some_and(|part| part == name);
    };
    let Some(mut rest) = name.strip_prefix(first.as_str()) else { return false };
    for part in between {
        // The first place is as good as any: it leaves most to the others.
        let Some((_, after)) = rest.split_once(part.as_str()) else { return false };
        rest = after;
    }
    rest.ends_with(last.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_anything() {
        for (pattern, name, expected) in [
            ("wait_seconds", "wait_seconds", true),
            ("wait_seconds", "wait_seconds2", false),
            ("wait.seconds", "wait_seconds", true),
            ("9.waits", "_9_waits", true),
            ("*", "anything", true),
            ("*", "", true),
            ("*_seconds", "wait_seconds", true),
            ("*_seconds", "wait_bytes", false),
            ("http_*", "http_x", true),
            ("http_*", "xhttp_", false),
            ("http_*_duration_*", "http_server_request_duration_seconds", true),
            ("http_*_duration_*", "http_server_request_body", false),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("*aab", "aaab", true),
            ("a*b*b", "abb", true),
            ("a*b*b", "ab", false),
            ("**", "x", true),
        ] {
            let mut native = NativeHistograms::default();
            native.add(pattern);
            assert_eq!(native.schema_of(name).is_some(), expected, "{pattern} {name}");
        }
    }
}
