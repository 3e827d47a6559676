//! What one package's binary is made of, from `cargo metadata`.
//!
//! `cargo metadata` resolves a whole workspace at once and so mixes the features that all members
//! ask for. What is missing in one service would be hidden by another that has it. So the features
//! are resolved here once more, for one package alone, by Cargo's rules, over its normal
//! dependencies: what `cargo build -p NAME` makes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use anyhow::Context as _;
use cargo_metadata::{
    Dependency, DependencyKind, Metadata, Package, PackageId, TargetKind, semver::Version,
};

/// The packages that end up in one package's binary.
#[derive(Debug)]
pub(crate) struct Graph {
    root: PackageId,
    packages: BTreeMap<PackageId, Node>,
}

/// One package of the graph.
#[derive(Debug)]
pub(crate) struct Node {
    /// What Cargo says of it.
    pub(crate) package: Package,
    /// The features that are on.
    pub(crate) features: BTreeSet<String>,
    /// What it links to, in the order of the manifest.
    links: Vec<PackageId>,
    /// The optional dependencies that are on, by their name in the manifest.
    active: BTreeSet<String>,
}

/// The features of the package itself to build with, as on Cargo's command line.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    pub(crate) features: Vec<String>,
    pub(crate) all: bool,
    pub(crate) no_default: bool,
}

/// The command line does not say what is to be examined.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unnamed {
    #[error("this is a workspace: name a package with --package")]
    Several,
    #[error("no package {0:?} in this workspace; `cargo metadata` lists them")]
    NoPackage(String),
    #[error("the package has no feature {0:?}")]
    NoFeature(String),
}

impl Node {
    pub(crate) fn name(&self) -> &str {
        &self.package.name
    }

    pub(crate) fn version(&self) -> &Version {
        &self.package.version
    }

    /// Names the versions that Cargo takes for the same: `1`, `0.33`, `0.0.7`.
    pub(crate) fn line(&self) -> String {
        line(self.version())
    }

    pub(crate) fn has(&self, feature: &str) -> bool {
        self.features.contains(feature)
    }

    /// The dependencies of the manifest on a package of this name, normal ones only.
    pub(crate) fn asks_for<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Dependency> {
        self.package
            .dependencies
            .iter()
            .filter(move |d| d.name == name && d.kind == DependencyKind::Normal)
    }
}

/// Names the versions that Cargo takes for the same: `1`, `0.33`, `0.0.7`.
pub(crate) fn line(version: &Version) -> String {
    match (version.major, version.minor) {
        (0, 0) => format!("0.0.{}", version.patch),
        (0, minor) => format!("0.{minor}"),
        (major, _) => major.to_string(),
    }
}

impl Graph {
    /// Builds the graph of one package: the one named, else the one `cargo metadata` was asked for.
    ///
    /// # Errors
    /// When there is no such package, or none was named in a workspace without one at its root, or
    /// when the metadata come without a resolved graph.
    pub(crate) fn new(
        metadata: Metadata,
        name: Option<&str>,
        wanted: &Wanted,
    ) -> anyhow::Result<Self> {
        let resolve = metadata.resolve.context("the metadata have no resolved graph")?;
        let members = &metadata.workspace_members;
        let root = match name {
            Some(name) => metadata
                .packages
                .iter()
                .find(|p| p.name == name && members.contains(&p.id))
                .ok_or_else(|| Unnamed::NoPackage(name.to_owned()))?
                .id
                .clone(),
            None => match (resolve.root, members.as_slice()) {
                (Some(root), _) => root,
                (None, [only]) => only.clone(),
                (None, _) => return Err(Unnamed::Several.into()),
            },
        };
        let all: BTreeMap<_, _> =
            metadata.packages.into_iter().map(|p| (p.id.clone(), p)).collect();
        let links = resolve
            .nodes
            .into_iter()
            .map(|node| {
                let normal = |d: &&cargo_metadata::NodeDep| {
                    d.dep_kinds.is_empty()
                        || d.dep_kinds.iter().any(|k| k.kind == DependencyKind::Normal)
                };
                let links = node.deps.iter().filter(normal).map(|d| d.pkg.clone()).collect();
                (node.id, links)
            })
            .collect();
        let mut resolver = Resolver { all, links, found: BTreeMap::new() };
        resolver.start(&root, wanted)?;
        while resolver.sweep() {}
        Ok(Self { root, packages: resolver.found })
    }

