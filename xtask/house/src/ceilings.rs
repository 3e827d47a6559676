//! What is still there although it should not be, and may only get less.

use serde::Deserialize;
use std::{collections::BTreeMap, fs, path::Path};

/// The numbers of `tests/ceilings.toml`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ceilings {
    /// Files in circles of more than two, by crate.
    pub circles: BTreeMap<String, usize>,
    /// Imports that go through `lib.rs`, by crate.
    pub through_lib: BTreeMap<String, usize>,
    /// Names of types that a crate has more than once, by crate.
    pub doubles: BTreeMap<String, usize>,
    /// Files of more than 500 lines, by crate.
    pub long_files: BTreeMap<String, usize>,
    /// Public items, by crate: `cargo xtask api` counts them.
    pub public: BTreeMap<String, usize>,
    /// Real time that tests sleep through, by crate.
    pub sleeps: BTreeMap<String, usize>,
    /// Tricks for nanoseconds, by crate: `inline(always)`, `cold`, `thread_local!` and layouts.
    pub tricks: BTreeMap<String, usize>,
    /// Uses of words that are out, by word.
    pub words: BTreeMap<String, usize>,
}

impl Ceilings {
    const FILE: &str = "tests/ceilings.toml";

    /// Reads the file.
    ///
    /// # Errors
    /// If it is not there, or not such a file.
    pub fn read(root: &Path) -> anyhow::Result<Self> {
        Ok(toml::from_str(&fs::read_to_string(root.join(Self::FILE))?)?)
    }

    /// Takes from `now` what is lower, and forgets what is gone; writes the file. What has no ceiling gets
    /// none: it may not be there at all.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn lower(&self, now: &Self, root: &Path) -> anyhow::Result<Self> {
        let lower = |old: &BTreeMap<String, usize>, now: &BTreeMap<String, usize>| {
            let least = |(name, old): (&String, &usize)| {
                Some((name.clone(), *now.get(name)?.min(old))).filter(|(_, most)| *most > 0)
            };
            old.iter().filter_map(least).collect()
        };
        let lowered = Self {
            circles: lower(&self.circles, &now.circles),
            through_lib: lower(&self.through_lib, &now.through_lib),
            doubles: lower(&self.doubles, &now.doubles),
            long_files: lower(&self.long_files, &now.long_files),
            public: self.public.clone(),
            sleeps: lower(&self.sleeps, &now.sleeps),
            tricks: lower(&self.tricks, &now.tricks),
            words: lower(&self.words, &now.words),
        };
        fs::write(root.join(Self::FILE), lowered.text())?;
        Ok(lowered)
    }

    /// Takes counts of public items that are lower now, or new, and writes the file.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn lower_public(
        &mut self,
        now: &BTreeMap<String, usize>,
        root: &Path,
    ) -> anyhow::Result<()> {
        for (name, count) in now {
            let most = self.public.entry(name.clone()).or_insert(*count);
            *most = (*most).min(*count);
        }
        self.public.retain(|name, _| now.contains_key(name));
        Ok(fs::write(root.join(Self::FILE), self.text())?)
    }

    fn text(&self) -> String {
        let mut text =
            "# What docs/style.md forbids and the code still has. These numbers may only \
                        fall:\n# `cargo xtask figures --lower` takes those that are lower now.\n"
                .to_owned();
        let tables = [
            ("circles", "files in circles of more than two", &self.circles),
            ("through_lib", "imports that go through lib.rs", &self.through_lib),
            ("doubles", "names of types that a crate has more than once", &self.doubles),
            ("long_files", "files of more than 500 lines", &self.long_files),
            (
                "public",
                "public items; `cargo xtask api --write` takes those that are lower",
                &self.public,
            ),
            ("sleeps", "sleeps of tests whose time is not paused", &self.sleeps),
            (
                "tricks",
                "`inline(always)`, `cold`, `thread_local!` and `repr(C)` or `repr(align)`",
                &self.tricks,
            ),
            ("words", "uses of words that are out", &self.words),
        ];
        for (name, what, table) in tables {
            text.push_str(&format!("\n[{name}] # {what}\n"));
            for (name, most) in table {
                text.push_str(&format!("\"{name}\" = {most}\n"));
            }
        }
        text
    }
}

/// Names what is above its ceiling; what has none may not be there at all.
///
/// Returned as lines, to be asserted empty.
impl Ceilings {
    /// Compares one table.
    #[must_use]
    pub fn above(
        what: &str,
        now: &BTreeMap<String, usize>,
        most: &BTreeMap<String, usize>,
    ) -> Vec<String> {
        let above = |(name, count): (&String, &usize)| {
            let most = most.get(name).copied().unwrap_or_default();
            (*count > most).then(|| format!("{what}: {name} has {count}, and may have {most}"))
        };
        now.iter().filter_map(above).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ceilings_only_fall() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("tests")).unwrap();
        let words = |pairs: &[(&str, usize)]| Ceilings {
            words: pairs.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect(),
            ..Ceilings::default()
        };
        let (old, now) =
            (words(&[("a", 3), ("b", 1), ("c", 2)]), words(&[("a", 2), ("b", 4), ("d", 1)]));
        let lowered = old.lower(&now, root.path()).unwrap();
        assert_eq!(lowered, words(&[("a", 2), ("b", 1)]), "neither higher nor new");
        assert_eq!(Ceilings::read(root.path()).unwrap(), lowered);
    }

    #[test]
    fn what_has_no_ceiling_may_not_be() {
        let map = |pairs: &[(&str, usize)]| {
            pairs.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
        };
        let most = map(&[("a", 2), ("b", 2)]);
        let above = Ceilings::above("x", &map(&[("a", 2), ("b", 3), ("c", 1), ("d", 0)]), &most);
        let ceilings = Ceilings { words: most.clone(), ..Ceilings::default() };
        assert_eq!(toml::from_str::<Ceilings>(&ceilings.text()).unwrap(), ceilings);
        assert_eq!(above, ["x: b has 3, and may have 2", "x: c has 1, and may have 0"]);
    }
}
