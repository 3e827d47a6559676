//! From what stands in a file to the tree.

use super::{
    kind::SettingKind,
    part::{Field, PartMut, PartShape, Section, Spec},
    path::Path,
    problem::{Problem, did_you_mean},
    raw::{Raw, RawEntry, RawValue},
    show::find_leaf,
    value::Source,
};
use std::sync::Arc;

/// The most problems that are told of one file: people have to read them.
const MANY: usize = 50;

/// Reads one file into a tree, and gathers what is wrong with it.
pub(super) struct FileReader {
    pub(super) file: Arc<str>,
    pub(super) problems: Vec<Problem>,
}

impl FileReader {
    pub(super) fn section(
        &mut self,
        raw: &[RawEntry],
        section: &mut dyn Section,
        fields: &[Field],
        path: &mut Path,
    ) {
        for entry in raw {
            path.push(&entry.name);
            match fields.iter().find(|field| field.name == entry.name) {
                Some(field) => match section.part_mut(&entry.name) {
                    Some(part) => self.part(&entry.value, part, &field.shape, path),
                    // A section has a part for each of its fields.
                    None => self.unknown(entry, fields, path),
                },
                None => self.unknown(entry, fields, path),
            }
            path.pop();
        }
    }

    fn part(&mut self, raw: &Raw, part: PartMut<'_>, shape: &PartShape, path: &mut Path) {
        match (shape, part) {
            (PartShape::Leaf(spec), PartMut::Leaf(leaf)) => {
                let put = spec.kind.read(raw).is_some_and(|value| {
                    leaf.put(value, Source::File { path: Arc::clone(&self.file), line: raw.line })
                });
                if !put {
                    self.refuse_value(raw, spec, path);
                }
            }
            (PartShape::Section(fields), PartMut::Section(section)) => {
                let what = || fields.iter().map(|field| field.name).collect::<Vec<_>>().join(", ");
                if let Some(entries) = self.table(raw, path, what) {
                    self.section(entries, section, fields, path);
                }
            }
            (PartShape::Map(of), PartMut::Section(map)) => {
                let Some(entries) = self.table(raw, path, || "names of your own".to_owned()) else {
                    return;
                };
                for entry in entries {
                    path.push(&entry.name);
                    if entry.name.trim().is_empty() || entry.name.len() > 1024 {
                        let problem = "has a name that is blank or longer than 1024 bytes";
                        self.refuse(entry.line, path, problem.to_owned());
                    } else if let Some(part) = map.part_mut(&entry.name) {
                        self.part(&entry.value, part, of, path);
                    }
                    path.pop();
                }
            }
            // A shape and its part come from one declaration.
            _ => self.refuse(raw.line, path, "cannot be set".to_owned()),
        }
    }

    fn table<'r>(
        &mut self,
        raw: &'r Raw,
        path: &Path,
        what: impl FnOnce() -> String,
    ) -> Option<&'r [RawEntry]> {
        if let RawValue::Table(entries) = &raw.value {
            return Some(entries);
        }
        let found = raw.value.found(!path.may_hold_secrets());
        self.refuse(raw.line, path, format!("is {found}; allowed: a table of {}", what()));
        None
    }

    fn refuse_value(&mut self, raw: &Raw, spec: &Spec, path: &Path) {
        let found = raw.value.found(!spec.secret);
        let mut problem = format!("is {found}; allowed: {}", spec.kind.allowed());
        if let (RawValue::Text(text), SettingKind::Word(words)) = (&raw.value, spec.kind) {
            problem.extend(did_you_mean(text, words.iter().copied()));
        }
        self.refuse(raw.line, path, problem);
    }

    fn unknown(&mut self, entry: &RawEntry, fields: &[Field], path: &Path) {
        let names = fields.iter().map(|field| field.name);
        let mut problem = match did_you_mean(&entry.name, names.clone()) {
            Some(meant) => format!("is not known{meant}"),
            None => String::from("is not known"),
        };
        if !problem.contains("did you mean") {
            match find_leaf(&entry.name) {
                Some(path) => problem += &format!("; did you mean `{path}`?"),
                None => problem += &format!("; allowed: {}", names.collect::<Vec<_>>().join(", ")),
            }
        }
        self.refuse(entry.line, path, problem);
    }

    fn refuse(&mut self, line: usize, path: &Path, problem: String) {
        if self.problems.len() < MANY {
            let source = Source::File { path: Arc::clone(&self.file), line };
            self.problems.push(Problem { source, key: path.to_string(), problem });
        }
    }
}
