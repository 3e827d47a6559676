//! Whether each requirement gets what it needs, today.

use std::collections::BTreeSet;

use super::{Findings, Requirement, Verdict};
use crate::{
    date::Date,
    declaration::Requires,
    diagnostic::Diagnostic,
    dictionary::Found,
    finding::{Finding, Level},
    lock::{Answer, Locked, Resolved, since},
    state::State,
    text::listed,
};

/// How near a sunset is warned of, in days.
const NEAR: i32 = 30;

pub(super) fn check(findings: &mut Findings<'_>) -> Vec<Requirement> {
    let declaration = findings.declaration();
    let check = findings.check;
    if declaration.requires.is_empty() && check.lock.is_none() {
        return Vec::new();
    }
    if check.lock.is_none() && check.dictionary.is_none() {
        let count = declaration.requires.len();
        let what = if count == 1 {
            "1 requirement is".to_owned()
        } else {
            format!("{count} requirements are")
        };
        let level =
            declaration.requires.iter().map(|requires| requires.level).max().unwrap_or(Level::Deny);
        findings.tell_at(
            findings.level(Finding::MISSING_LOCK).min(level),
            "requires[0]",
            Diagnostic::new(
                Finding::MISSING_LOCK,
                format!("there is no api.lock: {what} not checked"),
            )
            .with_help("run `cargo meshwise lock` and commit api.lock"),
        );
    }
    stale(findings);
    let requirements = declaration.requires.iter().enumerate();
    requirements.map(|(index, requires)| requirement(findings, index, requires)).collect()
}

/// Tells of a lock file that is too old, or holds what no one asks for any more.
fn stale(findings: &mut Findings<'_>) {
    let (declaration, today) = (findings.declaration(), findings.check.today);
    let Some(lock) = findings.check.lock else { return };
    let help = "run `cargo meshwise lock` and commit api.lock";
    let fetched = lock.dictionary.fetched_at.date();
    let age = today.days_since(fetched);
    let limit = declaration.policy.max_lock_age_under(findings.organisation());
    // A dictionary at hand is the truth; how old the lock file is does not matter then.
    if findings.check.dictionary.is_none()
        && !lock.entries.is_empty()
        && i64::from(age) > i64::from(limit)
    {
        let message = format!("api.lock is {age} days old, the policy allows {limit}");
        let diagnostic = Diagnostic::new(Finding::STALE_LOCK, message)
            .with_note(format!(
                "it was made from {} on {fetched}; today is {today}",
                lock.dictionary.source
            ))
            .with_help(help);
        findings.tell("policy.max-lock-age-days", diagnostic);
    }
    let required: BTreeSet<(&str, &str)> = declaration
        .requires
        .iter()
        .map(|requires| (requires.api.as_str(), requires.version.as_str()))
        .collect();
    let surplus: Vec<_> = lock
        .entries
        .iter()
        .filter(|entry| !required.contains(&(entry.api.as_str(), entry.required.as_str())))
        .map(|entry| format!("{} {}", entry.api, entry.required))
        .collect();
    if !surplus.is_empty() {
        let surplus = listed(surplus.iter().map(String::as_str));
        let message = format!("api.lock has what is no longer required: {surplus}");
        findings.tell("requires[0]", Diagnostic::new(Finding::STALE_LOCK, message).with_help(help));
    }
}

fn requirement(findings: &mut Findings<'_>, index: usize, requires: &Requires) -> Requirement {
    let check = findings.check;
    let locked = check.lock.and_then(|lock| lock.entry(&requires.api, &requires.version));
    let found = check
        .dictionary
        .map(|dictionary| dictionary.resolve(&requires.api, &requires.version, check.today));
    let answer =
        found.as_ref().map(Answer::from).or_else(|| locked.map(|locked| locked.answer.clone()));
    let mut one = One { findings, requires, locked, path: format!("requires[{index}]") };
    if found.is_some() {
        one.compare_with_lock(answer.as_ref());
    }
    let (verdict, resolved) = match &answer {
        None => one.unlocked(),
        Some(Answer::NoApi | Answer::NoVersion(_)) if one.may_be_unread(found.is_some()) => {
            one.unread()
        }
        Some(Answer::NoApi) => one.no_api(found.as_ref()),
        Some(Answer::NoVersion(offered)) => one.no_version(offered, found.as_ref()),
        Some(Answer::Resolved(resolved)) => one.resolved(resolved, found.is_none()),
    };
    Requirement {
        api: requires.api.clone(),
        required: requires.version.clone(),
        verdict,
        resolved: resolved.cloned(),
    }
}

