//! Whether a declaration contradicts itself.

use std::collections::{BTreeMap, BTreeSet};

use super::Findings;
use crate::{
    declaration::{Provides, Release},
    diagnostic::Diagnostic,
    document::Document,
    finding::{Finding, Level},
    scheme::ApiId,
    state::State,
    text::listed,
};

pub(super) fn check(findings: &mut Findings<'_>, published: Option<&Document>) {
    let declaration = findings.declaration();
    let mut apis = BTreeMap::new();
    for (index, provides) in declaration.provides.iter().enumerate() {
        let path = format!("provides[{index}]");
        let what = format!("the API {} is provided", provides.api);
        once(findings, &mut apis, provides.api.as_str(), &what, &format!("{path}.api"));
        // Looked up, not searched: a file may declare thousands of versions.
        let known: BTreeSet<&str> =
            provides.versions.iter().map(|release| release.version.as_str()).collect();
        let mut versions = BTreeMap::new();
        for (index, release) in provides.versions.iter().enumerate() {
            let path = format!("{path}.versions[{index}]");
            let what = format!("version {} of {} is declared", release.version, provides.api);
            once(
                findings,
                &mut versions,
                release.version.as_str(),
                &what,
                &format!("{path}.version"),
            );
            dates(findings, provides, release, &path);
            adoption(findings, published, provides, release, &path);
            successor(findings, provides, &known, release, &path);
            if published.is_none_or(|document| {
                !document.has_released(&provides.api, release, findings.check.today)
            }) {
                notice(findings, provides, release, &path, published.is_some());
            }
        }
    }
    let mut requirements = BTreeMap::new();
    for (index, requires) in declaration.requires.iter().enumerate() {
        let key = (requires.api.as_str(), requires.version.as_str());
        let what = format!("{} {} is required", requires.api, requires.version);
        once(findings, &mut requirements, key, &what, &format!("requires[{index}].version"));
    }
}

/// Tells of the second of two that should be one.
fn once<K: Ord>(
    findings: &mut Findings<'_>,
    seen: &mut BTreeMap<K, String>,
    key: K,
    what: &str,
    path: &str,
) {
    if let Some(first) = seen.get(&key) {
        let mut diagnostic = Diagnostic::new(Finding::DUPLICATE_ENTRY, format!("{what} twice"));
        // To find a place is to count lines; not for thousands that no one is told of.
        if findings.has_room()
            && let Some(at) = findings.declaration().locate(first)
        {
            diagnostic = diagnostic.with_note(format!("first in line {}", at.line));
        }
        findings.tell(path, diagnostic.with_help("keep one of the two"));
    } else {
        seen.insert(key, path.to_owned());
    }
}

fn dates(findings: &mut Findings<'_>, provides: &Provides, release: &Release, path: &str) {
    let name = format!("{} {}", provides.api, release.version);
    let dates = [
        ("released", release.released),
        ("deprecated", release.deprecated),
        ("sunset", release.sunset),
    ];
    for (at, (later, late)) in dates.iter().enumerate() {
        let Some(late) = late else { continue };
        // The nearest date before it in the life of a version.
        let before = dates[..at]
            .iter()
            .rev()
            .find_map(|(earlier, early)| early.map(|early| (earlier, early)));
        let path = format!("{path}.{later}");
        match before {
            Some((earlier, early)) if *late < early => {
                let label = format!("earlier than {earlier} = {early}");
                findings.tell(
                    &path,
                    Diagnostic::new(
                        Finding::DATES_OUT_OF_ORDER,
                        format!("{name} is {} before it is {}", ended(later), ended(earlier)),
                    )
                    .with_subject(&provides.api, release.version.as_str())
                    .with_label(label)
                    .with_help(format!(
                        "write {later} = {early} or a later day, or correct {earlier}"
                    )),
                );
            }
            None if at > 0 && release.released.is_none() => findings.tell(
                &path,
                Diagnostic::new(
                    Finding::DATES_OUT_OF_ORDER,
                    format!("{name} is {} but was never released", ended(later)),
                )
                .with_subject(&provides.api, release.version.as_str())
                .with_help("add the day of its release: released = YYYY-MM-DD"),
            ),
            _ => {}
        }
    }
}

