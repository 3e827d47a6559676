//! The answers for people.

use super::url::encode;
use crate::serve::notice::is_url;
use meshwise_api::{Date, Declared, ProvidedApi, ProvidedVersion, State, names};
use std::fmt::{self, Display, Write};

const STYLE: &str = "body{font:1rem/1.5 system-ui,sans-serif;margin:2rem auto;max-width:60rem;\
padding:0 1rem}table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.3rem .6rem;\
border-bottom:1px solid #8884;vertical-align:top}.deprecated{color:#b45309}.retired{color:#b91c1c}\
.planned{color:#6b7280}:root{color-scheme:light dark}";

/// What every page needs: what there is to link, what links begin with, and the day.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) declared: &'a Declared,
    pub(super) base: &'a str,
    pub(super) today: Date,
}

impl View<'_> {
    /// Returns the address of a page for people.
    fn address(self, names: &[&str]) -> String {
        let mut url = format!("{}{}", self.base, names::PATH_APIS);
        for name in names {
            url = url + "/" + &encode(name);
        }
        url + "?format=html"
    }
}

pub(super) fn service(declared: &Declared, view: View<'_>) -> String {
    page(&format!("APIs of {}", declared.service), view, |out| {
        if let Some(owner) = declared.owner {
            write!(out, "<p>Owner: {}", Escaped(owner))?;
            for contact in declared.contacts {
                write!(out, ", {}", Linked(contact))?;
            }
            out.write_str("</p>\n")?;
        }
        for api in declared.provides {
            let address = view.address(&[api.api]);
            writeln!(
                out,
                "<h2 id=\"{0}\"><a href=\"{1}\">{0}</a></h2>",
                Escaped(api.api),
                Escaped(&address)
            )?;
            versions(out, api, view)?;
        }
        if declared.provides.is_empty() {
            out.write_str("<p>This service provides no API.</p>\n")?;
        }
        required(out, declared)
    })
}

pub(super) fn api(api: &ProvidedApi, view: View<'_>) -> String {
    page(&format!("API {}", api.api), view, |out| versions(out, api, view))
}

pub(super) fn version(api: &ProvidedApi, version: &ProvidedVersion, view: View<'_>) -> String {
    page(&format!("API {}, version {}", api.api, version.version), view, |out| {
        let api = ProvidedApi { versions: &[], ..*api };
        about(out, &api)?;
        table(out, &api, &[version], view)
    })
}

/// Writes the frame of a page around its content.
fn page(title: &str, view: View<'_>, content: impl FnOnce(&mut String) -> fmt::Result) -> String {
    let mut out = String::new();
    let (title, today) = (Escaped(title), view.today);
    let written = write!(
        out,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title>\
         <style>{STYLE}</style></head>\n<body><h1>{title}</h1>\n<p>As of {today}, UTC.</p>\n"
    );
    // A String takes whatever is written to it.
    let _ = written.and_then(|()| content(&mut out));
    out.push_str("</body></html>\n");
    out
}

fn about(out: &mut String, api: &ProvidedApi) -> fmt::Result {
    write!(
        out,
        "<p>Versions are written as {}; it is called by {}.",
        Escaped(api.scheme),
        Escaped(api.transport)
    )?;
    if let Some(description) = api.description {
        write!(out, " Description: {}.", Linked(description))?;
    }
    out.write_str("</p>\n")
}

fn versions(out: &mut String, api: &ProvidedApi, view: View<'_>) -> fmt::Result {
    about(out, api)?;
    for (title, wanted) in [
        ("Current", State::is_live as fn(State) -> bool),
        ("Plan", |state| state == State::Planned),
        ("History", |state| state == State::Retired),
    ] {
        let versions: Vec<&ProvidedVersion> =
            api.versions.iter().filter(|version| wanted(version.state_on(view.today))).collect();
        if !versions.is_empty() {
            writeln!(out, "<h3>{title}</h3>")?;
            table(out, api, &versions, view)?;
        }
    }
    Ok(())
}

fn table(
    out: &mut String,
    api: &ProvidedApi,
    versions: &[&ProvidedVersion],
    view: View<'_>,
) -> fmt::Result {
    out.write_str(
        "<table><tr><th>Version<th>State<th>Released<th>Deprecated<th>Sunset<th>Successor<th>Notes</tr>\n",
    )?;
    for version in versions {
        let state = version.state_on(view.today);
        write!(
            out,
            "<tr><td>{}<td class=\"{state}\">{state}<td>{}<td>{}<td>{}<td>",
            Escaped(version.version),
            Day(version.released),
            Day(version.deprecated),
            Day(version.sunset)
        )?;
        if let Some(text) = version.successor {
            match view.declared.successor(api.api, text) {
                Some((api, next)) => {
                    let address = view.address(&[api.api, next.version]);
                    write!(out, "<a href=\"{}\">{}</a>", Escaped(&address), Escaped(text))?;
                }
                // What another service provides has no page here.
                None => write!(out, "{}", Escaped(text))?,
            }
        }
        write!(out, "<td>{}", Escaped(version.notes.unwrap_or_default()))?;
        if let Some(migration) = version.migration {
            write!(out, " Migration: {}", Linked(migration))?;
        }
        out.write_str("</tr>\n")?;
    }
    out.write_str("</table>\n")
}

fn required(out: &mut String, declared: &Declared) -> fmt::Result {
    if declared.requires.is_empty() {
        return Ok(());
    }
    out.write_str(
        "<h2>Requires</h2>\n<table><tr><th>API<th>Version<th>Provider<th>Resolved<th>Deprecated\
         <th>Sunset<th>Successor</tr>\n",
    )?;
    for required in declared.requires {
        let or_none = Option::unwrap_or_default;
        writeln!(
            out,
            "<tr><td>{}<td>{}<td>{}<td>{}<td>{}<td>{}<td>{}</tr>",
            Escaped(required.api),
            Escaped(required.version),
            Escaped(or_none(required.provider)),
            Escaped(or_none(required.resolved)),
            Day(required.deprecated),
            Day(required.sunset),
            Escaped(or_none(required.successor))
        )?;
    }
    out.write_str("</table>\n")
}

/// Shows a text as text, whatever is in it; also within quoted attributes.
struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// Shows a text as a link if it is one that can be followed without harm.
struct Linked<'a>(&'a str);

impl Display for Linked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = Escaped(self.0);
        if is_url(self.0) || self.0.starts_with("mailto:") {
            write!(f, "<a href=\"{text}\">{text}</a>")
        } else {
            text.fmt(f)
        }
    }
}

struct Day(Option<Date>);

impl Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |day| day.fmt(f))
    }
}
