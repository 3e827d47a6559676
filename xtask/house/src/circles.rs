//! Circles of modules: files of a crate that need each other, three or more in a ring.

use crate::{
    Source,
    tokens::{self, Path},
};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    path::PathBuf,
};

/// How many re-exports are followed to a definition.
const DEPTH: usize = 8;

/// How many definitions are named that make a crate's circles.
const MAKERS: usize = 16;

/// Which file needs which definition.
type Edges = BTreeSet<(PathBuf, Definition)>;

/// The circles of one crate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Circles {
    /// The files that are in a circle of more than two.
    pub files: BTreeSet<PathBuf>,
    /// How many imports of the crate go through `lib.rs` instead of to the module.
    pub through_lib: usize,
    edges: Edges,
}

/// A name, and the file that defines it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Definition {
    /// Where it is defined.
    pub file: PathBuf,
    /// What is defined.
    pub name: String,
}

impl Circles {
    /// Finds the circles among a crate's files.
    #[must_use]
    pub fn of(package: &str, sources: &[Source]) -> Self {
        let crate_ = Crate::read(package, sources);
        let edges = crate_.edges();
        let files = count(&ring(&edges));
        let through_lib = crate_.through_lib();
        Self { files, through_lib, edges }
    }

    /// Finds the definitions that make the circles, and how many files are free once they are moved;
    /// the most first, each once those before it are gone.
    #[must_use]
    pub fn makers(&self) -> Vec<(Definition, usize)> {
        let mut edges = self.edges.clone();
        let mut left = self.files.len();
        let mut makers = Vec::new();
        while left > 0 && makers.len() < MAKERS {
            let best = candidates(&edges)
                .into_iter()
                .map(|gone| {
                    let without: Edges = edges.difference(&gone).cloned().collect();
                    let rest = ring(&without);
                    (count(&rest).len(), rest.len(), gone.len(), gone)
                })
                .min();
            let Some((rest, _, _, gone)) = best else { break };
            let Some((_, first)) = gone.first() else { break };
            let names: BTreeSet<&str> = gone.iter().map(|(_, to)| &*to.name).collect();
            let name = names.into_iter().collect::<Vec<_>>().join(", ");
            makers.push((Definition { file: first.file.clone(), name }, left - rest));
            edges = edges.difference(&gone).cloned().collect();
            left = rest;
        }
        makers
    }
}

struct Module {
    file: PathBuf,
    paths: Vec<Path>,
    /// What its `use`s name, and where that is.
    imports: HashMap<String, Vec<String>>,
    globs: Vec<Vec<String>>,
}

struct Crate {
    modules: BTreeMap<Vec<String>, Module>,
}

impl Crate {
    fn read(package: &str, sources: &[Source]) -> Self {
        let mut modules = BTreeMap::new();
        for source in sources.iter().filter(|source| source.package == package && !source.test) {
            let Ok(path) = source.path.strip_prefix(format!("crates/{package}/src")) else {
                continue;
            };
            let path = path.with_extension("");
            let mut name: Vec<String> =
                path.iter().map(|part| part.to_string_lossy().into_owned()).collect();
            if name == ["lib"] {
                name.clear();
            }
            let paths = tokens::paths(&source.tokens);
            let file = source.path.clone();
            let module = Module { file, paths, imports: HashMap::new(), globs: Vec::new() };
            modules.insert(name, module);
        }
        let mut crate_ = Self { modules };
        let names: Vec<_> = crate_.modules.keys().cloned().collect();
        for name in names {
            let (mut imports, mut globs) = (HashMap::new(), Vec::new());
            for path in crate_.modules[&name].paths.iter().filter(|path| path.import) {
                let Some(full) = crate_.absolute(&name, &path.segments) else { continue };
                if path.known_as == "*" {
                    globs.push(full[..full.len() - 1].to_vec());
                } else {
                    imports.insert(path.known_as.clone(), full);
                }
            }
            if let Some(module) = crate_.modules.get_mut(&name) {
                (module.imports, module.globs) = (imports, globs);
            }
        }
        crate_
    }

