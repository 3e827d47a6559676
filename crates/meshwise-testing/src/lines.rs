//! Assertions on log lines.

use crate::spans::Span;
use serde_json::Value;
use std::{fmt, sync::Arc};

/// Some of a mesh's log lines; narrow them down, then assert.
#[derive(Clone)]
pub struct Lines {
    all: Arc<[Value]>,
    chosen: Vec<Value>,
    asked: String,
}

impl Lines {
    pub(crate) fn new<L: AsRef<str>>(lines: &[L]) -> Self {
        let parse = |line: &L| {
            let text = line.as_ref();
            serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
        };
        let all: Vec<Value> = lines.iter().map(parse).collect();
        Self { chosen: all.clone(), all: all.into(), asked: "lines".to_owned() }
    }

    fn keep(mut self, what: &str, keep: impl Fn(&Value) -> bool) -> Self {
        self.chosen.retain(keep);
        self.asked = format!("{} {what}", self.asked);
        self
    }

    /// Keeps lines of this level, such as `WARN`.
    pub fn at_level(self, level: &str) -> Self {
        self.keep(&format!("at level {level}"), |line| line["level"] == level)
    }

    /// Keeps lines of this target, such as `orders::stock` or `meshwise::access`.
    pub fn of_target(self, target: &str) -> Self {
        self.keep(&format!("of target {target}"), |line| line["target"] == target)
    }

    /// Keeps lines whose message contains this text.
    pub fn containing(self, text: &str) -> Self {
        self.keep(&format!("containing `{text}`"), |line| {
            line["message"].as_str().is_some_and(|message| message.contains(text))
        })
    }

    /// Keeps lines of one trace.
    pub fn in_trace(self, trace_id: &str) -> Self {
        self.keep(&format!("in trace {trace_id}"), |line| line["trace_id"] == trace_id)
    }

    /// Returns the only one.
    ///
    /// # Panics
    /// If there is none, or there are several.
    #[track_caller]
    pub fn one(mut self) -> Line {
        self.assert_count(1);
        Line { json: self.chosen.swap_remove(0) }
    }

    /// Asserts that there are `n`.
    ///
    /// # Panics
    /// If there are not.
    #[track_caller]
    pub fn assert_count(&self, n: usize) -> &Self {
        let found = self.chosen.len();
        assert!(
            found == n,
            "{}: expected {n}, found {found}; there are:\n{}",
            self.asked,
            Listed(&self.all)
        );
        self
    }

    /// Asserts that there is none.
    ///
    /// # Panics
    /// If there is one.
    #[track_caller]
    pub fn assert_none(&self) {
        self.assert_count(0);
    }

    /// Returns the lines as JSON.
    #[must_use]
    pub fn json(&self) -> &[Value] {
        &self.chosen
    }
}

impl fmt::Debug for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:\n{}", self.asked, Listed(&self.chosen))
    }
}

/// One log line.
#[derive(Clone, Debug)]
pub struct Line {
    json: Value,
}

impl Line {
    /// Returns the line as JSON.
    #[must_use]
    pub fn json(&self) -> &Value {
        &self.json
    }

    /// Asserts that a field has this value; one whose name clashes with the line's own stands under
    /// `fields`.
    ///
    /// # Panics
    /// If it has another, or is not there.
    #[track_caller]
    pub fn assert_field(&self, name: &str, value: impl Into<Value>) -> &Self {
        let expected = value.into();
        let found = self.json.get(name).or_else(|| self.json.get("fields")?.get(name));
        assert!(
            found == Some(&expected),
            "{name}: expected {expected}, found {found:?} in:\n  {}",
            self.json
        );
        self
    }

    /// Asserts that the line carries the ids of a span.
    ///
    /// # Panics
    /// If it carries others, or none.
    #[track_caller]
    pub fn assert_in_span(&self, span: &Span) -> &Self {
        self.assert_field("trace_id", span.trace_id());
        self.assert_field("span_id", span.span_id())
    }
}

struct Listed<'a>(&'a [Value]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return writeln!(f, "  (no lines)");
        }
        self.0.iter().try_for_each(|line| writeln!(f, "  {line}"))
    }
}