/// One requirement under judgement.
struct One<'f, 'a, 'r> {
    findings: &'f mut Findings<'a>,
    requires: &'r Requires,
    locked: Option<&'r Locked>,
    path: String,
}

type Judged<'r> = (Verdict, Option<&'r Resolved>);

impl One<'_, '_, '_> {
    fn name(&self) -> String {
        format!("{} {}", self.requires.api, self.requires.version)
    }

    /// Returns the level of a finding: by policy, and at most the requirement's own.
    fn level(&self, finding: &Finding) -> Level {
        self.findings.level(finding).min(self.requires.level)
    }

    fn diagnostic(&self, finding: &'static Finding, message: String) -> Diagnostic {
        Diagnostic::new(finding, message).with_subject(&self.requires.api, &self.requires.version)
    }

    fn tell(&mut self, key: &str, diagnostic: Diagnostic) {
        let level = self.level(diagnostic.finding);
        self.findings.tell_at(level, &format!("{}.{key}", self.path), diagnostic);
    }

    fn unlocked<'r>(&mut self) -> Judged<'r> {
        // Without any lock file this was told once, for all.
        if self.findings.check.lock.is_some() {
            let message = format!("api.lock says nothing about {}: it is not checked", self.name());
            let diagnostic = self
                .diagnostic(Finding::MISSING_LOCK, message)
                .with_help("run `cargo meshwise lock` and commit api.lock");
            self.tell("version", diagnostic);
        }
        (Verdict::Unchecked, None)
    }

    /// Tells whether a service that could not be read may satisfy it: the one that the lock file names,
    /// or any if it names none.
    fn may_be_unread(&self, asked: bool) -> bool {
        let unread = self.findings.check.unread;
        let provider = match self.locked.map(|locked| &locked.answer) {
            Some(Answer::Resolved(resolved)) => Some(&resolved.provider),
            _ => None,
        };
        asked && provider.map_or(!unread.is_empty(), |provider| unread.contains(provider))
    }

    fn unread<'r>(&mut self) -> Judged<'r> {
        let unread = listed(self.findings.check.unread.iter().map(String::as_str));
        let message = format!("{} is not checked: {unread} could not be read", self.name());
        let diagnostic = self.diagnostic(Finding::UNREAD_PROVIDER, message);
        let diagnostic = diagnostic.with_help(Finding::UNREAD_PROVIDER.help());
        self.tell("version", diagnostic);
        (Verdict::Unchecked, None)
    }

    fn no_api<'r>(&mut self, found: Option<&Found<'_>>) -> Judged<'r> {
        let message = format!("no service provides the API {}", self.requires.api);
        let mut diagnostic = self.diagnostic(Finding::UNKNOWN_API, message);
        if let Some(Found::NoApi { nearest: Some(nearest) }) = found {
            diagnostic = diagnostic.with_label(format!("did you mean {nearest:?}?"));
        }
        self.tell("api", self.with_reason(diagnostic).with_help(Finding::UNKNOWN_API.help()));
        (Verdict::Incompatible, None)
    }

    fn no_version<'r>(&mut self, offered: &[String], found: Option<&Found<'_>>) -> Judged<'r> {
        let message = format!(
            "no version of {} that is provided will do for {}",
            self.requires.api, self.requires.version
        );
        let mut diagnostic = self.diagnostic(Finding::INCOMPATIBLE_VERSION, message);
        let provided = listed(offered.iter().map(String::as_str));
        diagnostic = diagnostic.with_note(format!("provided: {provided}"));
        if let Some(Found::NoVersion { offers }) = found
            && let Some(offer) = offers.first()
        {
            let scheme = offer.provides().scheme;
            diagnostic = diagnostic.with_note(format!(
                "{} provides it; under {scheme}, what will do is {}",
                offer.provider(),
                scheme.rule()
            ));
            // The provider's scheme cannot even read it: say how its versions are written.
            if let Err(error) = scheme.version(&self.requires.version) {
                diagnostic = diagnostic.with_note(error.to_string());
            }
        }
        if let Some(best) = offered.first() {
            diagnostic = diagnostic
                .with_help(format!("write version = \"{best}\" and adapt the code that calls it"));
        }
        self.tell("version", self.with_reason(diagnostic));
        (Verdict::Incompatible, None)
    }

    fn resolved<'r>(&mut self, resolved: &'r Resolved, from_lock: bool) -> Judged<'r> {
        // Never believed, always compared: a lock file may have been edited.
        let scheme = resolved.scheme;
        let will_do =
            match (scheme.version(&resolved.version), scheme.version(&self.requires.version)) {
                (Ok(provided), Ok(required)) => provided.satisfies(&required),
                _ => false,
            };
        if !will_do {
            let message = format!(
                "{} {} will not do for {}",
                self.requires.api, resolved.version, self.requires.version
            );
            let diagnostic = self
                .diagnostic(Finding::INCOMPATIBLE_VERSION, message)
                .with_note(format!("under {scheme}, what will do is {}", scheme.rule()))
                .with_help("api.lock was edited: write it anew with `cargo meshwise lock`");
            self.tell("version", diagnostic);
            return (Verdict::Incompatible, None);
        }
        let state = resolved.state_on(self.findings.check.today);
        // A fix that is urgent is one thing, when the version ends is another. Of the latter the gravest
        // that is not allowed speaks for all.
        let today = self.findings.check.today;
        let urgent = self.urgent(resolved, today).filter(|_| state.is_live());
        let ends = self.concerns(resolved, state, from_lock);
        let told = |(finding, _): &(&Finding, _)| self.level(finding) > Level::Allow;
        let told: Vec<_> =
            urgent.into_iter().filter(told).chain(ends.into_iter().find(told)).collect();
        for (finding, message) in told {
            let diagnostic = self.advise(self.diagnostic(finding, message), resolved);
            self.tell("version", diagnostic);
        }
        let verdict =
            if state == State::Retired { Verdict::Incompatible } else { Verdict::Compatible };
        (verdict, Some(resolved))
    }

    /// Lists what there is to say about how long a version that will do is there, the gravest first.
    fn concerns(
        &self,
        resolved: &Resolved,
        state: State,
        from_lock: bool,
    ) -> Vec<(&'static Finding, String)> {
        let today = self.findings.check.today;
        let name = if resolved.version == self.requires.version {
            self.name()
        } else {
            format!("{} (for {})", self.name_of(&resolved.version), self.requires.version)
        };
        let day = |date: Option<Date>| date.map_or_else(String::new, |date| date.to_string());
        let mut concerns = Vec::new();
        match state {
            State::Retired if from_lock && resolved.state != State::Retired => concerns.push((
                Finding::SUNSET_PASSED,
                format!(
                    "the sunset of {name} has passed: {}, and today is {today}",
                    day(resolved.sunset)
                ),
            )),
            State::Retired => concerns.push((
                Finding::RETIRED_VERSION,
                format!("{name} is retired since {}", day(resolved.sunset)),
            )),
            State::Planned => {
                let when = match resolved.released {
                    Some(date) => format!("it will be released on {date}"),
                    None => "it has no day of release yet".to_owned(),
                };
                concerns
                    .push((Finding::PLANNED_VERSION, format!("{name} is only planned: {when}")));
            }
            State::Current | State::Deprecated => {
                let since = since(
                    self.findings.declaration(),
                    self.requires,
                    self.findings.check.lock,
                    self.findings.check.dictionary,
                    Some(resolved.scheme),
                )
                .unwrap_or(today);
                // A deprecation counts from the day on which callers could know of it; who began on
                // that very day could not.
                let counts =
                    resolved.deprecated.map(|day| resolved.told.map_or(day, |t| t.max(day)));
                let left = resolved.sunset.map(|sunset| sunset.days_since(today));
                let gone = resolved
                    .sunset
                    .map_or_else(String::new, |sunset| format!(", its sunset is {sunset}"));
                if state == State::Deprecated && counts.is_some_and(|counts| since > counts) {
                    concerns.push((
                        Finding::NEW_USE_OF_DEPRECATED,
                        format!(
                            "{name} is deprecated since {} and may not be used anew{gone}",
                            day(resolved.deprecated)
                        ),
                    ));
                }
                if let Some(left) = left.filter(|left| *left <= NEAR) {
                    let days = if left == 1 { "1 day".to_owned() } else { format!("{left} days") };
                    concerns.push((
                        Finding::SUNSET_WITHIN_30_DAYS,
                        format!(
                            "{name} may be gone in {days}: its sunset is {}",
                            day(resolved.sunset)
                        ),
                    ));
                }
                if state == State::Deprecated {
                    concerns.push((
                        Finding::DEPRECATED_VERSION,
                        format!("{name} is deprecated since {}{gone}", day(resolved.deprecated)),
                    ));
                } else if let Some(deprecated) = resolved.deprecated {
                    concerns.push((
                        Finding::ANNOUNCED_END,
                        format!("{name} will be deprecated on {deprecated}{gone}"),
                    ));
                } else if let Some(sunset) = resolved.sunset {
                    concerns.push((
                        Finding::ANNOUNCED_END,
                        format!("{name} will be gone: its sunset is {sunset}"),
                    ));
                }
            }
        }
        concerns
    }

    /// Tells of an urgent fix that the requirement is behind; denied once the time to move is over.
    fn urgent(&self, resolved: &Resolved, today: Date) -> Option<(&'static Finding, String)> {
        let fix = resolved.fix.as_deref()?;
        let by =
            resolved.adopt_by.map_or_else(String::new, |day| format!(", to be adopted by {day}"));
        let message =
            format!("{} lacks an urgent fix that {} {fix} has{by}", self.name(), self.requires.api);
        let over = resolved.adopt_by.is_none_or(|day| day <= today);
        Some((if over { Finding::BEHIND_URGENT_FIX } else { Finding::URGENT_FIX }, message))
    }

    fn name_of(&self, version: &str) -> String {
        format!("{} {version}", self.requires.api)
    }

    /// Adds who provides the version, where to go, and how.
    fn advise(&self, mut diagnostic: Diagnostic, resolved: &Resolved) -> Diagnostic {
        let finding = diagnostic.finding;
        if let Some(successor) = &resolved.successor {
            diagnostic = diagnostic.with_label(format!("its successor is {successor}"));
        }
        diagnostic = diagnostic.with_note(format!("provided by {}", resolved.provider));
        if let Some(migration) = &resolved.migration {
            diagnostic = diagnostic.with_note(format!("how to move: {migration}"));
        }
        if finding == Finding::NEW_USE_OF_DEPRECATED {
            diagnostic = diagnostic.with_note(
                "if the use is older than the lock file and the dictionary know, add its first day: since = YYYY-MM-DD",
            );
        }
        let fix = resolved
            .fix
            .as_deref()
            .filter(|_| finding == Finding::URGENT_FIX || finding == Finding::BEHIND_URGENT_FIX);
        if let Some(fix) = fix {
            let help = format!("write version = \"{fix}\"");
            return self.with_reason(diagnostic).with_help(help);
        }
        let help = match (&resolved.successor, finding) {
            (Some(successor), finding) if finding != Finding::PLANNED_VERSION => {
                match successor.split_once('@') {
                    Some((api, version)) => {
                        format!("move to its successor: api = \"{api}\", version = \"{version}\"")
                    }
                    None => format!("move to its successor: version = \"{successor}\""),
                }
            }
            _ => finding.help().to_owned(),
        };
        self.with_reason(diagnostic).with_help(help)
    }

    fn with_reason(&self, diagnostic: Diagnostic) -> Diagnostic {
        match &self.requires.reason {
            Some(reason) => diagnostic.with_note(format!("it is needed for: {reason}")),
            None => diagnostic,
        }
    }

    /// Tells of a lock file that says something else than the dictionary.
    fn compare_with_lock(&mut self, answer: Option<&Answer>) {
        if self.findings.check.lock.is_none() {
            return;
        }
        let timeless = |answer: &Answer| match answer {
            // Where it stood then differs from day to day, by the same dates.
            Answer::Resolved(resolved) => {
                Answer::Resolved(Resolved { state: State::Planned, ..resolved.clone() })
            }
            other => other.clone(),
        };
        let locked = self.locked.map(|locked| timeless(&locked.answer));
        if locked == answer.map(timeless) {
            return;
        }
        let message = match self.locked {
            None => format!("api.lock says nothing about {}", self.name()),
            Some(_) => {
                format!("api.lock does not say what the dictionary says about {}", self.name())
            }
        };
        let diagnostic = self
            .diagnostic(Finding::STALE_LOCK, message)
            .with_help("run `cargo meshwise lock` and commit api.lock");
        self.tell("version", diagnostic);
    }
}
