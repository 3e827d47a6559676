//! Findings in the forms that CI systems show beside the code.

use std::fmt::Write as _;

use meshwise_api::{Diagnostic, Digest, Level};
use serde_json::{Value, json};

use crate::cli::Format;

/// One finding, or an error that has no place.
#[derive(Clone, Debug)]
pub(super) struct Reported {
    id: String,
    level: Level,
    message: String,
    text: String,
    /// File, line, column and the column after the last.
    at: Option<(String, usize, usize, usize)>,
}

impl Reported {
    pub(super) fn finding(diagnostic: &Diagnostic) -> Self {
        let mut text = diagnostic.notes.join("\n");
        if let Some(help) = &diagnostic.help {
            let _ = write!(text, "{}help: {help}", if text.is_empty() { "" } else { "\n" });
        }
        Self {
            id: diagnostic.finding.id().to_owned(),
            level: diagnostic.level,
            message: diagnostic.message.clone(),
            text,
            at: diagnostic
                .location
                .as_ref()
                .map(|at| (at.file.clone(), at.line, at.column, at.end_column)),
        }
    }

    pub(super) fn error(message: &str, causes: &[String]) -> Self {
        Self {
            id: "error".to_owned(),
            level: Level::Deny,
            message: message.to_owned(),
            text: causes.join("\n"),
            at: None,
        }
    }
}

/// Writes all findings in a format; `None` for one that is no such form.
pub(super) fn written(format: Format, all: &[Reported]) -> Option<String> {
    match format {
        Format::Github => Some(github(all)),
        Format::Gitlab => Some(format!("{:#}\n", gitlab(all))),
        Format::Junit => Some(junit(all)),
        _ => None,
    }
}

/// Workflow commands of GitHub Actions, a line each.
fn github(all: &[Reported]) -> String {
    // The runner decodes these; a comma or colon would end a property.
    let data = |text: &str| text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
    let property = |text: &str| data(text).replace(':', "%3A").replace(',', "%2C");
    let mut out = String::new();
    for one in all {
        let command = if one.level == Level::Deny { "error" } else { "warning" };
        let mut properties = format!("title={}", property(&one.id));
        if let Some((file, line, column, end)) = &one.at {
            let file = property(file);
            let _ = write!(properties, ",file={file},line={line},col={column},endColumn={end}");
        }
        let text = if one.text.is_empty() { String::new() } else { format!("\n{}", one.text) };
        let _ =
            writeln!(out, "::{command} {properties}::{}", data(&format!("{}{text}", one.message)));
    }
    out
}

/// A Code Quality report of GitLab.
fn gitlab(all: &[Reported]) -> Value {
    all.iter()
        .map(|one| {
            let (file, line) =
                one.at.as_ref().map_or(("api.toml", 1), |(file, line, ..)| (file.as_str(), *line));
            let identity = format!("{}\n{file}\n{}", one.id, one.message);
            json!({
                "description": one.message,
                "check_name": one.id,
                // The same finding in another line is the same: it is not new in a merge request.
                "fingerprint": Digest::of(identity.as_bytes()).to_string().trim_start_matches("sha256:"),
                "severity": if one.level == Level::Deny { "major" } else { "minor" },
                "location": { "path": file.trim_start_matches("./"), "lines": { "begin": line } },
            })
        })
        .collect()
}

/// JUnit's XML: what is denied is a failure, what is warned of is output.
fn junit(all: &[Reported]) -> String {
    let failures = all.iter().filter(|one| one.level == Level::Deny).count();
    let mut out = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n  <testsuite name=\"cargo meshwise\" tests=\"{}\" failures=\"{failures}\" errors=\"0\" skipped=\"0\">\n",
        all.len().max(1)
    );
    if all.is_empty() {
        out += "    <testcase classname=\"meshwise\" name=\"nothing found\"/>\n";
    }
    for one in all {
        let place =
            one.at.as_ref().map(|(file, line, column, _)| format!("{file}:{line}:{column}"));
        let name = format!("{} {}", one.id, place.unwrap_or_default());
        let (message, text) = (xml(&one.message), xml(&format!("{}\n{}", one.message, one.text)));
        let _ = writeln!(
            out,
            "    <testcase classname=\"meshwise\" name=\"{}\">",
            xml(name.trim_end())
        );
        if one.level == Level::Deny {
            let id = xml(&one.id);
            let _ = writeln!(
                out,
                "      <failure type=\"{id}\" message=\"{message}\">{text}</failure>"
            );
        } else {
            let _ = writeln!(out, "      <system-out>warning: {text}</system-out>");
        }
        out += "    </testcase>\n";
    }
    out += "  </testsuite>\n</testsuites>\n";
    out
}

/// Escapes a text for XML, which has no place for most control characters.
fn xml(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push('\n'),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push(' '),
            c => out.push(c),
        }
    }
    out
}
