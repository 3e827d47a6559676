//! The invariants of `docs/architecture.md`, read from `cargo metadata`.

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package, PackageId};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::LazyLock,
};

/// The family, from the bottom up; crates on one line do not know each other.
const LEVELS: [&[&str]; 7] = [
    &["meshwise-core"],
    &["meshwise-otlp"],
    &[
        "meshwise-log",
        "meshwise-metrics",
        "meshwise-trace",
        "meshwise-resilience",
        "meshwise-api",
        "meshwise-console",
    ],
    &[
        "meshwise-http",
        "meshwise-api-http",
        "meshwise-messaging",
        "meshwise-build",
        "cargo-meshwise",
    ],
    &["meshwise-axum", "meshwise-reqwest", "meshwise-tonic"],
    &["meshwise"],
    &["meshwise-testing"],
];

fn metadata() -> Metadata {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml");
    MetadataCommand::new().manifest_path(manifest).exec().expect("cargo metadata runs")
}

fn family(metadata: &Metadata) -> Vec<&Package> {
    metadata.workspace_packages().into_iter().filter(|p| p.name.starts_with("meshwise")).collect()
}

fn level(name: &str) -> Option<usize> {
    LEVELS.iter().position(|level| level.contains(&name))
}

/// Names all packages that a package pulls in with its default features, itself left out.
fn closure(metadata: &Metadata, root: &PackageId) -> BTreeSet<String> {
    let resolve = metadata.resolve.as_ref().expect("a resolved graph");
    let nodes: HashMap<_, _> = resolve.nodes.iter().map(|node| (&node.id, node)).collect();
    let mut found = BTreeSet::new();
    let mut open = vec![root];
    while let Some(id) = open.pop() {
        for dep in &nodes[id].deps {
            let normal = dep.dep_kinds.iter().any(|kind| kind.kind == DependencyKind::Normal);
            if normal && found.insert(metadata[&dep.pkg].name.to_string()) {
                open.push(&dep.pkg);
            }
        }
    }
    found
}

#[test]
fn arrows_point_one_way() {
    let metadata = metadata();
    for package in family(&metadata) {
        let Some(own) = level(&package.name) else { continue };
        for dep in package.dependencies.iter().filter(|dep| dep.kind == DependencyKind::Normal) {
            if let Some(theirs) = level(&dep.name) {
                assert!(theirs < own, "{} must not depend on {}", package.name, dep.name);
            }
        }
    }
}

#[test]
fn every_crate_has_its_place_in_the_picture() {
    let metadata = metadata();
    let picture =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/architecture.md"))
            .expect("the picture is there");
    for package in family(&metadata) {
        if package.publish.as_ref().is_none_or(|registries| !registries.is_empty()) {
            assert!(level(&package.name).is_some(), "{} has no level", package.name);
            assert!(picture.contains(package.name.as_str()), "{} is not drawn", package.name);
        }
    }
}

#[test]
fn only_adapters_and_above_name_frameworks() {
    let metadata = metadata();
    let adapters = level("meshwise-axum").expect("a level");
    for package in family(&metadata) {
        if level(&package.name).is_none_or(|level| level >= adapters) {
            continue;
        }
        for dep in package.dependencies.iter().filter(|dep| dep.kind == DependencyKind::Normal) {
            // An exporter may bring its own transport; it names none of its types in its API.
            let exporter = package.name == "meshwise-otlp" && dep.optional;
            assert!(
                exporter || !["axum", "tonic", "reqwest"].contains(&dep.name.as_str()),
                "{} must not depend on {}",
                package.name,
                dep.name
            );
        }
    }
}

#[test]
fn core_is_pure() {
    let metadata = metadata();
    for package in family(&metadata) {
        let forbidden: &[&str] = match package.name.as_str() {
            "meshwise-core" | "meshwise-api" | "meshwise-build" => {
                &["tokio", "hyper", "opentelemetry"]
            }
            "meshwise-resilience" => &["opentelemetry"],
            _ => continue,
        };
        let pulled = closure(&metadata, &package.id);
        for name in forbidden {
            assert!(!pulled.contains(*name), "{} pulls in {name}", package.name);
        }
    }
}

