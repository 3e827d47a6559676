//! Where results, diagnostics and progress go.

mod clean;
mod reports;

use std::{
    fmt::Display,
    io::{self, IsTerminal as _, Write},
    time::Duration,
};

use anstream::AutoStream;
use anstyle::{AnsiColor, Style};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use meshwise_api::{Diagnostic, Diagnostics};
use serde::Serialize;

use crate::{cli::Format, exit::Failure};
use clean::clean;

/// Styles text for people; streams that are no terminal strip it again.
pub(crate) mod style {
    use super::{AnsiColor, Style};

    /// For the word `error`.
    pub(crate) const ERROR: Style = AnsiColor::Red.on_default().bold();
    /// For the word `warning`.
    pub(crate) const WARNING: Style = AnsiColor::Yellow.on_default().bold();
    /// For what is fine.
    pub(crate) const GOOD: Style = AnsiColor::Green.on_default().bold();
    /// For headings and names.
    pub(crate) const STRONG: Style = Style::new().bold();
    /// For what matters less.
    pub(crate) const FAINT: Style = Style::new().dimmed();
}

/// Wraps text in a style.
#[must_use]
pub(crate) fn paint(style: Style, text: impl Display) -> String {
    format!("{style}{text}{style:#}")
}

/// Counts things: `1 warning`, `2 warnings`.
#[must_use]
pub(crate) fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// Writes results to stdout, everything else to stderr.
///
/// With `--format json`, stdout carries exactly one JSON document, also when the command fails.
/// Colour is written freely and stripped where the stream (or `--color`, or `NO_COLOR`) wants none.
pub(crate) struct Output {
    format: Format,
    stdout: Box<dyn Write>,
    stderr: Box<dyn Write>,
    progress: bool,
    /// What was found, in a format that writes all of it at the end.
    reported: Vec<reports::Reported>,
}

impl std::fmt::Debug for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Output")
            .field("format", &self.format)
            .field("progress", &self.progress)
            .finish_non_exhaustive()
    }
}

impl Output {
    /// Writes to this process's stdout and stderr.
    #[must_use]
    pub(crate) fn standard(format: Format, color: anstream::ColorChoice) -> Self {
        let choose = |auto: anstream::ColorChoice| match color {
            anstream::ColorChoice::Auto => auto,
            fixed => fixed,
        };
        let (out, err) = (io::stdout(), io::stderr());
        let (out_choice, err_choice) =
            (choose(AutoStream::choice(&out)), choose(AutoStream::choice(&err)));
        Self {
            format,
            progress: err.is_terminal() && std::env::var_os("CI").is_none(),
            stdout: match format {
                // JSON has neither colours nor control characters to be looked for.
                Format::Json => Box::new(io::BufWriter::new(out)),
                _ => Box::new(AutoStream::new(out, out_choice)),
            },
            stderr: Box::new(AutoStream::new(err, err_choice)),
            reported: Vec::new(),
        }
    }

    /// Writes to the writers given, without colour or progress.
    #[must_use]
    pub(crate) fn to_writers(
        format: Format,
        stdout: impl Write + 'static,
        stderr: impl Write + 'static,
    ) -> Self {
        Self {
            format,
            stdout: Box::new(anstream::StripStream::new(Box::new(stdout) as Box<dyn Write>)),
            stderr: Box::new(anstream::StripStream::new(Box::new(stderr) as Box<dyn Write>)),
            progress: false,
            reported: Vec::new(),
        }
    }

    /// Says which format the user asked for.
    #[must_use]
    pub(crate) fn format(&self) -> Format {
        self.format
    }

    /// Tells whether results are written for people.
    #[must_use]
    pub(crate) fn is_for_people(&self) -> bool {
        self.format != Format::Json
    }

    /// Writes text of a result to stdout, as it is.
    ///
    /// # Errors
    /// Stdout's error.
    pub(crate) fn text(&mut self, text: impl Display) -> io::Result<()> {
        write!(self.human(), "{}", clean(&text.to_string()))
    }

    /// Writes a line of a result to stdout.
    ///
    /// # Errors
    /// Stdout's error.
    pub(crate) fn line(&mut self, text: impl Display) -> io::Result<()> {
        writeln!(self.human(), "{}", clean(&text.to_string()))
    }

    /// Tells whether stdout is for a CI system's own form, which is written at the end.
    fn is_report(&self) -> bool {
        matches!(self.format, Format::Github | Format::Gitlab | Format::Junit)
    }

    fn human(&mut self) -> &mut dyn Write {
        if self.is_report() { &mut self.stderr } else { &mut self.stdout }
    }

