//! What a publication would do to the services that require its APIs. No I/O.

use std::{collections::BTreeSet, fmt};

use meshwise_api::{Check, Date, Diagnostic, Dictionary, Document, Level};
use serde::Serialize;

/// Says what a service is told once a document is published, and from which day on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Impact {
    /// The service.
    pub service: String,
    /// Who answers for it.
    pub owner: Option<String>,
    /// The first day on which it is told.
    pub from: Date,
    /// How grave it is.
    pub level: Level,
    /// The finding.
    pub finding: &'static str,
    /// In words.
    pub message: String,
}

impl fmt::Display for Impact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = if self.level == Level::Deny { "denied" } else { "warned" };
        let Self { service, from, finding, message, .. } = self;
        write!(f, "{service} is {what} from {from} on: {message} [{finding}]")
    }
}

/// Lists what each service is told because of a document, and is not without it: the first day of each
/// finding, today and on every day that the document names.
#[must_use]
pub(crate) fn impact(before: &Dictionary, document: &Document, today: Date) -> Vec<Impact> {
    let heads = before.services().filter(|head| head.service() != document.service());
    let after = Dictionary::from_heads(heads.cloned().chain([document.clone()]))
        .with_policy(before.policy().clone());
    let provides = &document.declaration().provides;
    let mut days = BTreeSet::from([today]);
    for release in provides.iter().flat_map(|provides| &provides.versions) {
        let adopt_by = release.adopt_by().filter(|_| release.urgent);
        let dates = [release.released, release.deprecated, release.sunset, adopt_by];
        let near = release.sunset.and_then(|sunset| sunset.plus_days(-30));
        days.extend(dates.into_iter().chain([near]).flatten().filter(|day| *day > today));
    }
    let callers: BTreeSet<&str> = provides
        .iter()
        .flat_map(|provides| after.callers(&provides.api))
        .map(|(caller, _)| caller.service())
        .collect();
    let mut found: Vec<Impact> = Vec::new();
    for caller in callers.into_iter().filter_map(|caller| after.newest(caller)) {
        let declaration = caller.declaration();
        let mut told_before: Vec<Diagnostic> = Vec::new();
        for day in &days {
            let told = |dictionary: &Dictionary| {
                Check::new(declaration, *day).with_dictionary(Some(dictionary)).run().diagnostics
            };
            let known = told(before);
            for diagnostic in told(&after) {
                let about = |other: &Diagnostic| {
                    (other.finding.id(), other.level, &other.api, &other.version)
                        == (
                            diagnostic.finding.id(),
                            diagnostic.level,
                            &diagnostic.api,
                            &diagnostic.version,
                        )
                };
                let is_known =
                    |other: &Diagnostic| about(other) && other.message == diagnostic.message;
                // On a later day it may be said in other words.
                if known.iter().any(is_known) || told_before.iter().any(about) {
                    continue;
                }
                told_before.push(diagnostic.clone());
                found.push(Impact {
                    service: caller.service().to_owned(),
                    owner: declaration.service.owner.clone(),
                    from: *day,
                    level: diagnostic.level,
                    finding: diagnostic.finding.id(),
                    message: diagnostic.message.clone(),
                });
            }
        }
    }
    found.sort_by(|a, b| (a.from, &a.service, b.level).cmp(&(b.from, &b.service, a.level)));
    found
}
