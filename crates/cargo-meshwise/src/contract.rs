//! The descriptions of a service's versions: gathered, stored by digest, and held to what was promised.
//!
//! A version whose scheme says that it can stand in for an earlier one is compared with it; and a
//! version that is released already, with its own description as it was published.

mod command;
mod gather;

use std::cmp::Ordering;

use bytes::Bytes;
use meshwise_api::{
    Contract, Date, Declaration, Diagnostic, Dictionary, Digest, Document, Draft, Finding, Level,
    Provides, Release, State, Version,
    contract::{Change, Comparison, Description, Severity},
};

use crate::store::{Store, StoreError};

pub(crate) use command::ContractCommand;
pub(crate) use gather::{Described, gather};

/// How many changes a diagnostic lists.
const LISTED: usize = 20;

/// What descriptions are judged with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Judge<'a> {
    /// Where older descriptions lie.
    pub store: &'a Store,
    /// What is judged.
    pub declaration: &'a Declaration,
    /// The day.
    pub today: Date,
    /// Whether the levels for continuous integration hold.
    pub ci: bool,
    /// The command to compare with, in place of what `api.toml` names.
    pub command: Option<&'a str>,
}

/// Puts the descriptions into a draft.
#[must_use]
pub(crate) fn into_draft(mut draft: Draft, described: &[Described<'_>]) -> Draft {
    for one in described {
        let (api, version) = (&one.provides.api, one.release.version.as_str());
        draft = draft.with_contract(api, version, one.contract.clone());
    }
    draft
}

/// Stores the texts, each under its digest, unless they are there.
///
/// # Errors
/// What keeps the dictionary from being written.
pub(crate) fn store(store: &Store, described: &[Described<'_>]) -> Result<(), StoreError> {
    for one in described {
        let path = one.contract.path();
        store.create_blob(&path, one.text.clone().into())?;
        // What lies there may be an upload that was cut; then it could never be read again.
        read(store, &one.contract)?;
    }
    Ok(())
}

/// Reads a description from the dictionary and proves its digest.
///
/// # Errors
/// [`StoreError::Damaged`] when it is not there or another; or what keeps it out of reach.
pub(crate) fn read(store: &Store, contract: &Contract) -> Result<Bytes, StoreError> {
    let path = contract.path();
    let name = store.location().join(&path);
    let Some(bytes) = store.read_blob(&path)? else {
        return Err(StoreError::Damaged(format!("{name}, a description, is missing")));
    };
    if Digest::of(&bytes) != contract.digest {
        return Err(StoreError::Damaged(format!("{name}, a description, has another digest")));
    }
    Ok(bytes)
}

impl Judge<'_> {
    /// Compares each description with those that it must keep: the service's own, and those of the other
    /// services that provide the API or did, from which it may have been taken over.
    #[must_use]
    pub(crate) fn run(
        &self,
        described: &[Described<'_>],
        published: Option<&Document>,
        around: &Dictionary,
    ) -> Vec<Diagnostic> {
        let mut found = Vec::new();
        for one in described {
            let api = one.provides.api.as_str();
            let own = self.declaration.service.name.as_str();
            let others = around.services().filter(|document| document.service() != own);
            let others = others.map(|document| Promises::of(one, document, self.today));
            let has_api = |document: &&Document| document.declaration().provided(api).is_some();
            let all: Vec<Promises<'_>> = match published {
                Some(document) => {
                    let mut promises = Promises::of(one, document, self.today);
                    if has_api(&document) {
                        promises.earlier.extend(others.flat_map(Promises::into_all));
                        vec![promises]
                    } else {
                        std::iter::once(promises).chain(others).collect()
                    }
                }
                None => others.collect(),
            };
            for promises in all {
                found.extend(self.keeps(one, &promises).filter_map(|it| self.located(one, it)));
            }
        }
        found
    }

    /// Holds a description to all that was promised.
    ///
    /// What one of the newest promises breaks already was told when it was published.
    fn keeps(
        &self,
        one: &'_ Described<'_>,
        promises: &Promises<'_>,
    ) -> impl Iterator<Item = Diagnostic> {
        let other = |promise: &&Promise<'_>| promise.contract.digest != one.contract.digest;
        let newest = promises.newest.iter().filter(other);
        let mut found: Vec<Diagnostic> =
            newest.filter_map(|promise| self.compare(one, promise, None)).collect();
        // What is published already was told then.
        if !promises.is_published {
            found.extend(promises.newest.first().and_then(|promise| self.risky(one, promise)));
        }
        let last = promises.newest.first().map(|promise| promise.contract);
        let earlier = promises.earlier.iter().filter(other);
        // One that is told is enough to be mended; the rest is seen then.
        let is_broken = |found: &Diagnostic| found.finding != Finding::RISKY_IN_COMPATIBLE_VERSION;
        if !found.iter().any(is_broken) {
            found.extend(earlier.filter_map(|promise| self.compare(one, promise, last)));
        }
        found.into_iter()
    }

    /// Compares a description with one that it must keep; `last` is what was published since.
    fn compare(
        &self,
        one: &Described<'_>,
        promise: &Promise<'_>,
        last: Option<&Contract>,
    ) -> Option<Diagnostic> {
        let (api, version) = (&one.provides.api, one.release.version.as_str());
        let unchecked = |reason: String| {
            let message = format!("{api} {version} was not compared with {}", promise.version);
            Diagnostic::new(Finding::UNCHECKED_DESCRIPTION, message).with_note(reason)
        };
        let text = |contract: &Contract| read(self.store, contract).map_err(|e| e.to_string());
        let broken = || {
            let older = text(promise.contract)?;
            let now = (one.contract.file.as_str(), &one.text[..]);
            let mut lines = self.breaks(one, (&promise.contract.file, &older), now)?;
            if let Some(last) = last.filter(|_| !lines.is_empty()) {
                let since = text(last)?;
                let known =
                    self.breaks(one, (&promise.contract.file, &older), (&last.file, &since))?;
                lines.retain(|line| !known.contains(line));
            }
            Ok(lines)
        };
        match broken() {
            Err(reason) => Some(unchecked(reason)),
            Ok(lines) if lines.is_empty() => None,
            Ok(lines) => Some(Self::broken(one, promise, lines)),
        }
    }

    /// Lists what breaks callers of the older of two descriptions, each with its file's name.
    fn breaks(
        &self,
        one: &Described<'_>,
        (old_file, old): (&str, &[u8]),
        (new_file, new): (&str, &[u8]),
    ) -> Result<Vec<String>, String> {
        let command = self.command.or(one.provides.contract_command.as_deref());
        if let Some(command) = command {
            let judged = ContractCommand::parse(command)
                .and_then(|command| command.run((old_file, old), (new_file, new)))
                .map_err(|error| error.to_string())?;
            return Ok(match judged.compatible {
                true => Vec::new(),
                false if judged.lines.is_empty() => vec![format!("{command} says so")],
                false => judged.lines,
            });
        }
        let comparison = self.compared((old_file, old), (new_file, new))?;
        Ok(comparison.breaking().map(told).collect())
    }

    /// Compares two descriptions by our own rules.
    fn compared(
        &self,
        (old_file, old): (&str, &[u8]),
        (new_file, new): (&str, &[u8]),
    ) -> Result<Comparison, String> {
        let described = |file: &str, text: &[u8]| {
            let text = std::str::from_utf8(text)
                .map_err(|_| "the older description is not UTF-8".to_owned())?;
            Description::read(file, text).map_err(|error| error.to_string())
        };
        let (old, new) = (described(old_file, old)?, described(new_file, new)?);
        old.compare(&new, Some(self.today)).map_err(|error| error.to_string())
    }

    /// Tells of changes that hurt some callers and not others. What cannot be compared is told elsewhere.
    fn risky(&self, one: &Described<'_>, promise: &Promise<'_>) -> Option<Diagnostic> {
        if self.command.or(one.provides.contract_command.as_deref()).is_some() {
            return None;
        }
        let older = read(self.store, promise.contract).ok()?;
        let now = (one.contract.file.as_str(), &one.text[..]);
        let comparison = self.compared((&promise.contract.file, &older), now).ok()?;
        let changes = comparison.changes().iter();
        let risky: Vec<String> =
            changes.filter(|it| it.severity() == Severity::Warning).map(told).collect();
        if risky.is_empty() {
            return None;
        }
        let (api, version) = (&one.provides.api, one.release.version.as_str());
        let before = promise.version;
        let message = match before == version {
            true => format!("the description of {api} {version} may hurt callers"),
            false => format!("{api} {version} may hurt callers of {before}"),
        };
        let finding = Finding::RISKY_IN_COMPATIBLE_VERSION;
        Some(listing(Diagnostic::new(finding, message), risky).with_help(finding.help()))
    }

    fn broken(one: &Described<'_>, promise: &Promise<'_>, changes: Vec<String>) -> Diagnostic {
        let (api, version) = (&one.provides.api, one.release.version.as_str());
        let before = promise.version;
        let message = match before == version {
            true => {
                format!("the description of {api} {version} breaks what was published with it")
            }
            false => format!(
                "{api} {version} breaks what {before} promised, and is said to stand in for it"
            ),
        };
        let diagnostic = Diagnostic::new(Finding::BREAKING_IN_COMPATIBLE_VERSION, message);
        let diagnostic = listing(diagnostic, changes);
        let rule = one.provides.scheme.rule();
        diagnostic.with_help(format!(
            "take the changes back, or give them a version that may break callers: under {}, what will do is {rule}",
            one.provides.scheme
        ))
    }

    fn located(&self, one: &Described<'_>, diagnostic: Diagnostic) -> Option<Diagnostic> {
        let level = self.declaration.policy.level(diagnostic.finding, self.ci);
        (level > Level::Allow).then(|| {
            diagnostic
                .with_level(level)
                .with_subject(&one.provides.api, one.release.version.as_str())
                .with_location(self.declaration.locate(&format!("{}.version", one.path)))
        })
    }
}

/// A description that callers of a version were given.
#[derive(Debug)]
struct Promise<'a> {
    version: &'a str,
    contract: &'a Contract,
}

