//! Whether a declaration keeps what its service has published.

use std::collections::BTreeMap;

use super::Findings;
use crate::{
    date::Date,
    declaration::{Provides, Release},
    diagnostic::Diagnostic,
    dictionary::Dictionary,
    document::Document,
    finding::{Finding, Level},
    state::State,
};

pub(super) fn check(findings: &mut Findings<'_>, published: &Document) {
    let declaration = findings.declaration();
    let today = findings.check.today;
    let handed_over = |api: &str, release: &Release| {
        is_handed_over(findings.check.dictionary, published, api, release, today)
    };
    for before in &published.declaration().provides {
        let found = declaration.provides.iter().position(|provides| provides.api == before.api);
        let Some(index) = found else {
            // Plans may be given up; what could be called may not just vanish. What has ended may, with
            // its service.
            let may_go = |release: &Release| {
                release.state(today) == State::Planned
                    || (declaration.service.retired && release.state(today) == State::Retired)
                    || handed_over(&before.api, release)
            };
            if !before.versions.iter().all(may_go) {
                findings.tell(
                    "service",
                    changed(format!("the API {} was published and is gone", before.api), published)
                        .with_help(format!(
                            "put {} back; to end it, give its versions a sunset",
                            before.api
                        )),
                );
            }
            continue;
        };
        let (now, path) = (&declaration.provides[index], format!("provides[{index}]"));
        api(findings, published, before, now, &path);
        let versions = now.versions.iter().enumerate();
        let versions: BTreeMap<&str, usize> =
            versions.map(|(index, release)| (release.version.as_str(), index)).collect();
        for release in &before.versions {
            match versions.get(release.version.as_str()) {
                Some(&index) => {
                    let path = format!("{path}.versions[{index}]");
                    let after = &now.versions[index];
                    // A date may change, but not so that what is called today was never released.
                    if release.state(today).is_live() && after.state(today) == State::Planned {
                        findings.tell(
                            &format!("{path}.released"),
                            changed(
                                format!(
                                    "{} {} is released and cannot be only planned again",
                                    now.api, after.version
                                ),
                                published,
                            )
                            .with_subject(&now.api, after.version.as_str())
                            .with_help("put its day of release back; to end it, give it a sunset"),
                        );
                    }
                    sunset(findings, published, now, release, after, &format!("{path}.sunset"));
                    deprecation(findings, now, release, after, &format!("{path}.deprecated"));
                }
                None if release.state(today) != State::Planned
                    && !handed_over(&before.api, release) =>
                {
                    findings.tell(
                    &path,
                    changed(format!("{} {} was published and is gone", now.api, release.version), published)
                        .with_subject(&now.api, release.version.as_str())
                        .with_help("put it back with its dates: a version's history is kept, and it is never used again"),
                    );
                }
                None => {}
            }
        }
    }
}

fn changed(message: String, published: &Document) -> Diagnostic {
    Diagnostic::new(Finding::PUBLISHED_VERSION_CHANGED, message).with_note(format!(
        "published on {} as {}",
        published.published_at().date(),
        published.path()
    ))
}

/// Checks what holds for all versions of an API.
fn api(
    findings: &mut Findings<'_>,
    published: &Document,
    before: &Provides,
    now: &Provides,
    path: &str,
) {
    if before.scheme != now.scheme {
        let written = |provides: &Provides| match provides.scheme {
            crate::Scheme::Calver { same_or_later: true } => "calver with same-or-later".to_owned(),
            other => other.to_string(),
        };
        findings.tell(
            &format!("{path}.scheme"),
            changed(
                format!("the scheme of {} changes what its published versions mean", now.api),
                published,
            )
            .with_label(format!("was {}", written(before)))
            .with_help(format!("keep {}, or provide an API of another name", written(before))),
        );
    }
    if before.transport != now.transport {
        findings.tell(
            &format!("{path}.transport"),
            changed(format!("{} is called in another way than was published", now.api), published)
                .with_label(format!("was {}", before.transport))
                .with_help(format!("keep {}, or provide an API of another name", before.transport)),
        );
    }
}

/// Returns the latest sunset that callers of a version were ever promised, and who did: this service, or
/// one that had the API before.
fn promise<'d>(
    findings: &Findings<'d>,
    published: Option<&'d Document>,
    api: &str,
    version: &str,
) -> Option<(Date, &'d Document)> {
    let own = findings.check.declaration.service.name.as_str();
    let others = findings.check.dictionary.into_iter().flat_map(Dictionary::services);
    let documents = published.into_iter().chain(others.filter(|other| other.service() != own));
    let promises = documents.filter_map(|it| Some((it.promised_sunset(api, version)?, it)));
    promises.max_by_key(|(promised, _)| *promised)
}

/// Holds what is taken over from other services to what they promised of it.
pub(super) fn taken_over(findings: &mut Findings<'_>, published: Option<&Document>) {
    for (index, provides) in findings.declaration().provides.iter().enumerate() {
        let had = |document: &Document| document.declaration().provided(&provides.api).is_some();
        if published.is_some_and(had) {
            continue;
        }
        for (at, release) in provides.versions.iter().enumerate() {
            let Some(sunset) = release.sunset else { continue };
            let path = format!("provides[{index}].versions[{at}].sunset");
            let (api, version) = (provides.api.as_str(), release.version.as_str());
            moves_earlier(findings, published, api, version, sunset, &path);
        }
    }
}

