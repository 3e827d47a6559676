//! One change between two descriptions, and all of them.

use std::fmt;

use serde::{Serialize, Serializer, ser::SerializeStruct};

use super::rules::Rule;
use crate::text::shorten;

/// How grave a change is for a caller of the older description.
///
/// Ordered: `Info < Warning < Breaking`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[allow(clippy::exhaustive_enums, reason = "complete by nature")]
pub enum Severity {
    /// No caller is hurt.
    Info,
    /// Some callers may be hurt, or it cannot be told.
    Warning,
    /// What was promised no longer holds.
    Breaking,
}

impl Severity {
    /// Returns the name: `info`, `warning` or `breaking`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Breaking => "breaking",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One change, from the older description to the newer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub(super) rule: &'static Rule,
    pub(super) path: String,
    pub(super) place: String,
    pub(super) text: String,
    pub(super) old: Option<String>,
    pub(super) new: Option<String>,
}

impl Change {
    /// Returns the rule that it falls under.
    #[must_use]
    pub const fn rule(&self) -> &'static Rule {
        self.rule
    }

    /// Returns how grave it is.
    #[must_use]
    pub const fn severity(&self) -> Severity {
        self.rule.severity()
    }

    /// Returns where: a JSON pointer (RFC 6901) into the newer document, or into the older one if it
    /// is gone; in proto the full name.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Returns the operation that it was met in first: `GET /orders/{id}, response 200`.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Returns what changed, in a sentence.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns what stood there before.
    #[must_use]
    pub fn before(&self) -> Option<&str> {
        self.old.as_deref()
    }

    /// Returns what stands there now.
    #[must_use]
    pub fn after(&self) -> Option<&str> {
        self.new.as_deref()
    }
}

impl fmt::Display for Change {
    /// Writes it on one line: severity, rule, place, what changed, and where.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{}]: ", self.severity(), self.rule.id())?;
        if !self.place.is_empty() {
            write!(f, "{}: ", self.place)?;
        }
        write!(f, "{}", self.text)?;
        match (&self.old, &self.new) {
            (Some(old), Some(new)) => write!(f, " ({old} -> {new})")?,
            (Some(old), None) => write!(f, " (was {old})")?,
            (None, Some(new)) => write!(f, " (now {new})")?,
            (None, None) => {}
        }
        write!(f, ", at {}", self.path)
    }
}

impl Serialize for Change {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("Change", 8)?;
        out.serialize_field("rule", self.rule.id())?;
        out.serialize_field("severity", &self.severity())?;
        out.serialize_field("path", &self.path)?;
        out.serialize_field("place", &self.place)?;
        out.serialize_field("text", &self.text)?;
        out.serialize_field("old", &self.old)?;
        out.serialize_field("new", &self.new)?;
        out.serialize_field("reason", self.rule.reason())?;
        out.end()
    }
}

/// How many changes are kept.
const KEPT: usize = 10_000;

/// What changed between two descriptions, the gravest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Comparison {
    changes: Vec<Change>,
    omitted: usize,
}

impl Comparison {
    pub(super) fn push(&mut self, change: Change) {
        if self.changes.len() < KEPT || change.severity() == Severity::Breaking && self.make_room()
        {
            self.changes.push(change);
        } else {
            self.omitted += 1;
        }
    }

    /// Drops a change that breaks nothing, so that no flood of them hides one that does.
    fn make_room(&mut self) -> bool {
        let found = self.changes.iter().rposition(|kept| kept.severity() != Severity::Breaking);
        if let Some(at) = found {
            self.changes.swap_remove(at);
            self.omitted += 1;
        }
        found.is_some()
    }

    pub(super) fn finish(mut self) -> Self {
        self.changes.sort_by(|a, b| {
            let key = |change: &Change| (change.rule.id(), change.path.clone());
            b.severity().cmp(&a.severity()).then_with(|| key(a).cmp(&key(b)))
        });
        self.changes.dedup();
        self
    }

    /// Returns the changes, at most 10,000.
    #[must_use]
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// Returns how many more there were than are kept.
    #[must_use]
    pub const fn omitted(&self) -> usize {
        self.omitted
    }

    /// Returns the changes that break callers.
    pub fn breaking(&self) -> impl Iterator<Item = &Change> {
        self.changes.iter().filter(|change| change.severity() == Severity::Breaking)
    }

    /// Returns the gravest severity, if anything changed.
    #[must_use]
    pub fn severity(&self) -> Option<Severity> {
        self.changes.iter().map(Change::severity).max()
    }
}

/// Shows a value of a document in a message.
pub(super) fn shown(value: &serde_json::Value) -> String {
    shorten(&value.to_string())
}
