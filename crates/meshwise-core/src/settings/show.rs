//! Going through the tree, and showing it.

use super::{
    kind::SettingKind,
    part::{Field, Leaf, Part, PartMut, PartRef, PartShape, Section, Spec},
    path::Path,
    tree::{
        AdaptiveSettings, BreakerSettings, BudgetSettings, BulkheadSettings, FaultSettings,
        PeerSettings, RateSettings, RetrySettings, Settings, ShedSettings, StreamingSettings,
        WindowSettings,
    },
    value::{Source, Value, quote},
};
use crate::redaction::Redaction;
use std::{
    collections::BTreeMap,
    fmt::{self, Write},
};

/// Shows a setting: where it is, what it is, and who said so.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Shown {
    /// Where it is in the tree.
    pub path: Path,
    /// Its value; `None` if it is unset and has no default that holds everywhere, or is secret.
    pub value: Option<Value>,
    /// Whether its value is kept secret.
    pub secret: bool,
    /// Who set it.
    pub source: Source,
}

/// Writes a line such as `log.format = "json"  # MESHWISE_LOG_FORMAT`.
impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, value, secret, source } = self;
        match (value, secret) {
            (Some(value), _) => write!(f, "{path} = {value}  # {source}"),
            (None, true) => write!(f, "{path} = (secret)  # {source}"),
            (None, false) => write!(f, "{path} = (unset)  # {source}"),
        }
    }
}

/// Hides what looks like a secret within a value that is none as a whole: an address may have a
/// password.
fn without_secrets(value: Value) -> Value {
    match value {
        Value::Text(text) => Value::Text(Redaction::standard().text(&text).into_owned()),
        Value::List(of) => Value::List(of.into_iter().map(without_secrets).collect()),
        Value::Table(of) => {
            Value::Table(of.into_iter().map(|(name, of)| (name, without_secrets(of))).collect())
        }
        plain => plain,
    }
}

impl Settings {
    /// Lists all settings, set or not, in the order of the tree; secrets without their values.
    #[must_use]
    #[doc(hidden)]
    pub fn shown(&self) -> Vec<Shown> {
        let mut all = Vec::new();
        each_leaf(self, &mut |path, spec, leaf| {
            let value = leaf.value();
            let secret = spec.secret && value.is_some();
            let value = value.filter(|_| !spec.secret).map(without_secrets);
            all.push(Shown { path: path.clone(), value, secret, source: leaf.origin().clone() });
        });
        all
    }

    /// Writes all settings that are set as JSON: `{"log.format":{"value":"json","source":"code"}}`;
    /// secrets have `"secret":true` in the place of a value.
    #[must_use]
    pub fn to_json(&self) -> String {
        self.to_json_marking(&[])
    }

    /// Does so; settings of these peers have `"unused":true`.
    #[must_use]
    #[doc(hidden)]
    pub fn to_json_marking(&self, unused: &[String]) -> String {
        let mut out = String::from("{");
        for shown in self.shown() {
            let names = shown.path.names();
            let unused = names[0] == "peers" && names.get(1).is_some_and(|it| unused.contains(it));
            // A string takes whatever is written to it.
            let _ = write_json(&mut out, &shown, unused);
        }
        out.push_str("\n}\n");
        out
    }
}

fn write_json(out: &mut String, shown: &Shown, unused: bool) -> fmt::Result {
    let entry = |text: &mut String, quoted: &str| quote(text, quoted);
    match (&shown.value, shown.secret) {
        (Some(value), _) => {
            out.push_str(if out.len() > 1 { ",\n  " } else { "\n  " });
            entry(out, &shown.path.to_string())?;
            out.push_str(": {\"value\": ");
            value.write_json(out)?;
        }
        (None, true) => {
            out.push_str(if out.len() > 1 { ",\n  " } else { "\n  " });
            entry(out, &shown.path.to_string())?;
            out.push_str(": {\"secret\": true");
        }
        (None, false) => return Ok(()),
    }
    out.push_str(", \"source\": ");
    entry(out, &shown.source.to_string())?;
    out.write_str(if unused { ", \"unused\": true}" } else { "}" })
}

