//! The pages of an API and of each version.

use std::fmt::Write as _;

use meshwise_api::State;

use super::{
    content::{File, Shown, Site},
    description,
    page::{self, NOT_CHECKED, badge, empty, link, outward, services},
    path::PagePath,
};
use crate::{
    changelog::{Changelog, Entry, html::escaped},
    map::Map,
};

pub(super) fn page(site: &Site<'_>, map: &Map, api: &str, changelogs: &[Changelog]) -> File {
    let place = PagePath::page(&[api]);
    let mut body = format!("<h1>{}</h1>\n", escaped(api));
    for changelog in changelogs {
        lead(&mut body, &place, changelog);
        for (heading, entries) in [
            ("Current", &changelog.current),
            ("Plan", &changelog.plan),
            ("History", &changelog.history),
        ] {
            let _ = writeln!(body, "<h2>{heading}</h2>");
            if entries.is_empty() {
                body += &empty(match heading {
                    "Current" => "No version can be called today.",
                    "Plan" => "Nothing is planned.",
                    _ => "No version has been retired.",
                });
                continue;
            }
            body += "<table>\n<thead><tr><th>Version</th><th>State</th><th>Released</th><th>Deprecated</th><th>Sunset</th><th>Successor</th><th>Would fail without it</th></tr></thead>\n<tbody>\n";
            for entry in entries {
                row(&mut body, &place, api, entry);
            }
            body += "</tbody>\n</table>\n";
        }
    }
    callers(&mut body, &place, map, api);
    let trail = [(api, None)];
    let text = page::page(site, &place, api, &trail, &body);
    (place, text)
}

fn lead(body: &mut String, place: &PagePath, changelog: &Changelog) {
    let owner = match &changelog.owner {
        Some(owner) => format!(" of {}", escaped(owner)),
        None => String::new(),
    };
    let contacts: Vec<String> = changelog.contacts.iter().map(|contact| outward(contact)).collect();
    let _ = writeln!(
        body,
        "<p class=\"lead\">Provided by {}{owner} over {}; versions follow <code>{}</code>. {}</p>",
        link(place, &PagePath::service(&changelog.provider), &changelog.provider),
        escaped(&changelog.transport),
        escaped(&changelog.scheme),
        contacts.join(", "),
    );
}

fn row(body: &mut String, place: &PagePath, api: &str, entry: &Entry) {
    let day = |day: Option<meshwise_api::Date>| {
        day.map_or_else(|| "<span class=\"faint\">–</span>".to_owned(), |day| day.to_string())
    };
    let _ = writeln!(
        body,
        "<tr id=\"{0}\"><td data-name=\"Version\"><b>{1}</b></td><td data-name=\"State\">{2}</td><td class=\"date\" data-name=\"Released\">{3}</td><td class=\"date\" data-name=\"Deprecated\">{4}</td><td class=\"date\" data-name=\"Sunset\">{5}</td><td data-name=\"Successor\">{6}</td><td data-name=\"Used by\">{7}</td></tr>",
        escaped(&entry.version),
        link(place, &PagePath::version(api, &entry.version), &entry.version),
        badge(entry.state),
        day(entry.released),
        day(entry.deprecated),
        day(entry.sunset),
        successor(place, api, entry),
        services(place, &entry.used_by),
    );
}

fn successor(place: &PagePath, api: &str, entry: &Entry) -> String {
    match entry.successor.as_deref().map(|text| text.split_once('@').unwrap_or((api, text))) {
        None => "<span class=\"faint\">–</span>".to_owned(),
        Some((other, version)) => {
            let name = if other == api { version.to_owned() } else { format!("{other} {version}") };
            link(place, &PagePath::version(other, version), name)
        }
    }
}

