//! Findings as text, in the manner of rustc.

use anstyle::Style;

use super::rule::{Finding, Severity};
use crate::output::{paint, style};

/// Wraps text at this width; paths and lines of code are left whole.
const WIDTH: usize = 92;

/// Writes a finding: what is wrong, where, what shows it, why it matters, what to write instead.
pub(crate) fn text(finding: &Finding) -> String {
    let word = match finding.severity {
        Severity::Error => style::ERROR,
        Severity::Warning => style::WARNING,
    };
    let head = format!("{}[{}]", finding.severity.name(), finding.rule);
    let mut out =
        format!("{}: {}\n", paint(word, head), paint(style::STRONG, &finding.hit.message));
    if let Some(place) = &finding.hit.place {
        let number = place.line.to_string();
        let indent = " ".repeat(number.len());
        let bar = |text: &str| paint(style::FAINT, text);
        out += &format!("{indent}{} {}:{}\n", bar("-->"), place.file, place.line);
        out += &format!("{indent} {}\n", bar("|"));
        out += &format!("{} {} {}\n", bar(&number), bar("|"), place.text);
        out += &format!("{indent} {}\n", bar("|"));
    }
    for evidence in &finding.hit.evidence {
        note(&mut out, "seen", style::FAINT, evidence);
    }
    note(&mut out, "why", style::FAINT, finding.why);
    for help in &finding.hit.help {
        note(&mut out, "help", style::GOOD, help);
    }
    note(&mut out, "see", style::FAINT, finding.reference);
    out
}

fn note(out: &mut String, label: &str, label_style: Style, text: &str) {
    let indent = " ".repeat(label.len() + 6);
    let body = wrap(text, WIDTH - indent.len()).join(&format!("\n{indent}"));
    out.push_str(&format!("  = {}: {body}\n", paint(label_style, label)));
}

fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let Some(line) = lines.last_mut() else { break };
        if line.is_empty() {
            line.push_str(word);
        } else if line.chars().count() + 1 + word.chars().count() <= width {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

/// Sums up, as the last line.
pub(crate) fn summary(package: &str, rules: usize, findings: &[Finding]) -> String {
    let count = |severity| findings.iter().filter(|f| f.severity == severity).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    let several = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    match (errors, warnings) {
        (0, 0) => format!("{}: {package}, {rules} rules", paint(style::GOOD, "nothing found")),
        _ => format!("{package}: {}, {}", several(errors, "error"), several(warnings, "warning")),
    }
}