/// Goes through all leaves of a tree.
pub(super) fn each_leaf(settings: &impl Part, f: &mut dyn FnMut(&Path, &Spec, &dyn Leaf)) {
    fn visit(
        part: PartRef<'_>,
        shape: &PartShape,
        path: &mut Path,
        f: &mut dyn FnMut(&Path, &Spec, &dyn Leaf),
    ) {
        match (shape, part) {
            (PartShape::Leaf(spec), PartRef::Leaf(leaf)) => f(path, spec, leaf),
            (PartShape::Section(fields), PartRef::Section(section)) => {
                for Field { name, shape, .. } in fields {
                    path.push(name);
                    if let Some(inner) = section.part(name) {
                        visit(inner, shape, path, f);
                    }
                    path.pop();
                }
            }
            (PartShape::Map(of), PartRef::Section(map)) => {
                for name in map.names() {
                    path.push(&name);
                    if let Some(inner) = map.part(&name) {
                        visit(inner, of, path, f);
                    }
                    path.pop();
                }
            }
            _ => {}
        }
    }
    visit(settings.as_ref(), &shape_of(settings), &mut Path::new(), f);
}

/// Goes through all leaves of a tree, to change them.
pub(super) fn each_leaf_mut(
    settings: &mut impl Part,
    f: &mut dyn FnMut(&Path, &Spec, &mut dyn Leaf),
) {
    fn visit(
        part: PartMut<'_>,
        shape: &PartShape,
        path: &mut Path,
        f: &mut dyn FnMut(&Path, &Spec, &mut dyn Leaf),
    ) {
        match (shape, part) {
            (PartShape::Leaf(spec), PartMut::Leaf(leaf)) => f(path, spec, leaf),
            (PartShape::Section(fields), PartMut::Section(section)) => {
                for Field { name, shape, .. } in fields {
                    path.push(name);
                    if let Some(inner) = section.part_mut(name) {
                        visit(inner, shape, path, f);
                    }
                    path.pop();
                }
            }
            (PartShape::Map(of), PartMut::Section(map)) => {
                for name in map.names() {
                    path.push(&name);
                    if let Some(inner) = map.part_mut(&name) {
                        visit(inner, of, path, f);
                    }
                    path.pop();
                }
            }
            _ => {}
        }
    }
    let shape = shape_of(settings);
    visit(settings.as_mut(), &shape, &mut Path::new(), f);
}

/// Returns the first value that is not allowed: its path, itself, and what is.
fn wrong(part: &impl Part) -> Option<[String; 3]> {
    let mut found = None;
    each_leaf(part, &mut |path, spec, leaf| {
        if let Some(value) = leaf.value().filter(|value| !spec.kind.allows(value)) {
            let plain = || [path.to_string(), value.plain(), spec.kind.bounds()];
            found.get_or_insert_with(plain);
        }
    });
    found
}

/// Returns the first setting that has another value in `other`: its path and both values.
fn difference<P: Part>(one: &P, other: &P) -> Option<[String; 3]> {
    let values = |part: &P| {
        let mut all = BTreeMap::new();
        each_leaf(part, &mut |path, _, leaf| {
            let value = leaf.value().map_or_else(|| "unset".to_owned(), |value| value.plain());
            all.insert(path.to_string(), value);
        });
        all
    };
    let (one, other) = (values(one), values(other));
    // What only one of them names is as unset as if both did.
    let mut paths = one.keys().chain(other.keys());
    let of = |all: &BTreeMap<String, String>, path: &String| {
        all.get(path).map_or_else(|| "unset".to_owned(), String::clone)
    };
    let path = paths.find(|path| of(&one, path) != of(&other, path))?;
    Some([path.clone(), of(&one, path), of(&other, path)])
}

/// Lets sections be checked and compared.
macro_rules! compared {
    ($($section:ident)+) => { $(
        impl $section {
            /// Returns the first value that is not allowed: its path, itself, and what is.
            #[doc(hidden)]
            #[must_use]
            pub fn wrong(&self) -> Option<[String; 3]> {
                wrong(self)
            }

            /// Returns the first setting that has another value in `other`: its path and both.
            #[doc(hidden)]
            #[must_use]
            pub fn difference(&self, other: &Self) -> Option<[String; 3]> {
                difference(self, other)
            }
        }
    )+ };
}

