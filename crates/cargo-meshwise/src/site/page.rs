//! What all pages have in common.

use std::fmt::Display;

use meshwise_api::State;

use super::{content::Site, path::PagePath};
use crate::changelog::html::escaped;

const STYLE: &str = include_str!("page/style.css");

/// Nothing is loaded, from nowhere; the styles stand in the page.
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; form-action 'none'; base-uri 'none'";

/// What is said of a requirement when services could not be read.
pub(super) const NOT_CHECKED: &str = "<span class=\"badge\">not checked</span>";

/// Writes a page: its title, the way to it, and its body.
pub(super) fn page(
    site: &Site<'_>,
    place: &PagePath,
    title: &str,
    trail: &[(&str, Option<PagePath>)],
    body: &str,
) -> String {
    let home = PagePath::page(&[]);
    let map = PagePath::page(&["_", "map"]);
    let mut way = String::new();
    for (name, target) in trail {
        way.push_str(" <span aria-hidden=\"true\">/</span> ");
        way.push_str(&match target {
            Some(target) => link(place, target, name),
            None => format!("<span aria-current=\"page\">{}</span>", escaped(name)),
        });
    }
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<meta name=\"referrer\" content=\"no-referrer\">\n\
         <title>{}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n\
         <header><nav><b>{}</b>{way}</nav><nav class=\"side\">{}</nav></header>\n\
         <main>\n{body}</main>\n<footer>As of {}. {}</footer>\n</body>\n</html>\n",
        escaped(title),
        link(place, &home, "APIs"),
        link(place, &map, "Map"),
        site.today,
        digest(site),
    )
}

fn digest(site: &Site<'_>) -> String {
    let digest = site.dictionary.head_digest().to_string();
    let short = digest.get(7..19).unwrap_or_default();
    format!("Dictionary <code title=\"{digest}\">{short}</code>.")
}

pub(super) fn link(from: &PagePath, to: &PagePath, text: impl Display) -> String {
    format!("<a href=\"{}\">{}</a>", from.to(to), escaped(&text.to_string()))
}

/// Links to another site, if the text is such an address; other texts stay texts.
pub(super) fn outward(text: &str) -> String {
    let shown = escaped(text);
    let name = shown.strip_prefix("mailto:").unwrap_or(&shown);
    let outward = ["https://", "http://", "mailto:"].iter().any(|scheme| text.starts_with(scheme));
    if outward {
        format!("<a href=\"{shown}\" rel=\"noopener noreferrer\">{name}</a>")
    } else {
        shown
    }
}

/// A state as a badge, whose colour says what to do.
pub(super) fn badge(state: State) -> String {
    format!("<span class=\"badge {state}\">{state}</span>")
}

/// A list of names, each with its link; a word where there are none.
pub(super) fn services(from: &PagePath, names: &[String]) -> String {
    if names.is_empty() {
        return "<span class=\"faint\">none declared</span>".to_owned();
    }
    let links: Vec<String> =
        names.iter().map(|name| link(from, &PagePath::service(name), name)).collect();
    format!("<span class=\"names\">{}</span>", links.join(" "))
}

/// What a page shows where there is nothing to show.
pub(super) fn empty(text: &str) -> String {
    format!("<p class=\"empty\">{text}</p>\n")
}