/// The descriptions that one must keep.
#[derive(Debug)]
struct Promises<'a> {
    /// Its own as it was published, if callers could see it, and that of the newest released version
    /// that it can stand in for.
    newest: Vec<Promise<'a>>,
    /// Those of all others that it can stand in for and that did not end, and what these and its own were
    /// before. A change that hurts no one by itself may, with the next, break callers of the first. And what
    /// other services promised of the API.
    earlier: Vec<Promise<'a>>,
    /// Whether it was published as it is.
    is_published: bool,
}

impl<'a> Promises<'a> {
    fn of(one: &Described<'_>, published: &'a Document, today: Date) -> Self {
        let api = one.provides.api.as_str();
        let (mut newest, mut earlier) = (Vec::new(), Vec::new());
        let provides = published.declaration().provided(api);
        let versions = provides.map_or(&[][..], |provides| &provides.versions);
        let is_own = |release: &Release| release.version.as_str() == one.release.version.as_str();
        let mut kept: Vec<&Release> = versions
            .iter()
            .filter(|release| release.released.is_some_and(|day| day <= today))
            .filter(|release| is_own(release) || one.release.version.satisfies(&release.version))
            .collect();
        // Its own first, then the newest.
        kept.sort_by(|a, b| {
            (is_own(b).cmp(&is_own(a))).then_with(|| later(&b.version, &a.version))
        });
        let mut others = 0;
        for release in kept {
            let version = release.version.as_str();
            let promise = |contract| Promise { version, contract };
            if let Some(contract) = published.contract(api, version) {
                others += usize::from(!is_own(release));
                if is_own(release) || others == 1 {
                    newest.push(promise(contract));
                } else if release.state(today) != State::Retired {
                    earlier.push(promise(contract));
                }
            }
            if release.state(today) != State::Retired {
                earlier.extend(published.former_contracts(api, version).iter().map(promise));
            }
        }
        // What it no longer provides was handed over, or has ended.
        for (version, sunset) in published.left_versions(api) {
            let Ok(read) = one.provides.scheme.version(version) else { continue };
            let is_own = version == one.release.version.as_str();
            let now = one.provides.version(version);
            let has_ended = match now {
                Some(release) => release.state(today) == State::Retired,
                None => sunset.is_some_and(|day| day <= today),
            };
            if (is_own || one.release.version.satisfies(&read)) && !has_ended {
                let former = published.former_contracts(api, version).iter();
                earlier.extend(former.map(|contract| Promise { version, contract }));
            }
        }
        let own = published.contract(api, one.release.version.as_str());
        let is_published = own.is_some_and(|own| own.digest == one.contract.digest);
        Self { newest, earlier, is_published }
    }

