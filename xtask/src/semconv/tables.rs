//! The conventions' tables: TypeScript declarations with comments.

use anyhow::{Context as _, ensure};
use std::{collections::BTreeMap, path::Path};

/// How far a name is settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Stable,
    Experimental,
    /// With what to use instead.
    Deprecated(String),
}

/// All names, by their form with dots.
#[derive(Debug, Default)]
pub(super) struct Tables {
    attributes: BTreeMap<String, Status>,
    metrics: BTreeMap<String, Status>,
    /// Names in their Prometheus form, and what they are with dots.
    flat: BTreeMap<String, String>,
}

/// What a metric's name in Prometheus form may have behind it: units, and `_total` for counters.
const SUFFIXES: [&str; 5] = ["", "_seconds", "_bytes", "_total", "_seconds_total"];

impl Tables {
    /// Reads the package's `dist` folder.
    pub(super) fn read(dist: &Path) -> anyhow::Result<Self> {
        let mut tables = Self::default();
        for kind in ["attributes", "metrics", "events"] {
            // What is stable is in the other table too, so the stable one comes last.
            for (file, status) in [
                (format!("experimental_{kind}.d.mts"), Status::Experimental),
                (format!("stable_{kind}.d.mts"), Status::Stable),
            ] {
                let path = dist.join(file);
                let text = std::fs::read_to_string(&path)
                    .with_context(|| format!("{}", path.display()))?;
                tables.add(&text, &status);
            }
        }
        ensure!(
            tables.attributes.len() > 500 && tables.metrics.len() > 100,
            "these are no tables: {} attributes, {} metrics",
            tables.attributes.len(),
            tables.metrics.len()
        );
        Ok(tables)
    }

    /// Adds declarations such as `declare const ATTR_HTTP_ROUTE: "http.route";`.
    pub(super) fn add(&mut self, text: &str, status: &Status) {
        let mut comment = String::new();
        for line in text.lines().map(str::trim) {
            if line.starts_with("/**") || line.starts_with('*') {
                comment.push_str(line);
                comment.push('\n');
            }
            let Some(declared) = line.strip_prefix("declare const ") else { continue };
            let comment = std::mem::take(&mut comment);
            let Some((constant, name)) = declared.split_once(": \"") else { continue };
            let Some(name) = name.strip_suffix("\";") else { continue };
            let deprecated = comment.split_once("@deprecated").map(|(_, rest)| {
                Status::Deprecated(rest.lines().next().unwrap_or_default().trim().to_owned())
            });
            let status = deprecated.unwrap_or_else(|| status.clone());
            // Others are values of attributes.
            if constant.starts_with("ATTR_") || constant.starts_with("EVENT_") {
                self.flat.insert(flat(name), name.to_owned());
                self.attributes.insert(name.to_owned(), status);
            } else if constant.starts_with("METRIC_") {
                for suffix in SUFFIXES {
                    self.flat.insert(format!("{}{suffix}", flat(name)), name.to_owned());
                }
                self.metrics.insert(name.to_owned(), status);
            }
        }
    }

    /// Finds a name, with dots or in its Prometheus form; returns it with dots. Single words are not
    /// found: that the conventions once had an attribute `state` does not make a label `state` wrong.
    pub(super) fn find<'a>(&'a self, name: &'a str) -> Option<(&'a str, &'a Status)> {
        if !name.contains(['.', '_']) {
            return None;
        }
        let dotted = self.flat.get(name).map_or(name, String::as_str);
        Some((dotted, self.find_dotted(dotted)?))
    }

    pub(super) fn find_dotted(&self, name: &str) -> Option<&Status> {
        self.attributes.get(name).or_else(|| self.metrics.get(name))
    }
}

fn flat(name: &str) -> String {
    name.replace('.', "_")
}
