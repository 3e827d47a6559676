use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    process::Command,
};

use cargo_metadata::MetadataCommand;
use serde_json::{Value, json};

use super::{Graph, Wanted};

fn package(name: &str, features: &Value, dependencies: &[Value]) -> Value {
    json!({
        "name": name, "version": "1.0.0", "id": name, "features": features,
        "manifest_path": "/w/Cargo.toml", "dependencies": dependencies,
        "targets": [{"name": name, "kind": ["lib"], "crate_types": [], "src_path": "/w/lib.rs"}],
    })
}

fn dependency(name: &str, optional: bool, default: bool, features: &[&str]) -> Value {
    json!({
        "name": name, "req": "^1", "kind": null, "optional": optional,
        "uses_default_features": default, "features": features,
    })
}

fn graph(packages: &[Value], features: &[&str], no_default: bool) -> Graph {
    let nodes: Vec<Value> = packages
        .iter()
        .map(|package| {
            let names = package["dependencies"].as_array().expect("a list").iter();
            let deps: Vec<Value> = names
                .map(
                    |d| json!({"name": d["name"], "pkg": d["name"], "dep_kinds": [{"kind": null}]}),
                )
                .collect();
            json!({"id": package["name"], "dependencies": [], "deps": deps})
        })
        .collect();
    let metadata = json!({
        "packages": packages, "workspace_members": ["root"],
        "resolve": {"root": "root", "nodes": nodes},
        "workspace_root": "/w", "target_directory": "/w/target", "version": 1,
    });
    let metadata = serde_json::from_value(metadata).expect("metadata");
    let features = features.iter().map(|f| (*f).to_owned()).collect();
    Graph::new(metadata, None, &Wanted { features, all: false, no_default }).expect("a graph")
}

/// Lists packages with their features: `a[x,y] b[]`.
fn shown(graph: &Graph) -> String {
    let text: Vec<String> = graph
        .nodes()
        .filter(|node| node.name() != "root")
        .map(|node| {
            let features: Vec<&str> = node.features.iter().map(String::as_str).collect();
            format!("{}[{}]", node.name(), features.join(","))
        })
        .collect();
    text.join(" ")
}

#[test]
fn features_are_resolved_as_cargo_does() {
    let root = package(
        "root",
        &json!({
            "default": ["fast"], "fast": ["a/fast"], "b": ["dep:b"], "weak": ["b?/extra"],
            "strong": ["b/extra"],
        }),
        &[dependency("a", false, false, &["plain"]), dependency("b", true, true, &[])],
    );
    let a = package("a", &json!({"default": ["std"], "std": [], "fast": [], "plain": []}), &[]);
    let b = package(
        "b",
        &json!({"default": ["std"], "std": ["c/std"], "extra": []}),
        &[dependency("c", false, false, &[])],
    );
    let c = package("c", &json!({"std": []}), &[]);
    let all = [root, a, b, c];
    for (features, no_default, expected) in [
        (vec![], false, "a[fast,plain]"),
        (vec![], true, "a[plain]"),
        (vec!["weak"], true, "a[plain]"),
        (vec!["b"], true, "a[plain] b[default,std] c[std]"),
        (vec!["weak", "b"], true, "a[plain] b[default,extra,std] c[std]"),
        (vec!["strong"], true, "a[plain] b[default,extra,std] c[std]"),
    ] {
        assert_eq!(shown(&graph(&all, &features, no_default)), expected, "{features:?}");
    }
}

#[test]
fn dependencies_of_tests_and_of_macros_are_not_in_the_binary() {
    let mut for_tests = dependency("a", false, true, &[]);
    for_tests["kind"] = json!("dev");
    let mut macros = package("m", &json!({}), &[dependency("b", false, true, &[])]);
    macros["targets"][0]["kind"] = json!(["proc-macro"]);
    let all = [
        package("root", &json!({}), &[for_tests, dependency("m", false, true, &[])]),
        package("a", &json!({}), &[]),
        package("b", &json!({}), &[]),
        macros,
    ];
    assert_eq!(shown(&graph(&all, &[], false)), "m[]");
}

#[test]
fn circles_end() {
    let all = [
        package("root", &json!({}), &[dependency("a", false, true, &[])]),
        package(
            "a",
            &json!({"x": ["y"], "y": ["x", "b/x"]}),
            &[dependency("b", false, true, &["x"])],
        ),
        package("b", &json!({"x": ["a/x"]}), &[dependency("a", false, true, &[])]),
    ];
    let graph = graph(&all, &[], false);
    assert_eq!(shown(&graph), "a[x,y] b[x]");
    let b = graph.named("b").next().expect("found");
    assert_eq!(graph.path_text(b), "root -> a 1.0.0 -> b 1.0.0");
    let a = graph.named("a").next().expect("found");
    assert_eq!(graph.path_text(a), "root -> a 1.0.0");
    assert!(graph.reaches(b, a) && !graph.reaches(a, graph.root()));
}

/// Compares with what Cargo itself would build of this workspace's packages one by one.
#[test]
fn the_graph_is_cargos_own() {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.toml");
    let cargo = || {
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
        command.args(["tree", "--offline", "--manifest-path"]).arg(&manifest);
        command
    };
    let host = super::super::gather::host().expect("rustc");
    for name in ["shop", "relay", "meshwise-trace"] {
        let output = cargo()
            .args(["-p", name, "-e", "normal,no-proc-macro", "--prefix", "none", "-f", "{p}|{f}"])
            .output()
            .expect("cargo");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).expect("text");
        let mut theirs: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for line in text.lines() {
            let (package, features) = line.split_once('|').expect("as asked");
            let mut words = package.split(' ');
            let (name, version) = (words.next().expect("a name"), words.next().expect("a version"));
            let features = features.trim_end_matches(" (*)");
            let features = features.split(',').filter(|f| !f.is_empty()).map(str::to_owned);
            let key = format!("{name} {}", version.trim_start_matches('v'));
            theirs.entry(key).or_default().extend(features);
        }

        let metadata = MetadataCommand::new()
            .manifest_path(&manifest)
            .other_options(["--offline".into(), "--filter-platform".into(), host.clone()])
            .exec()
            .expect("metadata");
        let graph = Graph::new(metadata, Some(name), &Wanted::default()).expect("a graph");
        let is_macro = |node: &&super::Node| {
            let macros = cargo_metadata::TargetKind::ProcMacro;
            !node.package.targets.iter().any(|t| t.kind.contains(&macros))
        };
        let ours: BTreeMap<String, BTreeSet<String>> = graph
            .nodes()
            .filter(is_macro)
            .map(|node| (format!("{} {}", node.name(), node.version()), node.features.clone()))
            .collect();
        assert!(ours.len() > 20);
        for (package, features) in &theirs {
            assert_eq!(ours.get(package), Some(features), "{name}: {package}");
        }
        assert!(ours.keys().eq(theirs.keys()), "{name}");
    }
}