    pub(crate) fn root(&self) -> &Node {
        // `start` put it there or failed.
        &self.packages[&self.root]
    }

    pub(crate) fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.packages.values()
    }

    pub(crate) fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Node> {
        self.nodes().filter(move |node| node.name() == name)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.named(name).next().is_some()
    }

    pub(crate) fn links<'a>(&'a self, node: &'a Node) -> impl Iterator<Item = &'a Node> {
        node.links.iter().filter_map(|id| self.packages.get(id))
    }

    /// Lists who depends on it directly.
    pub(crate) fn parents<'a>(&'a self, node: &'a Node) -> impl Iterator<Item = &'a Node> {
        self.nodes().filter(|parent| parent.links.contains(&node.package.id))
    }

    /// Tells whether one links to the other, over any number of packages between.
    pub(crate) fn reaches(&self, from: &Node, to: &Node) -> bool {
        let mut seen = BTreeSet::new();
        let mut queue = vec![&from.package.id];
        while let Some(id) = queue.pop() {
            if *id == to.package.id {
                return true;
            }
            if seen.insert(id) {
                queue.extend(self.packages.get(id).into_iter().flat_map(|node| &node.links));
            }
        }
        false
    }

    /// Finds a shortest way from the root to a package, both included.
    pub(crate) fn path(&self, to: &Node) -> Vec<&Node> {
        let mut before: BTreeMap<&PackageId, &PackageId> = BTreeMap::new();
        let mut queue = VecDeque::from([&self.root]);
        while let Some(id) = queue.pop_front() {
            if *id == to.package.id {
                break;
            }
            let Some(node) = self.packages.get(id) else { continue };
            for next in &node.links {
                if *next != self.root && !before.contains_key(next) {
                    before.insert(next, id);
                    queue.push_back(next);
                }
            }
        }
        let mut path = Vec::new();
        let mut at = Some(&to.package.id);
        while let Some(id) = at {
            path.extend(self.packages.get(id));
            at = before.get(id).copied();
        }
        path.reverse();
        path
    }

    /// Writes [`Graph::path`] for people: `orders -> meshwise 0.1.0 -> tracing 0.1.44`.
    pub(crate) fn path_text(&self, to: &Node) -> String {
        let text: Vec<String> = self
            .path(to)
            .into_iter()
            .map(|node| match node.package.id == self.root {
                true => node.name().to_owned(),
                false => format!("{} {}", node.name(), node.version()),
            })
            .collect();
        text.join(" -> ")
    }

    /// Lists the packages whose manifests ask for a feature of `of`.
    pub(crate) fn who_enables<'a>(&'a self, of: &'a Node, feature: &str) -> Vec<&'a Node> {
        self.parents(of)
            .filter(|parent| {
                parent
                    .asks_for(of.name())
                    .any(|d| d.features.iter().any(|f| f == feature) && d.req.matches(of.version()))
                    || parent.features.iter().any(|on| {
                        let values = parent.package.features.get(on);
                        let named = format!("{}/{feature}", of.name());
                        let weak = format!("{}?/{feature}", of.name());
                        values.is_some_and(|v| v.contains(&named) || v.contains(&weak))
                    })
            })
            .collect()
    }
}

/// Resolves features by sweeping over all that is known until nothing changes.
struct Resolver {
    all: BTreeMap<PackageId, Package>,
    links: BTreeMap<PackageId, Vec<PackageId>>,
    found: BTreeMap<PackageId, Node>,
}

impl Resolver {
    fn start(&mut self, root: &PackageId, wanted: &Wanted) -> anyhow::Result<()> {
        let package = self.all.get(root).context("the metadata lack the package itself")?;
        let mut features: BTreeSet<String> = wanted.features.iter().cloned().collect();
        for feature in &features {
            if !package.features.contains_key(feature) && !feature.contains('/') {
                return Err(Unnamed::NoFeature(feature.clone()).into());
            }
        }
        if wanted.all {
            features.extend(package.features.keys().cloned());
        }
        if !wanted.no_default && package.features.contains_key("default") {
            features.insert("default".into());
        }
        let node =
            Node { package: package.clone(), features, links: Vec::new(), active: BTreeSet::new() };
        self.found.insert(root.clone(), node);
        Ok(())
    }

