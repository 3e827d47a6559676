//! The first page: all APIs and all services.

use std::fmt::Write as _;

use meshwise_api::State;

use super::{
    content::{File, Site},
    page::{self, badge, empty, link, outward},
    path::PagePath,
};
use crate::{
    changelog::{Changelog, html::escaped},
    map::Map,
    output::count,
};

/// Returns the state of the version that a newcomer would use.
fn foremost(changelog: &Changelog) -> Option<State> {
    let newest = changelog.current.iter().find(|entry| entry.state == State::Current);
    let first = newest.or(changelog.current.first()).or(changelog.plan.first());
    first.or(changelog.history.first()).map(|entry| entry.state)
}

pub(super) fn page(site: &Site<'_>, map: &Map, apis: &[(String, Vec<Changelog>)]) -> File {
    let place = PagePath::page(&[]);
    let mut body = format!(
        "<h1>APIs</h1>\n<p class=\"lead\">{} by {}, and who relies on them.</p>\n",
        count(apis.len(), "API"),
        count(map.services.len(), "service")
    );
    if apis.is_empty() {
        body += &empty(
            "No API is published yet. A service publishes its own with <code>cargo meshwise publish</code>.",
        );
    } else {
        body += "<table>\n<thead><tr><th>API</th><th>State</th><th>Can be called</th><th>Ends next</th><th>Provider</th><th class=\"num\">Callers</th></tr></thead>\n<tbody>\n";
        for (api, changelogs) in apis {
            for changelog in changelogs {
                row(&mut body, &place, map, api, changelog);
            }
        }
        body += "</tbody>\n</table>\n";
    }
    body += "<h2>Services</h2>\n";
    if map.services.is_empty() {
        body += &empty("No service is published yet.");
    } else {
        body += "<table>\n<thead><tr><th>Service</th><th>Owner</th><th>Provides</th><th class=\"num\">Requires</th></tr></thead>\n<tbody>\n";
        for service in &map.services {
            let provides: Vec<String> = service
                .provides
                .iter()
                .map(|api| link(&place, &PagePath::page(&[api]), api))
                .collect();
            let requires = map.edges.iter().filter(|edge| edge.caller == service.name).count();
            let _ = writeln!(
                body,
                "<tr><td data-name=\"Service\">{}</td><td data-name=\"Owner\">{}</td><td data-name=\"Provides\"><span class=\"names\">{}</span></td><td class=\"num\" data-name=\"Requires\">{requires}</td></tr>",
                link(&place, &PagePath::service(&service.name), &service.name),
                service.owner.as_deref().map_or_else(none, outward),
                if provides.is_empty() { none() } else { provides.join(" ") },
            );
        }
        body += "</tbody>\n</table>\n";
    }
    let text = page::page(site, &place, "APIs", &[], &body);
    (place, text)
}

/// What stands where there is nothing.
fn none() -> String {
    "<span class=\"faint\">–</span>".to_owned()
}

fn row(body: &mut String, place: &PagePath, map: &Map, api: &str, changelog: &Changelog) {
    let current: Vec<String> = changelog
        .current
        .iter()
        .map(|entry| {
            let link = link(place, &PagePath::version(api, &entry.version), &entry.version);
            match entry.state {
                State::Deprecated => {
                    format!("<span>{link} <span class=\"faint\">deprecated</span></span>")
                }
                _ => link,
            }
        })
        .collect();
    let next = changelog
        .current
        .iter()
        .filter_map(|entry| Some((entry.sunset?, entry)))
        .min_by_key(|(day, _)| *day);
    let next = next.map_or_else(none, |(day, entry)| {
        format!("<span>{} on {day}</span>", escaped(&entry.version))
    });
    let mut callers: Vec<&str> =
        map.edges.iter().filter(|edge| edge.api == api).map(|edge| edge.caller.as_str()).collect();
    callers.dedup();
    let _ = writeln!(
        body,
        "<tr><td data-name=\"API\"><b>{}</b></td><td data-name=\"State\">{}</td><td data-name=\"Can be called\"><span class=\"names\">{}</span></td><td class=\"date\" data-name=\"Ends next\">{next}</td><td data-name=\"Provider\">{}</td><td class=\"num\" data-name=\"Callers\">{}</td></tr>",
        link(place, &PagePath::page(&[api]), api),
        foremost(changelog).map(badge).unwrap_or_default(),
        current.join(" "),
        link(place, &PagePath::service(&changelog.provider), &changelog.provider),
        callers.len(),
    );
}
