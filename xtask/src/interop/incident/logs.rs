//! Log lines, found by as much of `LogQL` as our alerts have: a stream, `json`, and labels that are
//! equal or match.

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;
use std::{fs, path::Path};

/// How many lines are shown.
const SHOWN: usize = 5;

/// Finds the lines that a query asks for.
pub(super) fn find(file: &Path, query: &str) -> anyhow::Result<Vec<Value>> {
    let (stream, rest) = query
        .strip_prefix('{')
        .and_then(|rest| rest.split_once('}'))
        .with_context(|| format!("{query} begins with no stream"))?;
    let mut wanted = vec![matcher(stream)?];
    for stage in rest.split('|').map(str::trim).filter(|stage| !stage.is_empty()) {
        if stage != "json" {
            wanted.push(matcher(stage)?);
        }
    }
    lines(file, |line| wanted.iter().all(|(name, value)| text(line, name) == *value))
}

/// Finds the lines that name a trace.
pub(super) fn of_trace(file: &Path, trace_id: &str) -> anyhow::Result<Vec<Value>> {
    let lines = lines(file, |line| line["trace_id"] == trace_id)?;
    ensure!(!lines.is_empty(), "no line names the trace {trace_id}");
    Ok(lines)
}

pub(super) fn print(lines: &[Value]) {
    for line in lines.iter().take(SHOWN) {
        println!(
            "   {} {} {}: {}",
            text(line, "timestamp"),
            text(line, "level"),
            text(line, "service_name"),
            text(line, "message")
        );
    }
    if lines.len() > SHOWN {
        println!("   ... and {} more", lines.len() - SHOWN);
    }
}

/// Reads `name="value"`.
fn matcher(text: &str) -> anyhow::Result<(String, String)> {
    let Some((name, value)) = text.split_once("=\"") else {
        bail!("{text} is no matcher of ours");
    };
    let value = value.strip_suffix('"').with_context(|| format!("{text} has no end"))?;
    Ok((name.trim().to_owned(), value.to_owned()))
}

/// Returns a field as Loki's `json` names it: with `_` for what no label's name has.
fn text(line: &Value, name: &str) -> String {
    let fields = line.as_object().into_iter().flatten();
    let plain = |key: &str| key.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
    let found = fields.filter(|(key, _)| plain(key) == name).map(|(_, value)| value).next();
    match found {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    }
}

fn lines(file: &Path, wanted: impl Fn(&Value) -> bool) -> anyhow::Result<Vec<Value>> {
    let text = fs::read_to_string(file).context("the shop's log cannot be read")?;
    let mut found = Vec::new();
    for line in text.lines() {
        let line: Value = serde_json::from_str(line).context("a line is no JSON")?;
        if wanted(&line) {
            found.push(line);
        }
    }
    Ok(found)
}