    /// Applies every rule once; tells whether anything was new.
    fn sweep(&mut self) -> bool {
        let mut changed = false;
        let ids: Vec<PackageId> = self.found.keys().cloned().collect();
        for id in ids {
            let Some(node) = self.found.get_mut(&id) else { continue };
            let links = self.links.get(&id).into_iter().flatten();
            let linked: BTreeSet<&str> =
                links.filter_map(|id| Some(self.all.get(id)?.name.as_str())).collect();
            let asked = expand(node, &linked, &mut changed);
            // A procedural macro runs in the compiler: what it links to is not in the binary.
            let is_macro = |t: &cargo_metadata::Target| t.kind.contains(&TargetKind::ProcMacro);
            if node.package.targets.iter().any(is_macro) {
                continue;
            }
            let active: Vec<Dependency> = node
                .package
                .dependencies
                .iter()
                .filter(|d| d.kind == DependencyKind::Normal)
                .filter(|d| !d.optional || node.active.contains(toml_name(d)))
                .cloned()
                .collect();
            for dependency in active {
                let more = asked.get(toml_name(&dependency));
                changed |= self.link(&id, &dependency, more);
            }
        }
        changed
    }

    /// Follows one dependency of one package, for each platform's package that it resolves to.
    fn link(
        &mut self,
        from: &PackageId,
        dependency: &Dependency,
        more: Option<&BTreeSet<String>>,
    ) -> bool {
        let mut changed = false;
        let to: Vec<PackageId> = self.links.get(from).into_iter().flatten().cloned().collect();
        for id in to {
            let Some(package) = self.all.get(&id) else { continue };
            // A path or git dependency without a version asks for `*`, which no pre-release meets.
            let fits = dependency.req.matches(&package.version)
                || dependency.req == cargo_metadata::semver::VersionReq::STAR;
            if package.name.as_str() != dependency.name || !fits {
                continue;
            }
            let entry = self.found.entry(id.clone()).or_insert_with(|| {
                changed = true;
                Node {
                    package: package.clone(),
                    features: BTreeSet::new(),
                    links: Vec::new(),
                    active: BTreeSet::new(),
                }
            });
            let default =
                dependency.uses_default_features && entry.package.features.contains_key("default");
            let wanted = dependency.features.iter().chain(more.into_iter().flatten()).cloned();
            for feature in wanted.chain(default.then(|| "default".to_owned())) {
                changed |= entry.features.insert(feature);
            }
            if let Some(parent) = self.found.get_mut(from)
                && !parent.links.contains(&id)
            {
                parent.links.push(id);
                changed = true;
            }
        }
        changed
    }
}

/// Expands the features that are on: to other features, to optional dependencies, and to features
/// of dependencies, which are returned by the dependency's name in the manifest.
///
/// `linked` are the packages it can link to on this platform.
fn expand(
    node: &mut Node,
    linked: &BTreeSet<&str>,
    changed: &mut bool,
) -> BTreeMap<String, BTreeSet<String>> {
    let mut asked: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut queue: Vec<String> = node.features.iter().cloned().collect();
    while let Some(feature) = queue.pop() {
        let direct = feature.contains('/').then(|| vec![feature.clone()]);
        let values = direct.or_else(|| node.package.features.get(&feature).cloned());
        for value in values.unwrap_or_default() {
            if let Some(name) = value.strip_prefix("dep:") {
                *changed |= node.active.insert(name.to_owned());
            } else if let Some((name, of)) = value.split_once('/') {
                // `name?/feature` waits until something else turns `name` on.
                let strong = name.strip_suffix('?').is_none();
                let name = name.trim_end_matches('?');
                if strong {
                    *changed |= node.active.insert(name.to_owned());
                    // `name/feature` turns on the feature `name` too, where there is one, unless the
                    // dependency is for other platforms.
                    let here = |d: &&Dependency| toml_name(d) == name && linked.contains(&*d.name);
                    if node.package.dependencies.iter().any(|d| here(&d))
                        && node.package.features.contains_key(name)
                        && node.features.insert(name.to_owned())
                    {
                        *changed = true;
                        queue.push(name.to_owned());
                    }
                }
                asked.entry(name.to_owned()).or_default().insert(of.to_owned());
            } else if node.features.insert(value.clone()) {
                *changed = true;
                queue.push(value);
            }
        }
    }
    asked
}

/// Names a dependency as its own manifest does.
fn toml_name(dependency: &Dependency) -> &str {
    dependency.rename.as_deref().unwrap_or(&dependency.name)
}

#[cfg(test)]
mod tests;