fn callers(body: &mut String, place: &PagePath, map: &Map, api: &str) {
    *body += "<h2>Who uses it</h2>\n";
    let edges: Vec<_> = map.edges.iter().filter(|edge| edge.api == api).collect();
    if edges.is_empty() {
        *body += &empty("No service has declared that it needs this API.");
        return;
    }
    *body += "<table>\n<thead><tr><th>Service</th><th>Owner</th><th>Asks for</th><th>Gets</th><th>Why</th></tr></thead>\n<tbody>\n";
    for edge in edges {
        let gets = match (&edge.resolved, edge.state) {
            (Some(version), Some(state)) => {
                format!(
                    "{} {}",
                    link(place, &PagePath::version(api, version), version),
                    badge(state)
                )
            }
            _ if edge.unchecked => NOT_CHECKED.to_owned(),
            _ => "<span class=\"badge bad\">incompatible</span>".to_owned(),
        };
        let _ = writeln!(
            body,
            "<tr><td data-name=\"Service\">{}</td><td data-name=\"Owner\">{}</td><td data-name=\"Asks for\">{}</td><td data-name=\"Gets\"><span>{gets}</span></td><td data-name=\"Why\">{}</td></tr>",
            link(place, &PagePath::service(&edge.caller), &edge.caller),
            edge.owner.as_deref().map(outward).unwrap_or_default(),
            escaped(&edge.required),
            edge.reason.as_deref().map(escaped).unwrap_or_default(),
        );
    }
    *body += "</tbody>\n</table>\n";
}

/// Makes the page of a version, and the file with its description.
pub(super) fn version(
    site: &Site<'_>,
    map: &Map,
    changelog: &Changelog,
    entry: &Entry,
    shown: &Shown,
) -> Vec<File> {
    let api = changelog.api.as_str();
    let place = PagePath::version(api, &entry.version);
    let mut body =
        format!("<h1>{} {} {}</h1>\n", escaped(api), escaped(&entry.version), badge(entry.state));
    lead(&mut body, &place, changelog);
    notice(&mut body, &place, api, entry);
    body += "<dl>\n";
    let mut fact = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            let _ = writeln!(body, "<dt>{name}</dt><dd>{value}</dd>");
        }
    };
    fact("Released", entry.released.map(|day| day.to_string()));
    fact("Deprecated", entry.deprecated.map(|day| day.to_string()));
    fact("Sunset", entry.sunset.map(|day| day.to_string()));
    fact("Successor", entry.successor.as_ref().map(|_| successor(&place, api, entry)));
    fact("How to move", entry.migration.as_deref().map(outward));
    fact("Notes", entry.notes.as_deref().map(escaped));
    fact("Would fail without it", Some(services(&place, &entry.used_by)));
    body += "</dl>\n";
    let asking: Vec<String> = map
        .edges
        .iter()
        .filter(|edge| edge.api == api && edge.resolved.as_deref() == Some(&entry.version))
        .map(|edge| edge.caller.clone())
        .collect();
    if !asking.is_empty() {
        let _ = writeln!(body, "<p>Gets it today: {}</p>", services(&place, &asking));
    }
    let mut files = Vec::new();
    body += "<h2>Description</h2>\n";
    match shown {
        Shown::None => {
            body += &match changelog.description.as_deref().filter(|text| text.contains("://")) {
                Some(url) => format!("<p>It lies at {}.</p>\n", outward(url)),
                None => empty("No description was published with this version."),
            };
        }
        Shown::Unreadable(reason) => {
            let _ = writeln!(
                body,
                "<p class=\"error\">The description cannot be shown: {}.</p>",
                escaped(reason)
            );
        }
        Shown::Read { file, text, description } => {
            let raw = PagePath::new(&[api, &entry.version], &format!("description-{file}"));
            let _ = writeln!(body, "<p>{}</p>", link(&place, &raw, file));
            body += &description::rendered(description.as_ref(), text);
            files.push((raw, text.clone()));
        }
    }
    let title = format!("{api} {}", entry.version);
    let trail = [(api, Some(PagePath::page(&[api]))), (entry.version.as_str(), None)];
    let text = page::page(site, &place, &title, &trail, &body);
    files.push((place, text));
    files
}

fn notice(body: &mut String, place: &PagePath, api: &str, entry: &Entry) {
    let next = match entry.successor {
        Some(_) => format!(" Move to {}.", successor(place, api, entry)),
        None => String::new(),
    };
    let text = match (entry.state, entry.sunset) {
        (State::Deprecated, Some(sunset)) => {
            format!("Deprecated; it may be gone from {sunset}.{next}")
        }
        (State::Deprecated, None) => format!("Deprecated; its end has no date yet.{next}"),
        (State::Retired, _) => format!("Retired; it may be gone.{next}"),
        (State::Current, Some(sunset)) => format!("It may be gone from {sunset}.{next}"),
        (State::Planned, _) => "Planned; it cannot be called yet.".to_owned(),
        _ => return,
    };
    let _ = writeln!(body, "<p class=\"notice\">{text}</p>");
}
