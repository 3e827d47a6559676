//! The changelog as Markdown.

use std::fmt::Write as _;

use super::Changelog;

/// Writes the changelog as `CommonMark`.
#[must_use]
pub(crate) fn markdown(changelog: &Changelog) -> String {
    let mut out = format!("# {}\n\n{}\n", escaped(&changelog.api), escaped(&changelog.summary()));
    for (heading, entries) in changelog.parts() {
        if entries.is_empty() {
            continue;
        }
        // Writing to a String cannot fail.
        let _ = writeln!(out, "\n## {heading}");
        for entry in entries {
            let _ = writeln!(out, "\n### {} ({})\n", escaped(&entry.version), entry.state);
            for fact in entry.facts() {
                let says = escaped(&fact.says);
                let _ = match fact.link {
                    Some(link) => writeln!(out, "- {}: <{}>", fact.name, link_text(link)),
                    None => writeln!(out, "- {}: {says}", fact.name),
                };
            }
        }
    }
    out
}

/// Escapes what `CommonMark` would read as its own, and keeps the text in its list item.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '#' | '|' | '!' | '&' | '~' => {
                out.push('\\');
                out.push(c);
            }
            '\n' => out.push_str("\n  "),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// Writes a URL that may stand between angle brackets.
fn link_text(link: &str) -> String {
    link.chars()
        .map(|c| match c {
            '<' => "%3C".to_owned(),
            '>' => "%3E".to_owned(),
            c if c.is_whitespace() || c.is_control() => "%20".to_owned(),
            c => c.to_string(),
        })
        .collect()
}
