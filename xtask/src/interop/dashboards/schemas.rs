//! Grafana's own schemas, which forgive no unknown key.

use anyhow::{Context as _, bail, ensure};
use jsonschema::Validator;
use serde_json::{Value, json};
use std::{collections::BTreeMap, fs, path::Path};

/// The kinds of panels that we write, by the name of their schema.
const KINDS: [&str; 3] = ["stat", "table", "timeseries"];

struct Judges {
    dashboard: Validator,
    target: Validator,
    options: BTreeMap<&'static str, Validator>,
    custom: BTreeMap<&'static str, Validator>,
}

/// Judges each page as a whole, each panel by its kind, and each target by its data source's.
pub(super) fn judge(folder: &Path, pages: &BTreeMap<String, Value>) -> anyhow::Result<()> {
    let judges = Judges::read(folder)?;
    let mut panels = 0;
    for (name, page) in pages {
        panels += judges.page(page).with_context(|| format!("{name}.json is not Grafana's"))?;
    }
    // A judge that lets everything pass would say nothing.
    let mut spoilt = pages.values().next().context("a page")?.clone();
    let panel = spoilt["panels"].as_array_mut().context("panels")?.last_mut().context("a panel")?;
    panel["options"]["colour"] = json!("red");
    ensure!(judges.page(&spoilt).is_err(), "an unknown option passes");
    println!("dashboards: Grafana's schemas take {} pages with {panels} panels", pages.len());
    Ok(())
}

impl Judges {
    fn read(folder: &Path) -> anyhow::Result<Self> {
        let mut options = BTreeMap::new();
        let mut custom = BTreeMap::new();
        for kind in KINDS {
            options.insert(kind, definition(folder, kind, "Options")?);
            // A stat has no field options of its own.
            if kind != "stat" {
                custom.insert(kind, definition(folder, kind, "FieldConfig")?);
            }
        }
        Ok(Self {
            dashboard: definition(folder, "dashboard", "Dashboard")?,
            target: definition(folder, "prometheus", "Dataquery")?,
            options,
            custom,
        })
    }

    /// Returns how many panels the page has.
    fn page(&self, page: &Value) -> anyhow::Result<usize> {
        valid(&self.dashboard, page)?;
        let panels = page["panels"].as_array().context("panels")?;
        let mut count = 0;
        for panel in panels.iter().filter(|panel| panel["type"] != "row") {
            count += 1;
            self.panel(panel).with_context(|| format!("in the panel {}", panel["title"]))?;
        }
        Ok(count)
    }

    fn panel(&self, panel: &Value) -> anyhow::Result<()> {
        let kind = panel["type"].as_str().unwrap_or_default();
        let options = self.options.get(kind).with_context(|| format!("{kind} is not known"))?;
        valid(options, &panel["options"])?;
        let custom = &panel["fieldConfig"]["defaults"]["custom"];
        match self.custom.get(kind) {
            Some(judge) => valid(judge, custom)?,
            None => ensure!(*custom == json!({}), "a {kind} has no field options: {custom}"),
        }
        panel["targets"]
            .as_array()
            .context("targets")?
            .iter()
            .try_for_each(|target| valid(&self.target, target))
    }
}

/// Reads the schema of one definition in a file.
fn definition(folder: &Path, file: &str, name: &str) -> anyhow::Result<Validator> {
    let path = folder.join(format!("{file}.jsonschema.json"));
    let text = fs::read_to_string(&path).with_context(|| {
        format!(
            "{} cannot be read; give Grafana's schemas with --grafana-schemas or GRAFANA_SCHEMAS, \
             or leave them out with --without-grafana-schemas",
            path.display()
        )
    })?;
    let mut schema: Value = serde_json::from_str(&text)?;
    ensure!(schema["definitions"][name].is_object(), "{} has no {name}", path.display());
    schema["$ref"] = json!(format!("#/definitions/{name}"));
    match jsonschema::validator_for(&schema) {
        Ok(judge) => Ok(judge),
        Err(error) => bail!("{} is no schema: {error}", path.display()),
    }
}

fn valid(judge: &Validator, value: &Value) -> anyhow::Result<()> {
    let problems: Vec<_> = judge
        .iter_errors(value)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    ensure!(problems.is_empty(), "{}", problems.join("\n"));
    Ok(())
}