    fn into_all(self) -> impl Iterator<Item = Promise<'a>> {
        self.newest.into_iter().chain(self.earlier)
    }
}

/// Picks the version that an API's one description is of: the newest that is released, or else planned.
fn newest(provides: &Provides, today: Date) -> Option<&Release> {
    let key = |release: &&Release| release.released.is_some_and(|day| day <= today);
    let mut plain = provides.versions.iter().filter(|release| release.description.is_none());
    let first = plain.next()?;
    Some(plain.fold(first, |best, release| {
        let order =
            (key(&release).cmp(&key(&best))).then_with(|| later(&release.version, &best.version));
        if order == Ordering::Less { best } else { release }
    }))
}

/// Orders two versions; where the scheme knows no order, the one that is written later is newer.
fn later(a: &Version, b: &Version) -> Ordering {
    a.compare(b).unwrap_or(Ordering::Greater)
}

fn told(change: &Change) -> String {
    format!("{change}: {}", change.rule().reason())
}

/// Adds the first changes, and how many more there are.
fn listing(mut diagnostic: Diagnostic, changes: Vec<String>) -> Diagnostic {
    let count = changes.len();
    for change in changes.into_iter().take(LISTED) {
        diagnostic = diagnostic.with_note(change);
    }
    if count > LISTED {
        diagnostic = diagnostic.with_note(format!("{} more", count - LISTED));
    }
    diagnostic
}
