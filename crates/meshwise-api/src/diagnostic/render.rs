//! Diagnostics as people know them from `rustc`.

use std::fmt::{self, Write as _};

use super::{Diagnostic, Location};
use crate::finding::Level;

pub(super) struct Colored<'a>(pub(super) &'a Diagnostic);

impl fmt::Display for Colored<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        render(self.0, true, f)
    }
}

/// The few styles used: bold, and the colours that `rustc` gives to errors, warnings and frames.
struct Paint(bool);

impl Paint {
    fn on(&self, code: &'static str) -> &'static str {
        if self.0 { code } else { "" }
    }

    fn off(&self) -> &'static str {
        self.on("\x1b[0m")
    }
}

const BOLD: &str = "\x1b[1m";
const FRAME: &str = "\x1b[1;34m";

pub(super) fn render(
    diagnostic: &Diagnostic,
    color: bool,
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    let paint = Paint(color);
    let (word, code) = match diagnostic.level {
        Level::Deny => ("error", "\x1b[1;31m"),
        Level::Warn => ("warning", "\x1b[1;33m"),
        Level::Allow => ("note", "\x1b[1;32m"),
    };
    write!(
        f,
        "{}{word}[{}]{}{}: {}{}",
        paint.on(code),
        diagnostic.finding,
        paint.off(),
        paint.on(BOLD),
        Clean(&diagnostic.message),
        paint.off(),
    )?;

    let gutter = diagnostic.location.as_ref().map_or(0, |at| at.line.to_string().len());
    if let Some(location) = &diagnostic.location {
        excerpt(diagnostic, location, gutter, code, &paint, f)?;
    }
    let notes = diagnostic.notes.iter().map(|text| ("note", text));
    let help = diagnostic.help.iter().map(|text| ("help", text));
    for (at, (kind, text)) in notes.chain(help).enumerate() {
        if at == 0 && diagnostic.location.is_some() {
            write!(f, "\n{:gutter$} {}|{}", "", paint.on(FRAME), paint.off())?;
        }
        let (frame, bold, off) = (paint.on(FRAME), paint.on(BOLD), paint.off());
        for (line_at, line) in text.lines().enumerate() {
            if line_at == 0 {
                write!(f, "\n{:gutter$} {frame}={off} {bold}{kind}{off}: {}", "", Clean(line))?;
            } else {
                write!(f, "\n{:gutter$}         {}", "", Clean(line))?;
            }
        }
    }
    Ok(())
}

fn excerpt(
    diagnostic: &Diagnostic,
    at: &Location,
    gutter: usize,
    code: &'static str,
    paint: &Paint,
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    let (frame, off) = (paint.on(FRAME), paint.off());
    let cut = if at.text_column > 1 { "…" } else { "" };
    write!(f, "\n{:gutter$}{frame}-->{off} {}:{}:{}", "", Clean(&at.file), at.line, at.column)?;
    write!(f, "\n{:gutter$} {frame}|{off}", "")?;
    write!(f, "\n{frame}{:gutter$} |{off} {cut}{}", at.line, Clean(&at.text))?;
    write!(f, "\n{:gutter$} {frame}|{off} ", "")?;
    if at.text_column > 1 {
        f.write_char(' ')?;
    }
    // A tab is as wide as the terminal says, so it stands below a tab.
    for c in at.text.chars().take(at.column.saturating_sub(at.text_column)) {
        f.write_char(if c == '\t' { '\t' } else { ' ' })?;
    }
    let width = at.end_column.saturating_sub(at.column).max(1);
    let room = at.text.chars().count() + at.text_column;
    let width = width.min(room.saturating_sub(at.column).max(1));
    f.write_str(paint.on(code))?;
    for _ in 0..width {
        f.write_char('^')?;
    }
    if let Some(label) = &diagnostic.label {
        write!(f, " {}", Clean(label))?;
    }
    f.write_str(off)
}

/// Writes text from a file so that it cannot command the terminal or break the line.
struct Clean<'a>(&'a str);

impl fmt::Display for Clean<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| {
            // Besides control characters: those that reorder what is read (Trojan Source).
            let hidden = c.is_control() && c != '\t'
                || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}');
            f.write_char(if hidden { '\u{fffd}' } else { c })
        })
    }
}
