//! The one engine that judges: the build script, the command and tests all use it.
//!
//! ```
//! use meshwise_api::{Check, Declaration, Verdict};
//!
//! let declaration = Declaration::parse("api.toml", r#"
//! schema = 1
//! service = { name = "orders" }
//! requires = [{ api = "auth", version = "1.1" }]
//! "#)?;
//! // Without a lock file or a dictionary there is nothing to check against, and that is no "yes".
//! let report = Check::new(&declaration, "2026-11-21".parse()?).run();
//! assert_eq!(report.requirements[0].verdict, Verdict::Unchecked);
//! assert_eq!(report.diagnostics[0].finding.id(), "missing-lock");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod form;
mod owners;
mod published;
mod required;

use std::sync::LazyLock;

use serde::Serialize;

use crate::{
    date::Date,
    declaration::Declaration,
    diagnostic::Diagnostic,
    dictionary::Dictionary,
    document::Document,
    finding::{Finding, Level},
    lock::{Lock, Resolved},
    policy::Policy,
};

/// Judges a declaration on a day, against what is at hand.
///
/// | given | what is judged besides the declaration itself |
/// |---|---|
/// | a lock file | each requirement, by what was locked and the dates until today |
/// | a dictionary | each requirement, by what is published; whether the lock file still says the same; all that this service published before; whose an API is |
/// | neither | nothing: each requirement is `missing-lock`, and [`Verdict::Unchecked`] |
#[derive(Clone, Copy, Debug)]
pub struct Check<'a> {
    declaration: &'a Declaration,
    today: Date,
    lock: Option<&'a Lock>,
    dictionary: Option<&'a Dictionary>,
    published: Option<&'a Document>,
    ci: bool,
    force: Option<&'a str>,
    organisation: Option<&'a Policy>,
    unread: &'a [String],
}

impl<'a> Check<'a> {
    /// Starts with what is judged, and the day that is taken for today.
    #[must_use]
    pub const fn new(declaration: &'a Declaration, today: Date) -> Self {
        Self {
            declaration,
            today,
            lock: None,
            dictionary: None,
            published: None,
            ci: false,
            force: None,
            organisation: None,
            unread: &[],
        }
    }

    /// Names the services whose documents could not be read: a requirement that the others do not
    /// satisfy may be theirs to satisfy, and is unchecked.
    #[must_use]
    pub const fn with_unread(mut self, services: &'a [String]) -> Self {
        self.unread = services;
        self
    }

    /// Judges under an organisation's policy. Default: that of the dictionary, else of the lock file.
    #[must_use]
    pub const fn with_organisation(mut self, policy: Option<&'a Policy>) -> Self {
        self.organisation = policy;
        self
    }

    /// Judges requirements by a lock file.
    #[must_use]
    pub const fn with_lock(mut self, lock: Option<&'a Lock>) -> Self {
        self.lock = lock;
        self
    }

    /// Judges requirements by a dictionary, which is fresher than any lock file; and the declaration
    /// by what its service published there.
    #[must_use]
    pub const fn with_dictionary(mut self, dictionary: Option<&'a Dictionary>) -> Self {
        self.dictionary = dictionary;
        self
    }

    /// Judges the declaration by what its service published before. Default: its newest document in
    /// the dictionary.
    #[must_use]
    pub const fn with_published(mut self, published: Option<&'a Document>) -> Self {
        self.published = published;
        self
    }

    /// Applies the levels for continuous integration, where a missing lock file is denied.
    /// Default: no.
    #[must_use]
    pub const fn in_ci(mut self, ci: bool) -> Self {
        self.ci = ci;
        self
    }

    /// Lets a published sunset move to an earlier day, for a reason that callers are told; the
    /// finding becomes a warning. Default: it is denied.
    #[must_use]
    pub const fn with_force(mut self, reason: Option<&'a str>) -> Self {
        self.force = reason;
        self
    }

    /// Judges.
    #[must_use]
    pub fn run(self) -> Report {
        let mut findings = Findings { check: &self, diagnostics: Vec::new(), untold: None };
        let published = self.published.or_else(|| {
            self.dictionary.and_then(|dictionary| dictionary.newest(&self.declaration.service.name))
        });
        form::check(&mut findings, published);
        if let Some(published) = published {
            published::check(&mut findings, published);
        }
        owners::check(&mut findings, published);
        published::taken_over(&mut findings, published);
        let requirements = required::check(&mut findings);
        let untold = findings.untold();
        let mut diagnostics = findings.diagnostics;
        // In the order of the file; what has no place comes last.
        diagnostics.sort_by_key(|diagnostic| {
            diagnostic.location.as_ref().map_or((usize::MAX, 0), |at| (at.line, at.column))
        });
        diagnostics.extend(untold);
        Report { today: self.today, diagnostics, requirements }
    }
}