#[test]
fn testing_is_only_a_dev_dependency() {
    let metadata = metadata();
    for package in metadata.workspace_packages() {
        for dep in package.dependencies.iter().filter(|dep| dep.name == "meshwise-testing") {
            assert_eq!(dep.kind, DependencyKind::Development, "in {}", package.name);
        }
    }
}

#[test]
fn there_is_one_line_of_what_must_not_be_mixed() {
    let metadata = metadata();
    for name in ["opentelemetry", "opentelemetry_sdk", "metrics", "tracing-core", "http"] {
        let versions: BTreeSet<String> = metadata
            .packages
            .iter()
            .filter(|package| package.name == name)
            .map(|package| package.version.to_string())
            .collect();
        assert_eq!(versions.len(), 1, "{name}: {versions:?}");
    }
}

#[test]
fn every_crate_inherits_the_workspace_lints() {
    let metadata = metadata();
    for package in metadata.workspace_packages() {
        let manifest = std::fs::read_to_string(&package.manifest_path).expect("a manifest");
        assert!(manifest.contains("[lints]\nworkspace = true"), "{}", package.name);
    }
}

/// Lists the Rust files below a folder.
fn sources(folder: &std::path::Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Finds the lines of the crates' sources that hold one of these.
fn lines_with(hold: impl Fn(&str) -> bool, except: &[&str]) -> Vec<String> {
    let crates = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates");
    let mut files = Vec::new();
    for package in std::fs::read_dir(crates).expect("the crates") {
        sources(&package.expect("a crate").path().join("src"), &mut files);
    }
    assert!(files.len() > 200, "these are not all");
    files.retain(|file| !except.iter().any(|except| file.ends_with(except)));
    let mut found = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).expect("a source");
        let lines = text.lines().filter(|line| !line.trim_start().starts_with("//") && hold(line));
        found.extend(lines.map(|line| format!("{}: {}", file.display(), line.trim())));
    }
    found
}

/// fastrand's own generators are seeded by clock and thread number, which are the same on machines
/// that start alike: only generators with a seed are taken from there, and seeds from
/// `meshwise_core::internal::random`.
#[test]
fn random_numbers_come_from_one_place() {
    let foreign = lines_with(
        |line| {
            let global = line.split("fastrand::").skip(1).any(|rest| !rest.starts_with("Rng"));
            let unseeded =
                ["Rng::new(", "Rng::default(", "rand::random", "rand::rng(", "thread_rng("];
            global
                || unseeded.iter().any(|call| line.contains(call))
                || (line.contains("getrandom") && !line.contains("//"))
        },
        &["meshwise-core/src/random.rs"],
    );
    assert!(foreign.is_empty(), "{foreign:#?}");
}

/// Each variable is read by one reader with one rule; tools that are processes of their own, and
/// build scripts, are no part of a service.
#[test]
fn the_environment_is_read_in_one_place() {
    let mut foreign = lines_with(
        |line| ["env::var(", "env::var_os(", "env::vars"].iter().any(|call| line.contains(call)),
        &["meshwise-core/src/env.rs"],
    );
    foreign.retain(|line| !line.contains("/cargo-meshwise/") && !line.contains("/meshwise-build/"));
    assert!(foreign.is_empty(), "{foreign:#?}");
}

/// What the sources of each crate say; to parse them all takes the longest of these tests.
static CRATES: LazyLock<BTreeMap<String, (house::Circles, house::Figures)>> = LazyLock::new(|| {
    let sources = house::sources(&house::root()).expect("the sources");
    let names: BTreeSet<&str> = sources.iter().map(|source| &*source.package).collect();
    let read = |name| (house::Circles::of(name, &sources), house::Figures::of(name, &sources));
    names.into_iter().map(|name| (name.to_owned(), read(name))).collect()
});

