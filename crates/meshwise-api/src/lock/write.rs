//! `api.lock` as text.

use std::fmt;

use super::{Answer, Lock, Locked};
use crate::scheme::Scheme;

pub(super) fn lock(lock: &Lock, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str("# Written by `cargo meshwise lock`. Commit it; do not edit it.\n")?;
    writeln!(f, "schema = {}\n", Lock::SCHEMA)?;
    f.write_str("[dictionary]\n")?;
    text(f, "source", Some(&lock.dictionary.source))?;
    text(f, "head", Some(&lock.dictionary.head.to_string()))?;
    text(f, "fetched_at", Some(&lock.dictionary.fetched_at.to_string()))?;
    if !lock.policy.is_default() {
        f.write_str("\n[policy]\n")?;
        for (key, value) in lock.policy.entries() {
            writeln!(f, "{key} = {value}")?;
        }
    }
    lock.entries.iter().try_for_each(|entry| locked(entry, f))
}

fn locked(entry: &Locked, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str("\n[[requires]]\n")?;
    text(f, "api", Some(&entry.api))?;
    text(f, "required", Some(&entry.required))?;
    bare(f, "since", entry.since)?;
    match &entry.answer {
        Answer::Resolved(resolved) => {
            text(f, "resolved", Some(&resolved.version))?;
            text(f, "provider", Some(&resolved.provider))?;
            text(f, "scheme", Some(resolved.scheme.as_str()))?;
            if resolved.scheme == (Scheme::Calver { same_or_later: true }) {
                bare(f, "same-or-later", Some(true))?;
            }
            text(f, "state", Some(resolved.state.as_str()))?;
            bare(f, "released", resolved.released)?;
            bare(f, "deprecated", resolved.deprecated)?;
            bare(f, "sunset", resolved.sunset)?;
            bare(f, "told", resolved.told)?;
            text(f, "fix", resolved.fix.as_deref())?;
            bare(f, "adopt-by", resolved.adopt_by)?;
            text(f, "successor", resolved.successor.as_deref())?;
            text(f, "migration", resolved.migration.as_deref())?;
            bare(f, "document", entry.document.map(|document| document.seq))?;
            text(f, "digest", entry.document.map(|it| it.digest.to_string()).as_deref())
        }
        Answer::NoVersion(offered) => {
            text(f, "problem", Some("no-version"))?;
            f.write_str("offered = [")?;
            for (at, version) in offered.iter().enumerate() {
                f.write_str(if at > 0 { ", " } else { "" })?;
                quoted(f, version)?;
            }
            f.write_str("]\n")
        }
        Answer::NoApi => text(f, "problem", Some("no-api")),
    }
}

fn bare(f: &mut fmt::Formatter<'_>, key: &str, value: Option<impl fmt::Display>) -> fmt::Result {
    value.map_or(Ok(()), |value| writeln!(f, "{key} = {value}"))
}

fn text(f: &mut fmt::Formatter<'_>, key: &str, value: Option<&str>) -> fmt::Result {
    let Some(value) = value else {
        return Ok(());
    };
    write!(f, "{key} = ")?;
    quoted(f, value)?;
    f.write_str("\n")
}

/// Writes a TOML basic string.
fn quoted(f: &mut fmt::Formatter<'_>, value: &str) -> fmt::Result {
    f.write_str("\"")?;
    for c in value.chars() {
        match c {
            '"' => f.write_str("\\\"")?,
            '\\' => f.write_str("\\\\")?,
            c if c.is_control() => write!(f, "\\u{:04X}", u32::from(c))?,
            c => write!(f, "{c}")?,
        }
    }
    f.write_str("\"")
}