/// Collects what is found, each at the level that holds for this service.
struct Findings<'a> {
    check: &'a Check<'a>,
    diagnostics: Vec<Diagnostic>,
    /// How many more there are than anyone reads, and the gravest of them.
    untold: Option<(usize, &'static Finding, Level)>,
}

/// How many diagnostics a report has.
const MAX_DIAGNOSTICS: usize = 100;

impl<'a> Findings<'a> {
    fn declaration(&self) -> &'a Declaration {
        self.check.declaration
    }

    fn level(&self, finding: &Finding) -> Level {
        self.declaration().policy.level_under(self.organisation(), finding, self.check.ci)
    }

    /// Returns the organisation's policy, as the dictionary has it, or as it was locked.
    fn organisation(&self) -> &'a Policy {
        static NONE: LazyLock<Policy> = LazyLock::new(Policy::default);
        let dictionary = self.check.dictionary.map(Dictionary::policy);
        let policy = self.check.organisation.or(dictionary);
        policy.or_else(|| self.check.lock.map(|lock| &lock.policy)).unwrap_or(&NONE)
    }

    fn has_room(&self) -> bool {
        self.diagnostics.len() < MAX_DIAGNOSTICS
    }

    /// Sums up what had no room, at the level of the gravest: a report never looks milder than it is.
    fn untold(&self) -> Option<Diagnostic> {
        let (count, finding, level) = self.untold?;
        Some(
            Diagnostic::new(finding, format!("{count} more findings are not shown"))
                .with_level(level),
        )
    }

    /// Tells of something at a path, unless its finding is allowed.
    fn tell(&mut self, path: &str, diagnostic: Diagnostic) {
        let level = self.level(diagnostic.finding);
        self.tell_at(level, path, diagnostic);
    }

    fn tell_at(&mut self, level: Level, path: &str, diagnostic: Diagnostic) {
        if level > Level::Allow && !self.has_room() {
            let (count, finding, gravest) = self.untold.unwrap_or((0, diagnostic.finding, level));
            let graver =
                if level > gravest { (diagnostic.finding, level) } else { (finding, gravest) };
            self.untold = Some((count + 1, graver.0, graver.1));
        } else if level > Level::Allow {
            let location = self.declaration().locate(path);
            self.diagnostics.push(diagnostic.with_level(level).with_location(location));
        }
    }
}

/// Holds what a [`Check`] found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// The day that was taken for today.
    pub today: Date,
    /// What was found and is not allowed, in the order of the file.
    pub diagnostics: Vec<Diagnostic>,
    /// What became of each requirement, in the order of the declaration.
    pub requirements: Vec<Requirement>,
}

/// Says what became of one requirement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Requirement {
    /// The API.
    pub api: String,
    /// The version that is required.
    pub required: String,
    /// Whether what is provided will do.
    pub verdict: Verdict,
    /// The version that it gets, if one will do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolved: Option<Resolved>,
}

/// Says whether what is provided will do for a requirement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[allow(clippy::exhaustive_enums, reason = "complete by nature")]
pub enum Verdict {
    /// A version that is not retired satisfies it.
    Compatible,
    /// Nothing that is provided satisfies it, or only what is retired.
    Incompatible,
    /// There was nothing to check against. This is not compatible.
    Unchecked,
}

impl Verdict {
    /// Returns the name in lower case: `compatible`, `incompatible` or `unchecked`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Compatible => "compatible",
            Self::Incompatible => "incompatible",
            Self::Unchecked => "unchecked",
        }
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

impl Report {
    /// Tells whether something was found that is denied.
    #[must_use]
    pub fn is_denied(&self) -> bool {
        self.denied().next().is_some()
    }

    /// Tells whether a requirement could not be checked, whatever the levels are.
    #[must_use]
    pub fn is_undetermined(&self) -> bool {
        self.requirements.iter().any(|requirement| requirement.verdict == Verdict::Unchecked)
    }

    /// Returns what is denied.
    pub fn denied(&self) -> impl Iterator<Item = &Diagnostic> {
        self.at(Level::Deny)
    }

    /// Returns what is warned of.
    pub fn warned(&self) -> impl Iterator<Item = &Diagnostic> {
        self.at(Level::Warn)
    }

    fn at(&self, level: Level) -> impl Iterator<Item = &Diagnostic> {
        self.diagnostics.iter().filter(move |diagnostic| diagnostic.level == level)
    }
}

#[cfg(test)]
mod tests;