/// Modules need each other in pairs at most, and take what they need from the module that has it.
#[test]
fn circles_of_modules_only_get_fewer() {
    let ceilings = house::Ceilings::read(&house::root()).expect("ceilings");
    let (mut files, mut through_lib) = (BTreeMap::new(), BTreeMap::new());
    let mut lists = Vec::new();
    for (name, (circles, _)) in &*CRATES {
        files.insert(name.clone(), circles.files.len());
        through_lib.insert(name.clone(), circles.through_lib);
        lists.push((name, &circles.files));
    }
    let mut above = house::Ceilings::above("files in circles", &files, &ceilings.circles);
    above.extend(house::Ceilings::above("through lib.rs", &through_lib, &ceilings.through_lib));
    lists.retain(|(name, _)| above.iter().any(|line| line.contains(&format!(": {name} "))));
    assert!(above.is_empty(), "{above:#?}\n{lists:#?}\n`cargo xtask figures` says what makes them");
}

/// Names of types are unique in a crate, so that grep finds them; files have room for one thing; tests do
/// not wait for real time; what is done for nanoseconds is no habit.
#[test]
fn doubles_long_files_sleeps_and_tricks_only_get_fewer() {
    let ceilings = house::Ceilings::read(&house::root()).expect("ceilings");
    let (mut doubles, mut long) = (BTreeMap::new(), BTreeMap::new());
    let (mut sleeps, mut tricks) = (BTreeMap::new(), BTreeMap::new());
    let mut names = Vec::new();
    for (name, (_, figures)) in &*CRATES {
        doubles.insert(name.clone(), figures.twice.len());
        long.insert(name.clone(), figures.long_files);
        sleeps.insert(name.clone(), figures.sleeps);
        tricks.insert(name.clone(), figures.tricks());
        names.push((name, &figures.twice));
    }
    let mut above = house::Ceilings::above("names twice", &doubles, &ceilings.doubles);
    above.extend(house::Ceilings::above("files over 500 lines", &long, &ceilings.long_files));
    above.extend(house::Ceilings::above("sleeps of tests", &sleeps, &ceilings.sleeps));
    above.extend(house::Ceilings::above("tricks", &tricks, &ceilings.tricks));
    names.retain(|(name, _)| above.iter().any(|line| line.contains(&format!(": {name} "))));
    assert!(above.is_empty(), "{above:#?}\n{names:#?}");
}

/// Each trick has a row that says what it wins, and each row a trick.
#[test]
fn each_trick_says_what_it_wins() {
    let root = house::root();
    let page = std::fs::read_to_string(root.join("benches/README.md")).expect("the page");
    let (_, table) = page.split_once("\n## Tricks\n").expect("the section");
    let rows = table.split("\n## ").next().unwrap_or_default().lines();
    let rows: Vec<[&str; 3]> = rows
        .filter_map(|row| row.strip_prefix("| `"))
        .map(|row| {
            let cells: Vec<&str> = row.trim_end_matches(" |").split(" | ").collect();
            cells.try_into().unwrap_or_else(|_| panic!("three cells: {row}"))
        })
        .collect();
    let mut used: BTreeSet<&str> = BTreeSet::new();
    let mut without = Vec::new();
    for source in house::sources(&root).expect("the sources") {
        if house::Figures::tricks_of(&source) == 0 {
            continue;
        }
        let path = source.path.display().to_string();
        let of = |row: &&[&str; 3]| path.starts_with(row[0].trim_end_matches('`'));
        match rows.iter().find(of) {
            Some(row) => _ = used.insert(row[0]),
            None => without.push(path),
        }
    }
    assert!(without.is_empty(), "say in benches/README.md what these win: {without:#?}");
    for [path, what, wins] in rows {
        assert!(used.contains(path), "{path} has no trick any more");
        assert!(what.len() > 10 && wins.len() > 20, "{path}: say what it is and what it wins");
    }
}

