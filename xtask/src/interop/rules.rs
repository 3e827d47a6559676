//! promtool takes our rules, and has each alert fire when it should and be silent when it should.

mod cases;

use super::{
    dashboards::cargo_meshwise,
    kits::{self, Kits},
    process::target,
};
use anyhow::{Context as _, ensure};
use cases::{CASES, Case};
use serde_json::{Value, json};
use std::{collections::BTreeSet, fs, path::PathBuf, process::Command};

/// The shop's objectives.
const OBJECTIVES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/shop/slo.yaml");

pub(crate) fn run(kits: &Kits) -> anyhow::Result<()> {
    let folder = target().join("interop/rules");
    let _ = fs::remove_dir_all(&folder);
    let files = write(&folder)?;
    kits::run(Command::new(&kits.promtool).args(["check", "rules"]).args(&files))?;

    let mut alerts = BTreeSet::new();
    for file in &files {
        let text = fs::read_to_string(file)?;
        let names = text.lines().filter_map(|line| line.trim().strip_prefix("alert: "));
        alerts.extend(names.map(str::to_owned));
    }
    for alert in &alerts {
        for fires in [true, false] {
            let has = CASES.iter().any(|case| case.alert == alert && case.fires == fires);
            let kind = if fires { "firing" } else { "silent" };
            ensure!(has, "{alert} has no {kind} case in cases.rs");
        }
    }
    let names: Vec<_> = files.iter().filter_map(|file| file.file_name()?.to_str()).collect();
    let tests = json!({
        "rule_files": names,
        "evaluation_interval": "1m",
        "tests": CASES.iter().map(test).collect::<Vec<_>>(),
    });
    // JSON is YAML.
    let file = folder.join("tests.yml");
    fs::write(&file, format!("{tests:#}"))?;
    kits::run(Command::new(&kits.promtool).args(["test", "rules"]).arg(&file))?;

    // A judge that lets everything pass would say nothing.
    let spoilt = fs::read_to_string(&file)?.replacen(
        "\"exp_samples\": []",
        "\"exp_samples\": [{\"labels\":\"{}\",\"value\":1}]",
        1,
    );
    let spoilt_file = folder.join("spoilt.yml");
    fs::write(&spoilt_file, spoilt)?;
    let judged = Command::new(&kits.promtool).args(["test", "rules"]).arg(&spoilt_file).output()?;
    ensure!(!judged.status.success(), "promtool lets a wrong expectation pass");
    println!("rules: {} alerts, {} cases, as promtool has them", alerts.len(), CASES.len());
    Ok(())
}

/// Has the rules written to a folder, and lists their files.
pub(super) fn write(folder: &std::path::Path) -> anyhow::Result<Vec<PathBuf>> {
    cargo_meshwise(&["rules", "--slo", OBJECTIVES], folder)?;
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).context("no rules were written")? {
        files.push(entry?.path());
    }
    files.sort();
    ensure!(files.len() == 3, "there are {} files of rules", files.len());
    Ok(files)
}

/// Writes one case as promtool has it: how many alerts of the name fire at the end.
fn test(case: &Case) -> Value {
    let series: Vec<_> = case
        .series
        .iter()
        .map(|(series, values)| json!({"series": series, "values": values}))
        .collect();
    let expected = if case.fires { vec![json!({"labels": "{}", "value": 1})] } else { vec![] };
    json!({
        "interval": "1m",
        "name": case.name,
        "input_series": series,
        "promql_expr_test": [{
            "expr": format!(
                "count(count by (alertname) (ALERTS{{alertname=\"{}\",alertstate=\"firing\"}}))",
                case.alert
            ),
            "eval_time": case.at,
            "exp_samples": expected,
        }],
    })
}
