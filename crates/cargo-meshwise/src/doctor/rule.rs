//! What a rule is, and what it finds.

use serde::Serialize;

use super::{facts::Facts, place::Place};

/// Says how bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Severity {
    /// Something does not work, or works otherwise than it seems.
    Error,
    /// Something is lost at times, or likely not to work.
    Warning,
}

impl Severity {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// One thing that fails in silence, as data: the text stands here, the test beside it.
///
/// Each rule has a folder of its name in `fixtures/doctor/`, with cases that pass and cases that
/// fail; a test proves that they agree.
pub(crate) struct Rule {
    /// Its name for people, allow lists and fixtures. Never changes.
    pub(crate) id: &'static str,
    pub(crate) severity: Severity,
    /// What it finds, in a line.
    pub(crate) summary: &'static str,
    /// What happens at run time, and why no one notices.
    pub(crate) why: &'static str,
    /// Where it was complained of, or where it is documented.
    pub(crate) reference: &'static str,
    pub(crate) check: fn(&Facts) -> Vec<Hit>,
}

impl std::fmt::Debug for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rule")
            .field("id", &self.id)
            .field("severity", &self.severity)
            .finish_non_exhaustive()
    }
}

/// One place where a rule applies.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Hit {
    /// What is wrong here, with names and versions.
    pub(crate) message: String,
    /// The file and line to look at, if there is one.
    pub(crate) place: Option<Place>,
    /// What shows it, a line each.
    pub(crate) evidence: Vec<String>,
    /// What to write instead: the line to change, or the words to do it by.
    pub(crate) help: Vec<String>,
}

impl Hit {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), ..Self::default() }
    }

    pub(crate) fn at(mut self, place: Option<Place>) -> Self {
        self.place = place;
        self
    }

    pub(crate) fn seen(mut self, evidence: impl Into<String>) -> Self {
        self.evidence.push(evidence.into());
        self
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }
}

/// A hit of a rule, as JSON and text report it.
#[derive(Debug, Serialize)]
pub(crate) struct Finding {
    pub(crate) rule: &'static str,
    pub(crate) severity: Severity,
    pub(crate) summary: &'static str,
    #[serde(flatten)]
    pub(crate) hit: Hit,
    pub(crate) why: &'static str,
    pub(crate) reference: &'static str,
}

/// Applies every rule that is not allowed; errors come first.
pub(crate) fn examine(rules: &[Rule], facts: &Facts, allowed: &[String]) -> Vec<Finding> {
    let mut findings: Vec<Finding> = rules
        .iter()
        .filter(|rule| !allowed.iter().any(|id| id == rule.id))
        .flat_map(|rule| {
            (rule.check)(facts).into_iter().map(|hit| Finding {
                rule: rule.id,
                severity: rule.severity,
                summary: rule.summary,
                hit,
                why: rule.why,
                reference: rule.reference,
            })
        })
        .collect();
    findings.sort_by_key(|finding| finding.severity);
    findings
}