/// A stranger follows a trace id, an outcome and a label by the page alone: each file that is passed is
/// listed, defines the functions that stand beside it, and leads to the next.
#[test]
fn the_ways_through_the_code_are_as_the_page_has_them() {
    let page =
        std::fs::read_to_string(house::root().join("docs/architecture.md")).expect("the page");
    let (_, ways) = page.split_once("### Three ways to follow").expect("the section");
    let ways = ways.split("\n### ").next().expect("its text");
    for (way, most) in [("A request's trace id", 14), ("An outcome", 6), ("A label", 8)] {
        let (_, text) = ways.split_once(&format!("**{way}")).expect("the way");
        let (head, text) = text.split_once(":**").expect("its steps");
        assert!(head.contains(&format!("at most {most} files")), "{way}: the page says its bound");
        let text = text.split("\n**").next().expect("its text");
        let steps = Step::all(text);
        let files: BTreeSet<&str> = steps.iter().map(|step| &*step.file).collect();
        assert!((4..=most).contains(&files.len()), "{way}: {} files", files.len());
        let told = text.split('`').skip(1).step_by(2).filter(|word| word.ends_with(".rs"));
        let aside: Vec<&str> = told.filter(|word| !files.contains(word)).collect();
        assert!(aside.is_empty(), "{way}: each file that is passed is a step: {aside:?}");
        for Step { file, names, functions, .. } in &steps {
            let not: Vec<_> = names.iter().filter(|name| !functions.defines(name)).collect();
            assert!(not.is_empty(), "{way}: {file} does not define {not:?}");
        }
        for (at, next) in steps.iter().enumerate().skip(1).filter(|(_, next)| !next.turns) {
            let step = &steps[at - 1];
            let from = if step.back { &steps[..at] } else { &steps[at - 1..at] };
            let leads = |step: &Step| step.leads_to(next);
            assert!(from.iter().any(leads), "{way}: {} does not lead to {}", step.file, next.file);
        }
    }
}

/// A file on one of the page's ways.
struct Step {
    file: String,
    /// The functions in parentheses after it.
    names: Vec<String>,
    functions: house::Functions,
    /// From here it goes back to a file before.
    back: bool,
    /// It does not come from the file before, but from what a paragraph of its own says.
    turns: bool,
}

impl Step {
    /// Reads a numbered list; what comes from elsewhere has a paragraph before it, `From here ..`.
    fn all(text: &str) -> Vec<Self> {
        let mut items: Vec<(String, bool)> = Vec::new();
        let mut turns = false;
        for line in text.lines() {
            if line.contains(". `crates/") {
                items.push((line.to_owned(), std::mem::take(&mut turns)));
            } else if line.starts_with("From here ") {
                turns = true;
            } else if let Some((item, _)) = items.last_mut().filter(|_| !turns) {
                item.push(' ');
                item.push_str(line.trim());
            }
        }
        items.iter().map(|(item, turns)| Self::of(item, *turns)).collect()
    }

    /// Tells whether this file names a function of the next; one whose name many have, with its type or module.
    fn leads_to(&self, next: &Self) -> bool {
        const COMMON: [&str; 13] = [
            "add", "begin", "call", "end", "find", "get", "new", "next", "own", "parse", "poll",
            "read", "write",
        ];
        let module = next.file.rsplit('/').next().and_then(|file| file.strip_suffix(".rs"));
        next.names.iter().any(|function| {
            let (owner, name) = function.split_once("::").unzip();
            let (owner, name) = (owner.or(module).unwrap_or_default(), name.unwrap_or(function));
            self.functions.names(name) && (!COMMON.contains(&name) || self.functions.names(owner))
        })
    }

    fn of(item: &str, turns: bool) -> Self {
        let mut parts = item.splitn(3, '`').skip(1);
        let (file, rest) = (parts.next().expect("a file"), parts.next().expect("its functions"));
        let named = rest.strip_prefix(" (").and_then(|rest| rest.split_once(')'));
        let (names, told) = named.unwrap_or_else(|| panic!("{file}: functions in parentheses"));
        let names: Vec<String> = names.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        assert!(!names.is_empty(), "{file} has no functions beside it");
        let text = std::fs::read_to_string(house::root().join(file));
        let text = text.unwrap_or_else(|error| panic!("{file}: {error}"));
        let functions = house::Functions::of(&text).expect("Rust");
        let told = told.to_lowercase();
        let back = told.split(|c: char| !c.is_alphabetic()).any(|word| word == "back");
        Self { file: file.to_owned(), names, functions, back, turns }
    }
}

