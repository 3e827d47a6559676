//! The lines of both text formats.

use super::own::RecordedExemplar;
use crate::{expose::Format, kind::Kind, registry::Family};
use metrics::Unit;
use std::io::Write as _;

/// Stands where a program does not say what its metric means; formats and linters want a text.
const NO_HELP: &str = "(not described)";

/// Writes what a family is. `OpenMetrics` knows a counter by its name without `_total`.
pub(crate) fn head<C>(page: &mut Vec<u8>, format: Format, family: &Family<C>) {
    let description = family.description.get();
    let help = description.map(|description| description.help.as_str());
    let mut name = &*family.name;
    let kind = family.kind.as_str();
    if format == Format::OpenMetrics && family.kind == Kind::Counter {
        name = name.strip_suffix("_total").unwrap_or(name);
    }
    self::help(page, format, name, help);
    comment(page, "TYPE", name);
    page.extend_from_slice(kind.as_bytes());
    page.push(b'\n');
    if format == Format::OpenMetrics
        && let Some(unit) = description.and_then(|description| description.unit)
        && is_unit_of(unit, name)
    {
        comment(page, "UNIT", name);
        page.extend_from_slice(unit.as_str().as_bytes());
        page.push(b'\n');
    }
}

/// Writes that `OpenMetrics` is not told the type of a family's samples with this suffix.
pub(crate) fn untyped_head<C>(page: &mut Vec<u8>, family: &Family<C>, suffix: &str) {
    let help = family.description.get().map(|description| description.help.as_str());
    let name = [&*family.name, suffix].concat();
    self::help(page, Format::OpenMetrics, &name, help);
    comment(page, "TYPE", &name);
    page.extend_from_slice(b"unknown\n");
}

/// Writes what a family means.
pub(crate) fn help(page: &mut Vec<u8>, format: Format, name: &str, help: Option<&str>) {
    comment(page, "HELP", name);
    escape(page, help_or_none(help), format == Format::OpenMetrics);
    page.push(b'\n');
}

/// Returns what a family means, or that it was not said.
pub(crate) fn help_or_none(help: Option<&str>) -> &str {
    help.filter(|help| !help.trim().is_empty()).unwrap_or(NO_HELP)
}

fn comment(page: &mut Vec<u8>, word: &str, name: &str) {
    for part in ["# ", word, " ", name, " "] {
        page.extend_from_slice(part.as_bytes());
    }
}

/// Tells whether a family may have this unit: its name must end with it.
pub(crate) fn is_unit_of(unit: Unit, name: &str) -> bool {
    unit != Unit::Count && name.strip_suffix(unit.as_str()).is_some_and(|rest| rest.ends_with('_'))
}

/// Writes a help text.
fn escape(page: &mut Vec<u8>, text: &str, quotes: bool) {
    for byte in text.bytes() {
        match byte {
            b'\\' => page.extend_from_slice(b"\\\\"),
            b'\n' => page.extend_from_slice(b"\\n"),
            b'"' if quotes => page.extend_from_slice(b"\\\""),
            byte => page.push(byte),
        }
    }
}

#[inline]
pub(crate) fn integer(page: &mut Vec<u8>, number: u64) {
    page.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

pub(crate) fn float(page: &mut Vec<u8>, number: f64) {
    if number.is_finite() {
        // Writing to memory does not fail.
        let _ = write!(page, "{number}");
    } else if number.is_nan() {
        page.extend_from_slice(b"NaN");
    } else {
        page.extend_from_slice(if number > 0.0 { b"+Inf" } else { b"-Inf" });
    }
}

/// Writes microseconds as seconds, exactly.
pub(crate) fn seconds(page: &mut Vec<u8>, microseconds: u64) {
    integer(page, microseconds / 1_000_000);
    let fraction = microseconds % 1_000_000;
    if fraction > 0 {
        let digits = format!("{fraction:06}");
        page.push(b'.');
        page.extend_from_slice(digits.trim_end_matches('0').as_bytes());
    }
}

/// Writes the exemplar of a bucket, with the space before it.
pub(crate) fn exemplar(page: &mut Vec<u8>, kept: &RecordedExemplar) {
    page.extend_from_slice(b" # {trace_id=\"");
    page.extend_from_slice(&kept.exemplar.trace_id.to_hex());
    page.extend_from_slice(b"\",span_id=\"");
    page.extend_from_slice(&kept.exemplar.span_id.to_hex());
    page.extend_from_slice(b"\"} ");
    float(page, kept.value);
    let at = kept.millis();
    let _ = write!(page, " {}.{:03}", at / 1000, at % 1000);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut page = Vec::new();
        write(&mut page);
        String::from_utf8(page).unwrap()
    }

    #[test]
    fn numbers_are_written_as_both_formats_want_them() {
        for (number, expected) in [
            (0.0, "0"),
            (1.5, "1.5"),
            (-3.0, "-3"),
            (0.1 + 0.2, "0.30000000000000004"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(written(|page| float(page, number)), expected);
        }
        for (microseconds, expected) in
            [(0, "0"), (1, "0.000001"), (1_500_000, "1.5"), (3_000_000, "3")]
        {
            assert_eq!(written(|page| seconds(page, microseconds)), expected);
        }
    }

    #[test]
    fn help_is_escaped() {
        let escaped = |quotes| written(|page| escape(page, "a\\b\n\"c\"", quotes));
        assert_eq!(escaped(false), r#"a\\b\n"c""#);
        assert_eq!(escaped(true), r#"a\\b\n\"c\""#);
    }

    #[test]
    fn a_unit_must_be_the_end_of_the_name() {
        assert!(is_unit_of(Unit::Seconds, "wait_seconds"));
        assert!(!is_unit_of(Unit::Seconds, "wait"));
        assert!(!is_unit_of(Unit::Seconds, "milliseconds"));
        assert!(!is_unit_of(Unit::Count, "x_count"));
    }
}