/// Checks that callers can still adopt an urgent fix when they first hear of it: a day that has passed
/// would deny all of them at once, be it a slip of the pen or that of a release long ago.
fn adoption(
    findings: &mut Findings<'_>,
    published: Option<&Document>,
    provides: &Provides,
    release: &Release,
    path: &str,
) {
    let today = findings.check.today;
    let Some(by) = release.adopt_by().filter(|_| release.urgent) else { return };
    let (key, written) = match release.adopt_by {
        Some(_) => ("adopt-by", true),
        None => ("urgent", false),
    };
    let early = release.released.filter(|released| written && by < *released);
    let said = |document: &Document| {
        let before = document.declaration().provided(&provides.api);
        let before = before.and_then(|before| before.version(release.version.as_str()));
        before.is_some_and(|before| before.urgent && before.adopt_by() == Some(by))
    };
    let late = by < today
        && release.state(today).is_live()
        && published.is_some_and(|document| !said(document));
    if early.is_none() && !late {
        return;
    }
    let (name, day) = (format!("{} {}", provides.api, release.version), early.unwrap_or(today));
    let (message, label) = match early {
        Some(released) => (
            format!("{name} is to be adopted before it is released"),
            format!("earlier than released = {released}"),
        ),
        None => (
            format!("{name} is to be adopted by {by}, before callers are told that it is urgent"),
            if written {
                format!("today is {today}")
            } else {
                "30 days after its release".to_owned()
            },
        ),
    };
    let diagnostic = Diagnostic::new(Finding::DATES_OUT_OF_ORDER, message)
        .with_subject(&provides.api, release.version.as_str())
        .with_label(label)
        .with_help(format!("write adopt-by = {day} or a later day"));
    findings.tell(&format!("{path}.{key}"), diagnostic);
}

/// Returns what happens to a version on a date, in words.
fn ended(key: &str) -> &str {
    if key == "sunset" { "retired" } else { key }
}

fn successor(
    findings: &mut Findings<'_>,
    provides: &Provides,
    versions: &BTreeSet<&str>,
    release: &Release,
    path: &str,
) {
    let Some(successor) = &release.successor else { return };
    let path = format!("{path}.successor");
    let name = format!("{} {}", provides.api, release.version);
    let wrong = |message: String| {
        Diagnostic::new(Finding::UNKNOWN_SUCCESSOR, message)
            .with_subject(&provides.api, release.version.as_str())
    };
    let own = successor.split_once('@').unwrap_or((&*provides.api, successor));
    if own == (&*provides.api, release.version.as_str()) {
        let diagnostic = wrong(format!("{name} is named as its own successor"));
        findings.tell(&path, diagnostic.with_help("name the version that callers should move to"));
        return;
    }
    if versions.contains(successor.as_str()) {
        let today = findings.check.today;
        let ends = provides.version(successor).filter(|next| next.state(today) == State::Retired);
        if let Some(sunset) =
            ends.filter(|_| release.state(today).is_live()).and_then(|it| it.sunset)
        {
            let diagnostic = wrong(format!("the successor of {name} is retired since {sunset}"));
            let diagnostic = diagnostic.with_help("name one that callers can move to");
            let level = findings.level(Finding::UNKNOWN_SUCCESSOR).min(Level::Warn);
            findings.tell_at(level, &path, diagnostic);
        }
        return;
    }
    // `API@VERSION`; without the '@' it is meant to be a version of this API.
    let other = successor.contains('@').then(|| successor.parse::<ApiId>());
    let known = match &other {
        Some(Ok(id)) => {
            let version = id.version().unwrap_or_default();
            match (findings.declaration().provided(id.name()), findings.check.dictionary) {
                (Some(provides), _) => provides.version(version).is_some(),
                (None, Some(dictionary)) => {
                    let mut providers = dictionary.providers(id.name());
                    providers.any(|(_, provides)| provides.version(version).is_some())
                }
                // Only a dictionary could tell.
                (None, None) => true,
            }
        }
        Some(Err(_)) | None => false,
    };
    if !known {
        let versions = provides.versions.iter().map(|other| other.version.as_str());
        let diagnostic = wrong(format!("the successor of {name} is not declared"))
            .with_note(format!("versions of {}: {}", provides.api, listed(versions)))
            .with_help("declare it as a version too, even if it is only planned; one of another API is API@VERSION");
        findings.tell(&path, diagnostic);
    }
}

/// Checks that callers get the time that the policy promises them, of a version that no one was
/// told of yet; [`published`](super::published) judges the others.
fn notice(
    findings: &mut Findings<'_>,
    provides: &Provides,
    release: &Release,
    path: &str,
    others_were_told: bool,
) {
    let today = findings.check.today;
    let Some(sunset) = release.sunset else { return };
    // No one was told of this version yet, while others were: their time begins today.
    let begins = match (release.deprecated, others_were_told) {
        (day, true) => day.map_or(today, |day| day.max(today)),
        (Some(day), false) => day,
        (None, false) => return,
    };
    if release.state(today) == State::Retired {
        return;
    }
    let minimum = findings.declaration().policy.notice_under(findings.organisation());
    let days = sunset.days_since(begins);
    if days < 0 || i64::from(days) >= i64::from(minimum) {
        return;
    }
    let earliest = i32::try_from(minimum).ok().and_then(|days| begins.plus_days(days));
    let mut diagnostic = Diagnostic::new(
        Finding::SHORT_DEPRECATION,
        format!(
            "callers of {} {} get {days} days to leave, the policy promises {minimum}",
            provides.api, release.version
        ),
    )
    .with_subject(&provides.api, release.version.as_str())
    .with_label(format!("{days} days after {begins}"));
    if let Some(earliest) = earliest {
        diagnostic = diagnostic.with_help(format!(
            "write sunset = {earliest} or a later day, or lower min-deprecation-days in [policy]"
        ));
    }
    findings.tell(&format!("{path}.sunset"), diagnostic);
}