/// The crates before their 1.0 that a crate of ours may show in its public signatures: those whose business
/// it is. `tower`'s two traits are the vocabulary of all middleware, and `pin-project-lite` writes a bound.
const SHOWN: [(&str, &[&str]); 9] = [
    ("meshwise", &["axum", "reqwest", "tonic", "tower", "tracing-core"]),
    ("meshwise-axum", &["axum", "axum-core"]),
    ("meshwise-log", &["tracing-core", "tracing-subscriber"]),
    ("meshwise-messaging", &["async-nats", "opentelemetry", "rdkafka", "rumqttc"]),
    ("meshwise-metrics", &["metrics"]),
    ("meshwise-reqwest", &["reqwest"]),
    ("meshwise-testing", &["opentelemetry", "opentelemetry_sdk"]),
    ("meshwise-tonic", &["futures-core", "tonic", "tonic-health"]),
    (
        "meshwise-trace",
        &["opentelemetry", "opentelemetry_sdk", "tracing-core", "tracing-subscriber"],
    ),
];

/// A public type that may grow is `#[non_exhaustive]`, and one that is complete by nature says so: clippy
/// holds both, in all crates (they take the workspace's lints).
#[test]
fn public_types_may_grow_or_say_the_reason_they_do_not() {
    let read = |path: &std::path::Path| std::fs::read_to_string(path).expect("a text");
    let workspace = read(&house::root().join("Cargo.toml"));
    for lint in ["exhaustive_enums", "exhaustive_structs"] {
        assert!(workspace.contains(&format!("\n{lint} = \"warn\"")), "{lint}");
    }
    for package in family(&metadata()) {
        let manifest = package.manifest_path.as_std_path();
        let mut files = Vec::new();
        sources(&manifest.with_file_name("src"), &mut files);
        for path in files {
            let text = read(&path);
            let allowed = text.split("allow(").skip(1).filter_map(|rest| rest.split(")]").next());
            for allowed in allowed.filter(|allowed| allowed.contains("clippy::exhaustive_")) {
                assert!(allowed.contains("reason = "), "{}: {allowed}", path.display());
            }
        }
    }
}

/// Names the crates that a text of `docs/api` speaks of.
fn crates_named(text: &str) -> BTreeSet<&str> {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    let ends = text.match_indices("::").filter_map(|(end, _)| {
        let before = &text[..end];
        let start = before.rfind(|c| !is_name(c)).map_or(0, |at| at + 1);
        // A path's first part follows no other.
        let first = !before[..start].ends_with("::") && start < end;
        first.then(|| &text[start..end])
    });
    ends.collect()
}

/// A new minor version of such a crate breaks whoever names its types: only the adapters do. A length in a
/// public type could never change.
#[test]
fn public_signatures_show_no_crate_before_its_1_0_and_no_length() {
    assert_eq!(crates_named("pub fn a::b(c::D<e::F>) -> [g::H]"), ["a", "c", "e", "g"].into());
    let metadata = metadata();
    let early: BTreeMap<String, &str> = metadata
        .packages
        .iter()
        .filter(|package| package.version.major == 0 && !package.name.starts_with("meshwise"))
        .map(|package| (package.name.replace('-', "_"), package.name.as_str()))
        .collect();
    let mut wrong = Vec::new();
    let folder = house::root().join("docs/api");
    for entry in std::fs::read_dir(folder).expect("the texts") {
        let path = entry.expect("a text").path();
        let name = path.file_stem().and_then(|name| name.to_str()).expect("a name").to_owned();
        let text = std::fs::read_to_string(&path).expect("a text");
        let shown = SHOWN.iter().find(|(of, _)| *of == name).map_or(&[][..], |(_, shown)| shown);
        let named = crates_named(&text);
        for early in named.iter().filter_map(|name| early.get(*name)) {
            let common = ["pin-project-lite", "tower-layer", "tower-service"];
            if !shown.contains(early) && !common.contains(early) {
                wrong.push(format!("{name} shows types of {early}"));
            }
        }
        for shown in shown {
            if !named.contains(&*shown.replace('-', "_")) {
                wrong.push(format!("{name} shows no types of {shown} any more"));
            }
        }
        let length = |line: &&str| {
            line.match_indices("; ").any(|(at, _)| {
                let rest = &line[at + 2..];
                rest.find(']').is_some_and(|end| rest[..end].chars().all(char::is_alphanumeric))
            })
        };
        wrong.extend(text.lines().filter(length).map(|line| format!("{name}: {line}")));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