    /// Returns a path from the crate's root on; `None` if it leads out of the crate.
    fn absolute(&self, module: &[String], path: &[String]) -> Option<Vec<String>> {
        let mut base = module.to_vec();
        let mut rest = path;
        match rest.first()?.as_str() {
            "crate" => {
                base.clear();
                rest = &rest[1..];
            }
            "self" => rest = &rest[1..],
            "super" => {
                while rest.first().is_some_and(|segment| segment == "super") {
                    base.pop();
                    rest = &rest[1..];
                }
            }
            first => {
                base.push(first.to_owned());
                if !self.modules.contains_key(&base) {
                    return None;
                }
                rest = &rest[1..];
            }
        }
        base.extend(rest.iter().cloned());
        Some(base)
    }

    /// Returns the module that a path leads to, and the name in it.
    fn split<'a>(&self, path: &'a [String]) -> (&'a [String], Option<&'a str>) {
        let mut end = path.len();
        while end > 0 && !self.modules.contains_key(&path[..end]) {
            end -= 1;
        }
        (&path[..end], path.get(end).map(String::as_str))
    }

    /// Follows re-exports to where a name is defined.
    fn definition(&self, path: &[String], depth: usize) -> Option<(Vec<String>, String)> {
        let (module, name) = self.split(path);
        let Some(name) = name else { return Some((module.to_vec(), "(module)".to_owned())) };
        let found = self.modules.get(module)?;
        if depth > 0 {
            if let Some(target) = found.imports.get(name)
                && target != path
            {
                return self.definition(target, depth - 1);
            }
            for glob in &found.globs {
                let mut path = glob.clone();
                path.push(name.to_owned());
                let (module, _) = self.split(&path);
                if self.modules.get(module).is_some_and(|m| m.imports.contains_key(name)) {
                    return self.definition(&path, depth - 1);
                }
            }
        }
        Some((module.to_vec(), name.to_owned()))
    }

    fn edges(&self) -> Edges {
        let mut edges = BTreeSet::new();
        for (name, module) in &self.modules {
            for path in &module.paths {
                let Some(full) = self.absolute(name, &path.segments) else { continue };
                let Some((target, item)) = self.definition(&full, DEPTH) else { continue };
                // To name a module alone (`mod a;`, `use crate::a;`) is to need nothing of it yet.
                if target == *name || item == "(module)" {
                    continue;
                }
                // A file that hands on what others define does not need it.
                if path.import && Self::hands_on(module, path) {
                    continue;
                }
                // What is called through a module that was imported.
                let file = self.modules[&target].file.clone();
                edges.insert((module.file.clone(), Definition { file, name: item }));
            }
            for path in module.paths.iter().filter(|path| !path.import) {
                let Some(first) = path.segments.first() else { continue };
                let Some(target) = module.imports.get(first) else { continue };
                let mut full = target.clone();
                full.extend(path.segments[1..].iter().cloned());
                let Some((target, item)) = self.definition(&full, DEPTH) else { continue };
                if target != *name {
                    let file = self.modules[&target].file.clone();
                    edges.insert((module.file.clone(), Definition { file, name: item }));
                }
            }
        }
        edges
    }

    /// Tells a `use` whose name the file itself never says: it is there for others.
    fn hands_on(module: &Module, path: &Path) -> bool {
        let said = |other: &Path| !other.import && other.segments.first() == Some(&path.known_as);
        !module.paths.iter().any(said)
    }

    fn through_lib(&self) -> usize {
        let root: Vec<String> = Vec::new();
        let through = |path: &&Path| {
            path.import
                && path.segments.len() >= 2
                && path.segments[0] == "crate"
                && path.known_as != "*"
                && !self.modules.contains_key(&path.segments[1..2])
                && self
                    .modules
                    .get(&root)
                    .is_some_and(|lib| lib.imports.contains_key(&path.segments[1]))
        };
        let inner = self.modules.iter().filter(|(name, _)| !name.is_empty());
        inner.map(|(_, module)| module.paths.iter().filter(through).count()).sum()
    }
}

/// What could be moved: one definition, or all that one file takes from another.
fn candidates(edges: &Edges) -> BTreeSet<Edges> {
    let on_ring = ring(edges);
    let mut groups: BTreeMap<(Option<&PathBuf>, &PathBuf, Option<&str>), Edges> = BTreeMap::new();
    for edge in edges {
        let (from, to) = edge;
        if on_ring.contains(&(from.clone(), to.file.clone())) {
            groups.entry((None, &to.file, Some(&to.name))).or_default().insert(edge.clone());
            groups.entry((Some(from), &to.file, None)).or_default().insert(edge.clone());
        }
    }
    groups.into_values().collect()
}