    /// Writes the one JSON document of this command to stdout.
    ///
    /// # Errors
    /// Stdout's error.
    pub(crate) fn json(&mut self, value: &impl Serialize) -> io::Result<()> {
        let mut text = serde_json::to_string_pretty(value)?;
        text.push('\n');
        self.stdout.write_all(text.as_bytes())
    }

    /// Writes a result in the format asked for: JSON from `value`, or else what `human` prints.
    ///
    /// # Errors
    /// Stdout's error.
    pub(crate) fn either(
        &mut self,
        value: &impl Serialize,
        human: impl FnOnce(&mut Self) -> io::Result<()>,
    ) -> io::Result<()> {
        match self.format {
            Format::Json => self.json(value),
            _ => human(self),
        }
    }

    /// Tells a person what is going on, on stderr. Nothing is written with `--format json`.
    pub(crate) fn note(&mut self, text: impl Display) {
        if self.format != Format::Json {
            // A closed stderr must not fail a command that did its work.
            let _ = writeln!(self.stderr, "{}", clean(&text.to_string()));
        }
    }

    /// Writes `warning: ...` to stderr, in any format.
    pub(crate) fn warning(&mut self, text: impl Display) {
        self.headed(style::WARNING, "warning", &text.to_string());
    }

    fn headed(&mut self, style: Style, head: &str, text: &str) {
        let _ = writeln!(self.stderr, "{}: {}", paint(style, head), clean(text));
    }

    /// Writes diagnostics to stderr as `rustc` would, each with a line between it and the next.
    pub(crate) fn diagnostics(&mut self, diagnostics: &[Diagnostic]) {
        for diagnostic in diagnostics {
            let _ = writeln!(self.stderr, "{}\n", diagnostic.colored());
            if self.is_report() {
                self.reported.push(reports::Reported::finding(diagnostic));
            }
        }
    }

    /// Writes `error: ...` with its causes to stderr; with `--format json` also to stdout as
    /// `{"error": {"kind", "exit", "message", "causes", "diagnostics"}}`.
    pub(crate) fn failure(&mut self, failure: &Failure) {
        let invalid = failure.error.downcast_ref::<Diagnostics>();
        let diagnostics = invalid.map_or(&[][..], Diagnostics::as_slice);
        self.diagnostics(diagnostics);
        let message = match diagnostics.len() {
            0 => failure.error.to_string(),
            denied => format!("{} denied", count(denied, "finding")),
        };
        self.headed(style::ERROR, "error", &message);
        let causes: Vec<String> = failure.error.chain().skip(1).map(ToString::to_string).collect();
        for cause in &causes {
            self.headed(style::FAINT, "  because", cause);
        }
        if self.is_report() {
            if diagnostics.is_empty() {
                self.reported.push(reports::Reported::error(&message, &causes));
            }
            let _ = self.flush();
        }
        if self.format == Format::Json {
            let _ = self.json(&serde_json::json!({"error": {
                "kind": failure.exit.name(),
                "exit": failure.exit.code(),
                "message": message,
                "causes": causes,
                "diagnostics": diagnostics,
            }}));
        }
    }

    /// Starts a progress bar on stderr, visible on a terminal only and gone when dropped.
    ///
    /// Give 0 as the total when it is not known yet.
    #[must_use]
    pub(crate) fn progress(&self, what: &'static str, total: u64) -> Progress {
        if !self.progress || self.format != Format::Human {
            return Progress::hidden();
        }
        let target = ProgressDrawTarget::stderr();
        let bar = ProgressBar::with_draw_target((total > 0).then_some(total), target);
        let template =
            if total > 0 { "{msg} [{bar:30}] {pos}/{len}" } else { "{spinner} {msg} {pos}" };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_message(what);
        if total == 0 {
            bar.enable_steady_tick(Duration::from_millis(120));
        }
        Progress(bar)
    }

    /// Flushes both streams, with more to come.
    ///
    /// # Errors
    /// Stdout's error.
    pub(crate) fn pause(&mut self) -> io::Result<()> {
        let _ = self.stderr.flush();
        self.stdout.flush()
    }

    /// Writes what a CI system is told, and flushes both streams.
    ///
    /// # Errors
    /// Stdout's error.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        let reported = std::mem::take(&mut self.reported);
        if let Some(text) = reports::written(self.format, &reported) {
            self.stdout.write_all(clean(&text).as_bytes())?;
        }
        let _ = self.stderr.flush();
        self.stdout.flush()
    }
}

/// Shows how far long work is, until dropped.
#[derive(Debug)]
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// Shows nothing.
    #[must_use]
    pub(crate) fn hidden() -> Self {
        Self(ProgressBar::hidden())
    }

    /// Counts one more piece of work as done.
    pub(crate) fn step(&self) {
        self.0.inc(1);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
