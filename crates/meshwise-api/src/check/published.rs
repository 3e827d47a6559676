//! Whether a declaration keeps what its service has published.

use std::collections::BTreeMap;

use super::Findings;
use crate::{
    declaration::{Provides, Release},
    diagnostic::Diagnostic,
    document::Document,
    finding::{Finding, Level},
    state::State,
};

pub(super) fn check(findings: &mut Findings<'_>, published: &Document) {
    let declaration = findings.declaration();
    let today = findings.check.today;
    for before in &published.declaration().provides {
        let found = declaration.provides.iter().position(|provides| provides.api == before.api);
        let Some(index) = found else {
            // Plans may be given up; what could be called may not just vanish.
            if before.versions.iter().any(|release| release.state(today) != State::Planned) {
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
                            changed(format!("{} {} is released and can't be only planned again", now.api, after.version), published)
                                .with_subject(&now.api, after.version.as_str())
                                .with_help("put its day of release back; to end it, give it a sunset"),
                        );
                    }
                    sunset(findings, published, now, release, after, &format!("{path}.sunset"));
                }
                None if release.state(today) != State::Planned => findings.tell(
                    &path,
                    changed(format!("{} {} was published and is gone", now.api, release.version), published)
                        .with_subject(&now.api, release.version.as_str())
                        .with_help("put it back with its dates: a version's history is kept, and it is never used again"),
                ),
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

fn sunset(
    findings: &mut Findings<'_>,
    published: &Document,
    provides: &Provides,
    before: &Release,
    now: &Release,
    path: &str,
) {
    let today = findings.check.today;
    let Some(promised) = before.sunset else { return };
    let name = format!("{} {}", provides.api, now.version);
    if before.state(today) == State::Retired {
        if now.state(today) != State::Retired {
            findings.tell(
                path,
                Diagnostic::new(
                    Finding::RETIRED_VERSION_REUSED,
                    format!("{name} is retired and can't come back"),
                )
                .with_subject(&provides.api, now.version.as_str())
                .with_note(format!("its published sunset was {promised}; today is {today}"))
                .with_help("give what you release now a new version"),
            );
        }
        return;
    }
    let Some(sunset) = now.sunset.filter(|sunset| *sunset < promised) else { return };
    let mut diagnostic = Diagnostic::new(
        Finding::SUNSET_MOVED_EARLIER,
        format!(
            "the sunset of {name} moves {} days earlier than was published",
            promised.days_since(sunset)
        ),
    )
    .with_subject(&provides.api, now.version.as_str())
    .with_label(format!("was {promised}"))
    .with_note(format!(
        "published on {} as {}",
        published.published_at().date(),
        published.path()
    ));
    let mut level = Level::Deny;
    if let Some(reason) = findings.check.force {
        level = Level::Warn;
        diagnostic = diagnostic.with_note(format!("forced: {reason}"));
    } else {
        diagnostic = diagnostic.with_help(format!(
            "keep sunset = {promised} or a later day; if there is no other way, publish with --force and a reason"
        ));
    }
    findings.tell_at(level, path, diagnostic);
}