/// Finds the pairs of files that stand side by side on a ring of three or more: the second leads back to
/// the first without the way straight back.
fn ring(edges: &Edges) -> BTreeSet<(PathBuf, PathBuf)> {
    let mut next: HashMap<&PathBuf, BTreeSet<&PathBuf>> = HashMap::new();
    for (from, to) in edges {
        if *from != to.file {
            next.entry(from).or_default().insert(&to.file);
        }
    }
    let pairs = next.iter().flat_map(|(from, targets)| targets.iter().map(|to| (*from, *to)));
    let pairs = pairs.filter(|(from, to)| leads_back(&next, to, from));
    pairs.map(|(from, to)| (from.clone(), to.clone())).collect()
}

fn count(ring: &BTreeSet<(PathBuf, PathBuf)>) -> BTreeSet<PathBuf> {
    ring.iter().flat_map(|(from, to)| [from.clone(), to.clone()]).collect()
}

/// Tells whether `from` leads to `to` by at least one other file.
fn leads_back(next: &HashMap<&PathBuf, BTreeSet<&PathBuf>>, from: &PathBuf, to: &PathBuf) -> bool {
    let mut seen: HashSet<&PathBuf> = HashSet::new();
    let mut open: Vec<&PathBuf> = next.get(from).into_iter().flatten().copied().collect();
    open.retain(|file| *file != to);
    while let Some(file) = open.pop() {
        if file == to {
            return true;
        }
        if file != from && seen.insert(file) {
            open.extend(next.get(file).into_iter().flatten().copied());
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(path: &str, text: &str) -> Source {
        let (tokens, _) = tokens::production(text.parse().unwrap());
        let path = PathBuf::from("crates/x/src").join(path);
        Source { package: "x".to_owned(), path, text: text.to_owned(), test: false, tokens }
    }

    fn files(sources: &[Source]) -> Vec<String> {
        let names = Circles::of("x", sources).files.into_iter();
        names.map(|file| file.file_name().unwrap().to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn three_in_a_ring_are_found_and_two_are_not() {
        let lib = source("lib.rs", "mod a; mod b; mod c; pub use a::A;");
        let a = source("a.rs", "use crate::b::B; pub struct A(B);");
        let b = source("b.rs", "use crate::c::C; pub struct B(C, Option<crate::a::A>);");
        let c = source("c.rs", "pub struct C;");
        assert!(files(&[lib, a, b, c]).is_empty());
        let lib = source("lib.rs", "mod a; mod b; mod c; pub use a::A;");
        let a = source("a.rs", "use crate::b::B; pub struct A(B);");
        let b = source("b.rs", "use crate::c::C; pub struct B(C);");
        let c = source("c.rs", "use crate::A; pub struct C(Box<A>);");
        let sources = [lib, a, b, c];
        assert_eq!(files(&sources), ["a.rs", "b.rs", "c.rs"]);
        let circles = Circles::of("x", &sources);
        assert_eq!((circles.through_lib, circles.makers()[0].1), (1, 3));
    }

    #[test]
    fn a_file_that_hands_on_is_looked_through() {
        let lib = source("lib.rs", "mod a; mod b;");
        let a = source("a.rs", "mod c; mod d; pub(crate) use c::C; pub use d::D;");
        let c = source("a/c.rs", "use super::D; pub(crate) struct C(D);");
        let d = source("a/d.rs", "pub struct D;");
        let b = source("b.rs", "use crate::a::C; struct B(C);");
        assert!(files(&[lib, a, b, c, d]).is_empty());
    }

    #[test]
    fn what_is_called_through_a_module_counts() {
        let lib = source("lib.rs", "mod a; mod b; mod c;");
        let a = source("a.rs", "use crate::b; fn f() { b::g() }");
        let b = source("b.rs", "pub fn g() { crate::c::h() }");
        let c = source("c.rs", "use crate::{a as first}; pub fn h() { first::f() }");
        assert_eq!(files(&[lib, a, b, c]), ["a.rs", "b.rs", "c.rs"]);
    }
}
