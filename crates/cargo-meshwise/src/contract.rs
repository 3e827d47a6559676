//! The descriptions of a service's versions: gathered, stored by digest, and held to what was promised.
//!
//! A version whose scheme says that it can stand in for an earlier one is compared with it; and a
//! version that is released already, with its own description as it was published.

mod command;
mod gather;

use std::cmp::Ordering;

use bytes::Bytes;
use meshwise_api::{
    Contract, Date, Declaration, Diagnostic, Digest, Document, Draft, Finding, Level, Provides,
    Release, Version,
    contract::{Comparison, Description},
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
    /// Compares each description with those that it must keep.
    #[must_use]
    pub(crate) fn run(
        &self,
        described: &[Described<'_>],
        published: Option<&Document>,
    ) -> Vec<Diagnostic> {
        let Some(published) = published else { return Vec::new() };
        let mut found = Vec::new();
        for one in described {
            for (version, contract) in earlier(one, published, self.today) {
                if contract.digest == one.contract.digest {
                    continue;
                }
                let diagnostic = self.compare(one, version, contract);
                found.extend(diagnostic.and_then(|diagnostic| self.located(one, diagnostic)));
            }
        }
        found
    }

    fn compare(
        &self,
        one: &Described<'_>,
        before: &str,
        contract: &Contract,
    ) -> Option<Diagnostic> {
        let (api, version) = (&one.provides.api, one.release.version.as_str());
        let unchecked = |reason: String| {
            let message = format!("{api} {version} was not compared with {before}");
            Diagnostic::new(Finding::UNCHECKED_DESCRIPTION, message).with_note(reason)
        };
        let older = match read(self.store, contract) {
            Ok(bytes) => bytes,
            Err(error) => return Some(unchecked(error.to_string())),
        };
        let command = self.command.or(one.provides.contract_command.as_deref());
        if let Some(command) = command {
            let result = ContractCommand::parse(command).and_then(|command| {
                command.run((&contract.file, &older), (&one.contract.file, &one.text))
            });
            return match result {
                Ok(verdict) if verdict.compatible => None,
                Ok(verdict) => {
                    Some(Self::broken(one, before, verdict.lines, "the command's findings"))
                }
                Err(error) => Some(unchecked(error.to_string())),
            };
        }
        let comparison = std::str::from_utf8(&older)
            .map_err(|_| "the older description is not UTF-8".to_owned())
            .and_then(|text| Description::read(&contract.file, text).map_err(|e| e.to_string()))
            .and_then(|older| {
                older.compare(&one.description, Some(self.today)).map_err(|e| e.to_string())
            });
        match comparison {
            Err(reason) => Some(unchecked(reason)),
            Ok(comparison) if comparison.breaking().next().is_none() => None,
            Ok(comparison) => {
                Some(Self::broken(one, before, told(&comparison), "breaking changes"))
            }
        }
    }

    fn broken(one: &Described<'_>, before: &str, changes: Vec<String>, what: &str) -> Diagnostic {
        let (api, version) = (&one.provides.api, one.release.version.as_str());
        let message = if before == version {
            format!("the description of {api} {version} breaks what was published with it")
        } else {
            format!("{api} {version} breaks what {before} promised, and is said to stand in for it")
        };
        let count = changes.len();
        let mut diagnostic = Diagnostic::new(Finding::BREAKING_IN_COMPATIBLE_VERSION, message);
        for change in changes.into_iter().take(LISTED) {
            diagnostic = diagnostic.with_note(change);
        }
        if count > LISTED {
            diagnostic = diagnostic.with_note(format!("{} more {what}", count - LISTED));
        }
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

/// Lists the descriptions that one must keep: its own as it was published, if callers could see it,
/// and that of the newest released version that it can stand in for.
fn earlier<'a>(
    one: &Described<'_>,
    published: &'a Document,
    today: Date,
) -> Vec<(&'a str, &'a Contract)> {
    let api = one.provides.api.as_str();
    let Some(before) = published.declaration().provided(api) else { return Vec::new() };
    let released = |release: &&Release| release.released.is_some_and(|day| day <= today);
    let contract = |release: &'a Release| {
        let version = release.version.as_str();
        Some((version, published.contract(api, version)?))
    };
    let own = before.version(one.release.version.as_str()).filter(released).and_then(contract);
    let newest = before
        .versions
        .iter()
        .filter(released)
        .filter(|release| release.version.as_str() != one.release.version.as_str())
        .filter(|release| one.release.version.satisfies(&release.version))
        .filter_map(|release| Some((&release.version, contract(release)?)))
        .max_by(|(a, _), (b, _)| a.compare(b).unwrap_or(Ordering::Equal))
        .map(|(_, contract)| contract);
    own.into_iter().chain(newest).collect()
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

fn told(comparison: &Comparison) -> Vec<String> {
    comparison.breaking().map(|change| format!("{change}: {}", change.rule().reason())).collect()
}
