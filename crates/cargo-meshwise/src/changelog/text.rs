//! The changelog for a terminal.

use std::fmt::Write as _;

use meshwise_api::State;

use super::Changelog;
use crate::output::{paint, style};

/// Writes the changelog for a terminal.
#[must_use]
pub(crate) fn text(changelog: &Changelog) -> String {
    let mut out = paint(style::STRONG, &changelog.api);
    // Writing to a String cannot fail.
    let _ = writeln!(out, "\n{}", changelog.summary());
    for (heading, entries) in changelog.parts() {
        if entries.is_empty() {
            continue;
        }
        let _ = writeln!(out, "\n{}", paint(style::STRONG, heading));
        for entry in entries {
            let colour = match entry.state {
                State::Current => style::GOOD,
                State::Retired => style::FAINT,
                _ => style::WARNING,
            };
            let _ = writeln!(out, "  {} {}", entry.version, paint(colour, entry.state));
            for fact in entry.facts() {
                let _ = writeln!(out, "    {}: {}", fact.name, fact.says.replace('\n', "\n      "));
            }
        }
    }
    out
}
