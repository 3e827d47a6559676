//! The Elastic Common Schema: which names it has, and of which type.

use super::names::Form;
use std::net::IpAddr;

/// The schema's names that lines may use, one a line, in the order of their bytes: its version, then
/// `name type` or `name >name`, the second for OpenTelemetry's names of the same things. Written by
/// `cargo xtask ecs` from npm's `@elastic/ecs`.
///
/// Fields that hold no single value (objects and the like) are left out, as are those that only
/// security analysts fill (`threat`, `entity`, executables' headers).
const FIELDS: &str = include_str!("ecs/fields.txt");

/// Returns the schema's version.
pub(super) fn version() -> &'static str {
    FIELDS.lines().next().and_then(|line| line.strip_prefix("# ")).unwrap_or_default()
}

/// Finds the schema's own name of what has this name here or at OpenTelemetry, and its type.
pub(super) fn find(name: &str) -> Option<(&'static str, Form)> {
    let (own, kind) = entry(name)?;
    match kind.strip_prefix('>') {
        Some(name) => entry(name).and_then(|(name, kind)| Some((name, form(kind)?))),
        None => Some((own, form(kind)?)),
    }
}

fn form(kind: &str) -> Option<Form> {
    Some(match kind {
        "k" => Form::Plain,
        "l" => Form::Long,
        "i" => Form::Integer,
        "f" => Form::Float,
        "b" => Form::Flag,
        "d" => Form::Date,
        "a" => Form::Address,
        _ => return None,
    })
}

/// Finds a line by halves.
fn entry(name: &str) -> Option<(&'static str, &'static str)> {
    // After the version's line.
    let (mut low, mut high) = (FIELDS.find('\n')? + 1, FIELDS.len());
    while low < high {
        let middle = low + (high - low) / 2;
        let start = FIELDS[low..middle].rfind('\n').map_or(low, |at| low + at + 1);
        let end = FIELDS[start..].find('\n').map_or(FIELDS.len(), |at| start + at);
        let (found, kind) = FIELDS[start..end].split_once(' ')?;
        match found.cmp(name) {
            std::cmp::Ordering::Equal => return Some((found, kind)),
            std::cmp::Ordering::Less => low = end + 1,
            std::cmp::Ordering::Greater => high = start,
        }
    }
    None
}

/// Makes the name that a field has among the `labels`, which are flat: dots become `_`, as Elastic's
/// own agents have it.
pub(super) fn label(name: &str) -> String {
    let name = name.strip_prefix("labels.").unwrap_or(name);
    let odd = |c: char| matches!(c, '.' | '*' | '"' | '\\') || c.is_whitespace() || c.is_control();
    let label: String = name.chars().map(|c| if odd(c) { '_' } else { c }).collect();
    if label.is_empty() { "_".to_owned() } else { label }
}

/// Tells whether a text is an address, as the type `ip` wants it.
pub(super) fn is_address(text: &str) -> bool {
    text.parse::<IpAddr>().is_ok()
}

/// Tells whether a text is a date, as the type `date` wants it (`strict_date_optional_time`): a date
/// alone or as RFC 3339 has it.
pub(super) fn is_date(text: &str) -> bool {
    fn number(text: &str, digits: usize) -> Option<u32> {
        let all = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
        all.then(|| text.parse().ok()).flatten()
    }
    fn date(text: &str) -> Option<()> {
        let mut parts = text.split('-');
        let year = number(parts.next()?, 4)?;
        let month = number(parts.next()?, 2)?;
        let day = number(parts.next()?, 2)?;
        let leap =
            year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
        let days = match month {
            2 if leap => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            1..=12 => 31,
            _ => return None,
        };
        (parts.next().is_none() && (1..=days).contains(&day)).then_some(())
    }
    fn clock(text: &str, parts: usize) -> Option<()> {
        let mut limits = [24, 60, 60].into_iter();
        let mut given = text.split(':');
        for _ in 0..parts {
            let limit = limits.next()?;
            (number(given.next()?, 2)? < limit).then_some(())?;
        }
        given.next().is_none().then_some(())
    }
    fn time(text: &str) -> Option<()> {
        let end = text.find(['Z', '+', '-'])?;
        let (time, zone) = text.split_at(end);
        if zone != "Z" {
            clock(zone.get(1..)?, 2)?;
        }
        match time.split_once('.') {
            Some((time, fraction)) => {
                let digits = fraction.bytes().all(|byte| byte.is_ascii_digit());
                (digits && (1..=9).contains(&fraction.len())).then_some(())?;
                clock(time, 3)
            }
            None => clock(time, 3),
        }
    }
    let read = || match text.split_once('T') {
        Some((day, rest)) => date(day).and_then(|()| time(rest)),
        None => date(text),
    };
    text.is_ascii() && read().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_of_the_list_is_found_and_no_other() {
        let lines = || FIELDS.lines().skip(1).map(|line| line.split_once(' ').expect("two words"));
        assert!(lines().count() > 1000);
        for (name, kind) in lines() {
            assert_eq!(entry(name), Some((name, kind)));
            assert!(find(name).is_some(), "{name}");
            for other in [format!("{name}.x"), format!("{name}x"), name[1..].to_owned()] {
                assert_eq!(
                    entry(&other).map(|(name, _)| name),
                    lines().map(|l| l.0).find(|n| **n == other)
                );
            }
        }
        for name in ["", "#", "# 9", "~", "error", "log.file", "user", "http"] {
            assert_eq!(entry(name), None, "{name}");
        }
        assert!(version().starts_with("9."), "{}", version());
    }

    #[test]
    fn no_leaf_lies_below_another() {
        let leaves: std::collections::BTreeSet<&str> = FIELDS
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(' '))
            .filter(|(_, kind)| !kind.starts_with('>'))
            .map(|(name, _)| name)
            .collect();
        for leaf in &leaves {
            let above = leaf.match_indices('.').map(|(at, _)| &leaf[..at]);
            for above in above {
                assert!(!leaves.contains(above), "{leaf} lies below {above}");
            }
        }
    }

    #[test]
    fn dates_are_told_from_other_texts() {
        for date in [
            "2026-11-28",
            "2024-02-29T00:00:00Z",
            "2026-11-28T09:00:00.123456789Z",
            "2026-11-28T09:00:00+01:00",
        ] {
            assert!(is_date(date), "{date}");
        }
        for other in [
            "",
            "today",
            "2026-13-01",
            "2026-02-29",
            "2026-11-28T",
            "2026-11-28T24:00:00Z",
            "2026-11-28T09:00:00",
            "2026-11-28T09:00:00.Z",
            "2026-11-28T09:00:00+1:00",
            "2026-1-2",
            "2026-11-28T09:00:00.1234567890Z",
            "２０26-11-28",
        ] {
            assert!(!is_date(other), "{other}");
        }
    }
}
