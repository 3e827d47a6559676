//! The changelog as a web page.

use std::fmt::Write as _;

use super::Changelog;

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:48rem;margin:2rem auto;padding:0 1rem}\
dt{float:left;clear:left;width:8rem;color:#666}dd{margin-left:8rem;white-space:pre-line}\
.deprecated,.planned{color:#a60}.retired{color:#888}.current{color:#080}";

/// Writes the changelog as one page that needs no other file and runs no script.
#[must_use]
pub(crate) fn html(changelog: &Changelog) -> String {
    let api = escaped(&changelog.api);
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{api}</title>\n\
         <style>{STYLE}</style>\n</head>\n<body>\n<h1>{api}</h1>\n<p>{}</p>\n",
        escaped(&changelog.summary())
    );
    for (heading, entries) in changelog.parts() {
        if entries.is_empty() {
            continue;
        }
        // Writing to a String cannot fail.
        let _ = writeln!(out, "<h2>{heading}</h2>");
        for entry in entries {
            let (version, state) = (escaped(&entry.version), entry.state);
            let _ = writeln!(
                out,
                "<h3 id=\"{version}\">{version} <small class=\"{state}\">{state}</small></h3>\n<dl>"
            );
            for fact in entry.facts() {
                let says = escaped(&fact.says);
                let says = match fact.link {
                    Some(link) => {
                        format!("<a href=\"{}\" rel=\"noopener\">{says}</a>", escaped(link))
                    }
                    None => says,
                };
                let _ = writeln!(out, "<dt>{}</dt><dd>{says}</dd>", fact.name);
            }
            out.push_str("</dl>\n");
        }
    }
    out.push_str("</body>\n</html>\n");
    out
}

/// Escapes a text for HTML; control characters become spaces.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' => out.push('\n'),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}
