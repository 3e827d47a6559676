//! The list of names that are used although they are not stable, and of those that the conventions
//! do not have.

use anyhow::{Context as _, ensure};
use std::collections::BTreeMap;

pub(super) const SECTIONS: [&str; 5] = ["experimental", "others", "elsewhere", "ecs", "gcp"];

/// Names and the reasons for them, by section.
#[derive(Debug)]
pub(super) struct List(BTreeMap<String, BTreeMap<String, String>>);

impl List {
    pub(super) fn parse(text: &str) -> anyhow::Result<Self> {
        let list: BTreeMap<String, BTreeMap<String, String>> =
            toml::from_str(text).context("semconv.toml")?;
        for (section, names) in &list {
            ensure!(SECTIONS.contains(&&**section), "semconv.toml: what is [{section}]?");
            for (name, reason) in names {
                ensure!(reason.len() >= 10, "semconv.toml: give a reason for `{name}`");
            }
        }
        Ok(Self(list))
    }

    pub(super) fn has(&self, section: &str, name: &str) -> bool {
        self.0.get(section).is_some_and(|names| names.contains_key(name))
    }

    pub(super) fn names(&self, section: &str) -> impl Iterator<Item = &str> {
        self.0.get(section).into_iter().flat_map(BTreeMap::keys).map(String::as_str)
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = (&'static str, &str)> {
        SECTIONS.into_iter().flat_map(|section| self.names(section).map(move |n| (section, n)))
    }
}
