//! Assertions on spans.

use meshwise::{
    opentelemetry::{
        Value,
        trace::{SpanKind, Status},
    },
    opentelemetry_sdk::trace::SpanData,
};
use std::{fmt, sync::Arc};

/// Some of a mesh's ended spans; narrow them down, then assert.
#[derive(Clone)]
pub struct Spans {
    all: Arc<[SpanData]>,
    chosen: Vec<SpanData>,
    asked: String,
}

impl Spans {
    pub(crate) fn new(spans: Vec<SpanData>) -> Self {
        Self { all: spans.clone().into(), chosen: spans, asked: "spans".to_owned() }
    }

    fn keep(mut self, what: &str, keep: impl Fn(&SpanData) -> bool) -> Self {
        self.chosen.retain(keep);
        self.asked = format!("{} {what}", self.asked);
        self
    }

    /// Keeps spans of this name.
    pub fn named(self, name: &str) -> Self {
        self.keep(&format!("named `{name}`"), |span| span.name == name)
    }

    /// Keeps spans of this kind.
    pub fn of_kind(self, kind: &SpanKind) -> Self {
        self.keep(&format!("of kind {kind:?}"), |span| span.span_kind == *kind)
    }

    /// Keeps spans that carry an attribute with this value.
    pub fn with_attribute(self, key: &str, value: impl Into<Value>) -> Self {
        let value = value.into();
        self.keep(&format!("with {key}={value:?}"), |span| find(span, key) == Some(&value))
    }

    /// Keeps the children of a span.
    pub fn children_of(self, parent: &Span) -> Self {
        let id = parent.data.span_context.span_id();
        self.keep(&format!("below `{}`", parent.data.name), |span| span.parent_span_id == id)
    }

    /// Returns the only one.
    ///
    /// # Panics
    /// If there is none, or there are several.
    #[track_caller]
    pub fn one(mut self) -> Span {
        self.assert_count(1);
        Span { data: self.chosen.swap_remove(0) }
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
            Tree(&self.all)
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

    /// Returns the spans themselves.
    #[must_use]
    pub fn data(&self) -> &[SpanData] {
        &self.chosen
    }
}

impl fmt::Debug for Spans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:\n{}", self.asked, Tree(&self.chosen))
    }
}

/// One ended span.
#[derive(Clone)]
pub struct Span {
    data: SpanData,
}

impl Span {
    /// Returns the span itself.
    #[must_use]
    pub fn data(&self) -> &SpanData {
        &self.data
    }

    /// Returns the id of its trace, as 32 hexadecimal digits.
    #[must_use]
    pub fn trace_id(&self) -> String {
        self.data.span_context.trace_id().to_string()
    }

    /// Returns its own id, as 16 hexadecimal digits.
    #[must_use]
    pub fn span_id(&self) -> String {
        self.data.span_context.span_id().to_string()
    }

    /// Asserts that an attribute has this value.
    ///
    /// # Panics
    /// If it has another, or is not there.
    #[track_caller]
    pub fn assert_attribute(&self, key: &str, value: impl Into<Value>) -> &Self {
        let (expected, found) = (value.into(), find(&self.data, key));
        assert!(
            found == Some(&expected),
            "{key}: expected {expected:?}, found {found:?} in:\n{self:?}"
        );
        self
    }

    /// Asserts that an attribute is not there.
    ///
    /// # Panics
    /// If it is.
    #[track_caller]
    pub fn assert_no_attribute(&self, key: &str) -> &Self {
        let found = find(&self.data, key);
        assert!(found.is_none(), "{key}: expected nothing, found {found:?} in:\n{self:?}");
        self
    }

    /// Asserts that this is the child of another span, in the same trace.
    ///
    /// # Panics
    /// If it is not.
    #[track_caller]
    pub fn assert_child_of(&self, parent: &Self) -> &Self {
        let child = self.data.parent_span_id == parent.data.span_context.span_id()
            && self.trace_id() == parent.trace_id();
        assert!(child, "not a child of:\n{parent:?}but:\n{self:?}");
        self
    }

    /// Asserts that the span's status is an error.
    ///
    /// # Panics
    /// If it is not.
    #[track_caller]
    pub fn assert_failed(&self) -> &Self {
        assert!(matches!(self.data.status, Status::Error { .. }), "not failed:\n{self:?}");
        self
    }

    /// Asserts that the span's status is no error.
    ///
    /// # Panics
    /// If it is.
    #[track_caller]
    pub fn assert_not_failed(&self) -> &Self {
        assert!(!matches!(self.data.status, Status::Error { .. }), "failed:\n{self:?}");
        self
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_span(f, &self.data, 0)
    }
}

fn find<'a>(span: &'a SpanData, key: &str) -> Option<&'a Value> {
    span.attributes.iter().find(|kv| kv.key.as_str() == key).map(|kv| &kv.value)
}

/// Prints spans with children below their parents.
struct Tree<'a>(&'a [SpanData]);

impl fmt::Display for Tree<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return writeln!(f, "  (no spans)");
        }
        let is_root = |span: &SpanData| {
            !self.0.iter().any(|other| other.span_context.span_id() == span.parent_span_id)
        };
        for root in self.0.iter().filter(|span| is_root(span)) {
            self.branch(f, root, 0)?;
        }
        Ok(())
    }
}

impl Tree<'_> {
    fn branch(&self, f: &mut fmt::Formatter<'_>, span: &SpanData, depth: usize) -> fmt::Result {
        write_span(f, span, depth)?;
        let id = span.span_context.span_id();
        for child in self.0.iter().filter(|child| child.parent_span_id == id) {
            self.branch(f, child, depth + 1)?;
        }
        Ok(())
    }
}

fn write_span(f: &mut fmt::Formatter<'_>, span: &SpanData, depth: usize) -> fmt::Result {
    let indent = "  ".repeat(depth + 1);
    let (ids, status) = (&span.span_context, &span.status);
    writeln!(
        f,
        "{indent}{} {:?} {status:?} [{} {}]",
        span.name,
        span.span_kind,
        ids.trace_id(),
        ids.span_id()
    )?;
    for kv in &span.attributes {
        writeln!(f, "{indent}    {} = {:?}", kv.key, kv.value)?;
    }
    Ok(())
}