/// Tells of a sunset that is earlier than callers were ever promised.
fn moves_earlier(
    findings: &mut Findings<'_>,
    published: Option<&Document>,
    api: &str,
    version: &str,
    sunset: Date,
    path: &str,
) -> bool {
    let promise = promise(findings, published, api, version);
    let Some((promised, by)) = promise.filter(|(promised, _)| sunset < *promised) else {
        return false;
    };
    let days = promised.days_since(sunset);
    let message =
        format!("the sunset of {api} {version} moves {days} days earlier than was published");
    let diagnostic = Diagnostic::new(Finding::SUNSET_MOVED_EARLIER, message)
        .with_subject(api, version)
        .with_label(format!("was {promised}"))
        .with_note(format!("published on {} as {}", by.published_at().date(), by.path()));
    let help = format!(
        "keep sunset = {promised} or a later day; if there is no other way, publish with --force and a reason"
    );
    findings.tell_forced(path, diagnostic, help);
    true
}

fn sunset(
    findings: &mut Findings<'_>,
    published: &Document,
    provides: &Provides,
    before: &Release,
    now: &Release,
    path: &str,
) {
    let today = findings.check.today;
    let (api, version) = (provides.api.as_str(), now.version.as_str());
    let name = format!("{api} {version}");
    if before.state(today) == State::Retired {
        if now.state(today) != State::Retired {
            let promised = before.sunset.map_or_else(String::new, |sunset| sunset.to_string());
            findings.tell(
                path,
                Diagnostic::new(
                    Finding::RETIRED_VERSION_REUSED,
                    format!("{name} is retired and cannot come back"),
                )
                .with_subject(api, version)
                .with_note(format!("its published sunset was {promised}; today is {today}"))
                .with_help("give what you release now a new version"),
            );
        }
        return;
    }
    // What is published already was judged then, and perhaps forced.
    let Some(sunset) = now.sunset.filter(|sunset| before.sunset != Some(*sunset)) else { return };
    // The latest day that was ever promised: to lift a sunset, and then to set an earlier one, breaks
    // the promise too.
    if moves_earlier(findings, Some(published), api, version, sunset, path) {
        return;
    }
    let promised = promise(findings, Some(published), api, version).map(|(day, _)| day);
    // What was only planned was promised to no one. An end that was lifted was told to be open again.
    let is_later = before.sunset.and(promised).is_some_and(|promised| sunset >= promised);
    if !before.state(today).is_live() || is_later {
        return;
    }
    // Callers' time begins when they were told, and when the version is deprecated.
    let told = published.end_told(api, version, sunset).unwrap_or(today);
    let begins = now.deprecated.map_or(told, |deprecated| deprecated.max(told));
    let minimum = findings.declaration().policy.notice_under(findings.organisation());
    let days = sunset.days_since(begins).max(0);
    if i64::from(days) >= i64::from(minimum) {
        return;
    }
    let mut diagnostic = Diagnostic::new(
        Finding::SHORT_NOTICE,
        format!("callers of {name} get {days} days to leave, the policy promises {minimum}"),
    )
    .with_subject(api, version)
    .with_label(if sunset <= today {
        "this retires a version that can be called now".to_owned()
    } else {
        format!("{days} days after {begins}")
    });
    if promised.is_none() {
        diagnostic = diagnostic.with_note("its end was never published before");
    }
    let earliest = i32::try_from(minimum).ok().and_then(|days| begins.plus_days(days));
    let help = earliest.map_or_else(String::new, |day| {
        format!(
            "write sunset = {day} or a later day; if there is no other way, publish with --force and a reason"
        )
    });
    findings.tell_forced(path, diagnostic, help);
}

/// Warns of a deprecation that is dated before anyone was told.
fn deprecation(
    findings: &mut Findings<'_>,
    provides: &Provides,
    before: &Release,
    now: &Release,
    path: &str,
) {
    let today = findings.check.today;
    let Some(deprecated) = now.deprecated.filter(|day| *day < today) else { return };
    if before.deprecated.is_some() || !before.state(today).is_live() {
        return;
    }
    let name = format!("{} {}", provides.api, now.version);
    let diagnostic = Diagnostic::new(
        Finding::BACKDATED_DEPRECATION,
        format!("the deprecation of {name} is dated {deprecated}, before it is published"),
    )
    .with_subject(&provides.api, now.version.as_str())
    .with_help(format!(
        "write deprecated = {today} or a later day: it counts from today for callers"
    ));
    findings.tell(path, diagnostic);
}

/// Tells whether another service provides a version of an API with the consent of the one that
/// published it, can be called where that one could, and ends it no sooner than that one promised: what is
/// handed over is not gone.
fn is_handed_over(
    dictionary: Option<&Dictionary>,
    published: &Document,
    api: &str,
    before: &Release,
    today: Date,
) -> bool {
    let version = before.version.as_str();
    let shared = published.declaration().provided(api).map_or(&[][..], |it| &it.shared_with);
    let promised = published.promised_sunset(api, version);
    let keeps = |release: &Release| match (release.sunset, promised) {
        (None, _) => true,
        // An end that was never published is news, and judged where it is published.
        (Some(_), None) => false,
        (Some(sunset), Some(promised)) => sunset >= promised,
    };
    let was_live = before.state(today).is_live();
    let serves = |release: &&Release| !was_live || release.state(today).is_live();
    let mut providers = dictionary.into_iter().flat_map(|dictionary| dictionary.providers(api));
    providers.any(|(document, provides)| {
        shared.iter().any(|name| name == document.service())
            && provides.version(version).filter(serves).is_some_and(keeps)
    })
}

impl Findings<'_> {
    /// Tells of a broken promise: denied, but if it is forced, for a reason, a warning.
    fn tell_forced(&mut self, path: &str, diagnostic: Diagnostic, help: String) {
        match self.check.force {
            Some(reason) => {
                let diagnostic = diagnostic.with_note(format!("forced: {reason}"));
                self.tell_at(Level::Warn, path, diagnostic);
            }
            None => self.tell_at(Level::Deny, path, diagnostic.with_help(help)),
        }
    }
}
