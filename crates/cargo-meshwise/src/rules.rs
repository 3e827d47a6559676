//! `cargo meshwise rules`: recording and alerting rules for Prometheus.
//!
//! Each alert carries the next step in its annotations: the query of its log lines, that of its
//! exemplars, the page of the console, and its runbook.

mod alert;
mod alerts;
mod burn;
mod slo;

use std::path::{Path, PathBuf};

use alert::Links;
use anyhow::ensure;
use serde_json::{Value, json};
use url::Url;

use crate::{export::yaml, files};

/// Says what was written.
#[derive(Debug)]
#[non_exhaustive]
pub(crate) struct Rules {
    /// The files.
    pub written: Vec<String>,
    /// How many alerts are in them.
    pub alerts: usize,
}

/// Writes `meshwise.rules.yml`, and `slo-NAME.rules.yml` for each objective of these files.
///
/// # Errors
/// When a file of objectives cannot be read or is none, or a file cannot be written.
pub(crate) fn write(
    folder: &Path,
    objectives: &[PathBuf],
    console: &Url,
    runbooks: &Url,
) -> anyhow::Result<Rules> {
    let links = Links::new(console, runbooks);
    let mut all = vec![("meshwise".to_owned(), alerts::groups(&links))];
    for file in objectives {
        for objective in slo::read(file)? {
            all.push((format!("slo-{}", objective.name), burn::groups(&objective, &links)));
        }
    }
    let mut written = Vec::new();
    for (name, groups) in &all {
        let file = folder.join(format!("{name}.rules.yml"));
        let shown = file.display().to_string();
        ensure!(!written.contains(&shown), "two objectives are called {name}; rename one");
        files::replace(&file, yaml([&json!({ "groups": groups })]).as_bytes())?;
        written.push(shown);
    }
    let alerts = all.iter().flat_map(|(_, groups)| groups).map(alerts_of).sum();
    Ok(Rules { written, alerts })
}

fn alerts_of(group: &Value) -> usize {
    let rules = group["rules"].as_array().map_or(&[][..], Vec::as_slice);
    rules.iter().filter(|rule| rule["alert"].is_string()).count()
}