compared! {
    PeerSettings RetrySettings BreakerSettings WindowSettings BulkheadSettings AdaptiveSettings
    RateSettings FaultSettings ShedSettings BudgetSettings StreamingSettings
}

fn shape_of<P: Part>(_: &P) -> PartShape {
    P::shape(Spec::of(SettingKind::Bool))
}

/// Returns the default of a leaf; what is for one peer has that of all peers.
pub(super) fn default_at(defaults: &Settings, path: &Path) -> Option<Value> {
    let mut names = path.names().iter().map(String::as_str);
    let mut section: &dyn Section = defaults;
    let mut name = names.next()?;
    if name == "peers" {
        names.next();
        name = "peer";
    }
    loop {
        match section.part(name)? {
            PartRef::Leaf(leaf) => return leaf.value(),
            PartRef::Section(inner) => section = inner,
        }
        name = names.next()?;
    }
}

/// Tells whether more than variables say something of a peer.
pub(super) fn is_spelt_out(settings: &PeerSettings) -> bool {
    let mut spelt = false;
    each_leaf(settings, &mut |_, _, leaf| {
        spelt |= leaf.value().is_some() && !matches!(leaf.origin(), Source::Variable(_));
    });
    spelt
}

/// Leaves only what variables have set.
pub(super) fn only_variables(settings: &PeerSettings) -> PeerSettings {
    let mut kept = PeerSettings::default();
    each_leaf(settings, &mut |path, _, leaf| {
        if let (Some(value), Source::Variable(_)) = (leaf.value(), leaf.origin()) {
            put(&mut kept, path, value, leaf.origin().clone());
        }
    });
    kept
}

/// Sets a leaf by its path; tells whether there is one that takes the value.
pub(super) fn put(section: &mut dyn Section, path: &Path, value: Value, source: Source) -> bool {
    let Some((last, sections)) = path.names().split_last() else { return false };
    let mut section = section;
    for name in sections {
        match section.part_mut(name) {
            Some(PartMut::Section(next)) => section = next,
            _ => return false,
        }
    }
    match section.part_mut(last) {
        Some(PartMut::Leaf(leaf)) => leaf.put(value, source),
        _ => false,
    }
}

/// Lists all leaves, those of a peer named `auth` and its route `GET /x` among them.
pub(super) fn leaves() -> Vec<(Path, Spec)> {
    fn go(fields: &[Field], path: &mut Path, all: &mut Vec<(Path, Spec)>) {
        for field in fields {
            path.push(field.name);
            shape(&field.shape, path, all);
            path.pop();
        }
    }
    fn shape(of: &PartShape, path: &mut Path, all: &mut Vec<(Path, Spec)>) {
        match of {
            PartShape::Leaf(spec) => all.push((path.clone(), *spec)),
            PartShape::Section(fields) => go(fields, path, all),
            PartShape::Map(of) => {
                path.push(match path.names().last().map(String::as_str) {
                    Some("peers") => "auth",
                    Some("routes") => "GET /x",
                    _ => "own-name",
                });
                shape(of, path, all);
                path.pop();
            }
        }
    }
    let mut all = Vec::new();
    shape(&Settings::described(), &mut Path::new(), &mut all);
    all
}

/// Finds the leaf that has this name, wherever it is, if there is but one.
#[cfg_attr(not(feature = "toml"), allow(dead_code, reason = "files are read with the feature"))]
pub(super) fn find_leaf(name: &str) -> Option<Path> {
    fn find(fields: &[Field], name: &str, path: &mut Path, found: &mut Vec<Path>) {
        for field in fields {
            path.push(field.name);
            match &field.shape {
                PartShape::Leaf(_) if field.name == name => found.push(path.clone()),
                PartShape::Section(fields) => find(fields, name, path, found),
                PartShape::Leaf(_) | PartShape::Map(_) => {}
            }
            path.pop();
        }
    }
    let PartShape::Section(fields) = Settings::described() else { return None };
    let mut found = Vec::new();
    find(&fields, name, &mut Path::new(), &mut found);
    found.pop().filter(|_| found.is_empty())
}
