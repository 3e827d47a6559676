//! Strict readers of the exposition: promtool and `prometheus_client`'s parsers.

use super::{
    kits::Kits,
    process::{get, get_as},
    shop::Shop,
};
use anyhow::{Context as _, ensure};
use std::{
    io::Write as _,
    process::{Command, Stdio},
};

/// Reads the text with the parser of the Prometheus text format, and checks what it forgives:
/// families without HELP or TYPE, and families that come twice.
const PARSE: &str = r#"
import re, sys
from prometheus_client.parser import text_string_to_metric_families
text = sys.stdin.buffer.read().decode()
families = list(text_string_to_metric_families(text))
assert families, "no families"
names = [f.name for f in families]
assert len(names) == len(set(names)), f"families twice: {sorted(n for n in names if names.count(n) > 1)}"
for f in families:
    assert f.type != "unknown", f"{f.name} has no TYPE"
    assert f.documentation, f"{f.name} has no HELP"
    assert f.samples, f"{f.name} has no samples"
    seen = [(s.name, tuple(sorted(s.labels.items()))) for s in f.samples]
    assert len(seen) == len(set(seen)), f"{f.name} has a series twice"
print(f"{len(families)} families, {sum(len(f.samples) for f in families)} samples")
"#;

/// Reads `OpenMetrics` with the parser that forgives nothing.
const PARSE_OPENMETRICS: &str = r#"
import sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families
families = list(text_string_to_metric_families(sys.stdin.buffer.read().decode()))
assert families, "no families"
exemplars = sum(1 for f in families for s in f.samples if s.exemplar)
print(f"{len(families)} families as OpenMetrics, {exemplars} exemplars")
"#;

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0";

pub(crate) fn run(kits: &Kits) -> anyhow::Result<()> {
    let shop = Shop::start()?;
    for (name, address) in &shop.services {
        let (status, text) = get(*address, "/metrics")?;
        ensure!(status == 200, "{name}: /metrics answers {status}");
        let said = feed(Command::new(&kits.promtool).args(["check", "metrics"]), &text)
            .with_context(|| format!("promtool does not like {name}'s metrics"))?;
        ensure!(said.trim().is_empty(), "promtool on {name}'s metrics: {said}");
        let said = feed(Command::new(&kits.python).args(["-c", PARSE]), &text)
            .with_context(|| format!("prometheus_client does not like {name}'s metrics"))?;
        println!("metrics of {name}: {}", said.trim());
        let (_, text) = get_as(*address, "/metrics", OPENMETRICS)?;
        if text.ends_with("# EOF\n") {
            let said = feed(Command::new(&kits.python).args(["-c", PARSE_OPENMETRICS]), &text)
                .with_context(|| format!("the OpenMetrics parser does not like {name}'s"))?;
            println!("metrics of {name}: {}", said.trim());
        }
    }
    Ok(())
}

/// Gives a command its input; returns all that it said.
fn feed(command: &mut Command, input: &str) -> anyhow::Result<String> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("{command:?} cannot be started"))?;
    child.stdin.take().context("no stdin")?.write_all(input.as_bytes())?;
    let output = child.wait_with_output()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}: {said}", output.status);
    Ok(said)
}
