//! The page of a service: what it provides and needs, and what is around it.

use std::fmt::Write as _;

use meshwise_api::Document;

use super::{
    content::{File, Site},
    graph,
    page::{self, NOT_CHECKED, badge, empty, link, outward},
    path::PagePath,
};
use crate::{changelog::html::escaped, journal::Fact, map::Map};

pub(super) fn page(site: &Site<'_>, map: &Map, document: &Document) -> File {
    let declaration = document.declaration();
    let (name, service) = (document.service(), &declaration.service);
    let place = PagePath::service(name);
    let mut body = format!("<h1>{}</h1>\n<dl>\n", escaped(name));
    if let Some(owner) = &service.owner {
        let _ = writeln!(body, "<dt>Owner</dt><dd>{}</dd>", outward(owner));
    }
    for contact in &service.contacts {
        let _ = writeln!(body, "<dt>Contact</dt><dd>{}</dd>", outward(contact));
    }
    let commit = document.commit().map(|id| format!(" from commit <code>{}</code>", escaped(id)));
    let _ = writeln!(
        body,
        "<dt>Published</dt><dd>{} by {}{}, number {}</dd>\n</dl>",
        document.published_at().date(),
        escaped(document.published_by()),
        commit.unwrap_or_default(),
        document.seq(),
    );
    body += "<h2>Provides</h2>\n";
    if declaration.provides.is_empty() {
        body += &empty("It provides no API.");
    }
    for provides in &declaration.provides {
        let versions: Vec<String> = provides
            .versions
            .iter()
            .map(|release| {
                let version = release.version.as_str();
                let target = PagePath::version(&provides.api, version);
                format!("{} {}", link(&place, &target, version), badge(release.state(site.today)))
            })
            .collect();
        let api = link(&place, &PagePath::page(&[&provides.api]), &provides.api);
        let _ = writeln!(body, "<p><b>{api}</b> &nbsp; {}</p>", versions.join(" &nbsp; "));
    }
    body += "<h2>Requires</h2>\n";
    let mut edges = map.edges.iter().filter(|edge| edge.caller == name).peekable();
    if edges.peek().is_none() {
        body += &empty("It requires no API.");
    } else {
        body += "<table>\n<thead><tr><th>API</th><th>Asks for</th><th>Gets</th><th>Of</th><th>Sunset</th><th>Why</th></tr></thead>\n<tbody>\n";
        for edge in edges {
            let gets = match (&edge.resolved, edge.state) {
                (Some(version), Some(state)) => {
                    let target = PagePath::version(&edge.api, version);
                    format!("{} {}", link(&place, &target, version), badge(state))
                }
                _ if edge.unchecked => NOT_CHECKED.to_owned(),
                _ if edge.provider.is_some() => {
                    "<span class=\"badge bad\">incompatible</span>".to_owned()
                }
                _ => "<span class=\"badge bad\">unknown API</span>".to_owned(),
            };
            let api = match edge.provider {
                Some(_) => link(&place, &PagePath::page(&[&edge.api]), &edge.api),
                None => escaped(&edge.api),
            };
            let provider = edge.provider.as_deref();
            let _ = writeln!(
                body,
                "<tr><td data-name=\"API\">{api}</td><td data-name=\"Asks for\">{}</td><td data-name=\"Gets\"><span>{gets}</span></td><td data-name=\"Of\">{}</td><td class=\"date\" data-name=\"Sunset\">{}</td><td data-name=\"Why\">{}</td></tr>",
                escaped(&edge.required),
                provider
                    .map(|name| link(&place, &PagePath::service(name), name))
                    .unwrap_or_default(),
                edge.sunset.map_or_else(|| "–".to_owned(), |day| day.to_string()),
                edge.reason.as_deref().map(escaped).unwrap_or_default(),
            );
        }
        body += "</tbody>\n</table>\n";
    }
    recorded(&mut body, site, &place, document);
    if let Some(around) = map.clone().around(name) {
        body += "<h2>Around it</h2>\n";
        body += &graph::drawn(&place, &around, Some(name));
    }
    let text = page::page(site, &place, name, &[("services", None), (name, None)], &body);
    (place, text)
}

/// Shows where it runs, and what became of its consumers' tests.
fn recorded(body: &mut String, site: &Site<'_>, place: &PagePath, document: &Document) {
    let name = document.service();
    let mut rows = String::new();
    for (environment, recorded) in &site.environments {
        let (what, since) = match (recorded.running.get(name), recorded.unread.get(name)) {
            (Some(running), _) => {
                let (seq, newest) = (running.document.seq(), document.seq());
                let release = running.document.release();
                let shown = release.map_or_else(|| format!("document {seq}"), escaped);
                let behind = match newest - seq.min(newest) {
                    0 => String::new(),
                    n => format!(" <span class=\"faint\">{n} behind</span>"),
                };
                (format!("{shown}{behind}"), running.since.date().to_string())
            }
            (None, Some(_)) => {
                ("<span class=\"badge bad\">unreadable</span>".to_owned(), String::new())
            }
            (None, None) if recorded.removed.contains(name) => {
                ("removed".to_owned(), String::new())
            }
            (None, None) => continue,
        };
        let _ = writeln!(
            rows,
            "<tr><td data-name=\"Environment\"><b>{}</b></td><td data-name=\"Runs\"><span>{what}</span></td><td class=\"date\" data-name=\"Since\">{since}</td></tr>",
            escaped(environment),
        );
    }
    if !rows.is_empty() {
        let _ = writeln!(
            body,
            "<h2>Runs in</h2>\n<table>\n<thead><tr><th>Environment</th><th>Runs</th><th>Since</th></tr></thead>\n<tbody>\n{rows}</tbody>\n</table>"
        );
    }
    let mut rows = String::new();
    for (consumer, provider, own, fact) in site.tested.against(name) {
        let (state, shown) = match fact {
            Fact::Tested { passed: true, url, .. } => {
                ("<span class=\"badge current\">passed</span>", url.as_deref())
            }
            Fact::Tested { url, .. } => ("<span class=\"badge bad\">failed</span>", url.as_deref()),
            Fact::Started { .. } => ("<span class=\"badge planned\">started</span>", None),
            Fact::NotStarted { .. } => ("<span class=\"badge bad\">not started</span>", None),
            _ => continue,
        };
        let _ = writeln!(
            rows,
            "<tr><td data-name=\"Consumer\">{}</td><td class=\"num\" data-name=\"Its document\">{own}</td><td class=\"num\" data-name=\"Document here\">{provider}</td><td data-name=\"Result\"><span>{state} {}</span></td></tr>",
            link(place, &PagePath::service(consumer), consumer),
            shown.map(outward).unwrap_or_default(),
        );
    }
    if !rows.is_empty() {
        let _ = writeln!(
            body,
            "<h2>Tests against it</h2>\n<table>\n<thead><tr><th>Consumer</th><th class=\"num\">Its document</th><th class=\"num\">Document here</th><th>Result</th></tr></thead>\n<tbody>\n{rows}</tbody>\n</table>"
        );
    }
}
