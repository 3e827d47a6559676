//! Grafana's own schemas take our dashboards; a real Prometheus that scrapes the shop has data for
//! each panel; and the shop counts nothing that the catalogue does not know.

mod schemas;
mod stand_in;

use super::{
    Schemas,
    kits::{self, Kits},
    process::{get, target, wait_for},
    prometheus::server::Prometheus,
    shop::Shop,
};
use anyhow::{Context as _, ensure};
use meshwise_core::internal::catalogue;
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// What Grafana would put in the place of its variables.
const VARIABLES: [(&str, &str); 3] =
    [("$__rate_interval", "10s"), ("$job", ".*"), ("$instance", ".*")];

pub(crate) fn run(kits: &Kits, schemas: &Schemas) -> anyhow::Result<()> {
    let folder = target().join("interop/dashboards");
    let _ = fs::remove_dir_all(&folder);
    cargo_meshwise(&["dashboards"], &folder)?;
    let mut pages = BTreeMap::new();
    for entry in fs::read_dir(&folder)? {
        let path = entry?.path();
        let page: Value = serde_json::from_str(&fs::read_to_string(&path)?)?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        pages.insert(name, page);
    }
    ensure!(pages.len() == 7, "there are {} dashboards", pages.len());
    if schemas.skipped {
        println!("dashboards: Grafana's schemas were left out, as asked");
    } else {
        schemas::judge(&schemas.folder, &pages)?;
    }

    let shop = Shop::start()?;
    let counted = counted(&shop)?;
    let stand_in = stand_in::start(&counted)?;
    let mut targets = shop.services.clone();
    targets.push(("stand-in".to_owned(), stand_in));
    let prometheus = Prometheus::start(kits, "dashboards", "exemplar-storage", &targets)?;
    prometheus.wait_for_targets(targets.len())?;
    for (name, page) in &pages {
        let expressions = expressions(page)?;
        for (panel, expression) in &expressions {
            has_data(&prometheus, name, panel, expression)?;
        }
        println!("dashboard {name}: each of {} expressions has data", expressions.len());
    }
    Ok(())
}

/// Runs `cargo meshwise`, which is built if need be, with a folder as its last argument.
pub(super) fn cargo_meshwise(args: &[&str], folder: &Path) -> anyhow::Result<()> {
    kits::run(Command::new(env!("CARGO")).args([
        "build",
        "--quiet",
        "--package",
        "cargo-meshwise",
    ]))?;
    let program: PathBuf = target().join("debug/cargo-meshwise");
    kits::run(Command::new(program).args(args).arg(folder))
}

/// Lists the expressions of a page's panels, with Grafana's variables filled in.
fn expressions(page: &Value) -> anyhow::Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    for panel in page["panels"].as_array().context("a page has panels")? {
        let title = panel["title"].as_str().unwrap_or_default();
        for target in panel["targets"].as_array().into_iter().flatten() {
            let expression = target["expr"].as_str().context("a target has an expression")?;
            let filled = VARIABLES
                .iter()
                .fold(expression.to_owned(), |text, (name, value)| text.replace(name, value));
            ensure!(!filled.contains('$'), "{title}: an unknown variable in {filled}");
            found.push((title.to_owned(), filled));
        }
    }
    ensure!(!found.is_empty(), "a page has expressions");
    Ok(found)
}

/// Waits until the expression has a value that is a number.
fn has_data(
    prometheus: &Prometheus,
    page: &str,
    panel: &str,
    expression: &str,
) -> anyhow::Result<()> {
    wait_for(&format!("data for «{panel}» of {page}: {expression}"), || {
        let series = prometheus.series(expression)?;
        let number = |series: &Value| {
            let value = series["value"][1].as_str()?.parse::<f64>().ok()?;
            (!value.is_nan()).then_some(())
        };
        Ok(series.iter().find_map(number))
    })
}

/// Names all metrics that the shop's services show, and holds them to the catalogue: kind, help
/// and labels.
fn counted(shop: &Shop) -> anyhow::Result<BTreeSet<&'static str>> {
    let mut found = BTreeSet::new();
    for (service, address) in &shop.services {
        let (_, text) = get(*address, "/metrics")?;
        for line in text.lines() {
            if let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|l| l.split_once(' '))
            {
                let row = catalogue::find(name).filter(|row| row.name == name);
                let row =
                    row.with_context(|| format!("{service} counts {name}, no row of ours"))?;
                ensure!(row.help == help, "{name}: «{help}», and in the catalogue «{}»", row.help);
                found.insert(row.name);
            } else if let Some((name, kind)) =
                line.strip_prefix("# TYPE ").and_then(|l| l.split_once(' '))
            {
                let row = catalogue::find(name);
                let known = row.is_none_or(|row| row.kind.as_str() == kind);
                ensure!(known, "{service}: {name} is a {kind}, and another in the catalogue");
            } else if let Some((name, rest)) = line.split_once('{')
                // Its labels are the resource's.
                && name != "target_info"
                && let Some(row) = catalogue::find(name)
            {
                for label in labels(rest) {
                    ensure!(
                        label == "le" || row.labels.contains(&label),
                        "{service}: {name} has a label {label}, which the catalogue does not have"
                    );
                }
            }
        }
    }
    println!("catalogue: {} metrics of the shop are as it has them", found.len());
    Ok(found)
}

/// Reads the names of labels behind `{`; no value of the shop holds `="` or `",`.
fn labels(rest: &str) -> impl Iterator<Item = &str> {
    let inner = rest.rsplit_once('}').map_or("", |(inner, _)| inner);
    inner.split("\",").filter_map(|pair| pair.split_once("=\"")).map(|(name, _)| name)
}
