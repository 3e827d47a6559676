//! Another judge of changes to descriptions: `buf`, on each of our vectors of proto.

mod differences;

use super::{kits, process::target};
use anyhow::{Context as _, bail, ensure};
use differences::{DIFFERENCES, Stricter};
use meshwise_api::contract::{Description, Severity};
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

const PACKAGE: &str = "@bufbuild/buf@1.75.0";
const VECTORS: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/meshwise-api/vectors/proto.yaml");
/// The line that the guide draws for proto.
const CONFIG: &str = "version: v2\nbreaking:\n  use: [WIRE_JSON]\n";
/// What the vectors import: `buf` compiles what it judges, our comparison reads one file alone.
const IMPORTED: [(&str, &str); 3] = [
    ("x.proto", "syntax = \"proto3\";\n"),
    (
        "c.proto",
        "syntax = \"proto3\"; package shop.common; message Money { int64 units = 1; } message Cash { int64 coins = 1; }\n",
    ),
    (
        "google/api/annotations.proto",
        "syntax = \"proto3\"; package google.api; import \"google/protobuf/descriptor.proto\"; \
         message HttpRule { string selector = 1; string get = 2; string put = 3; string post = 4; \
         string delete = 5; string patch = 6; string body = 7; string response_body = 12; \
         repeated HttpRule additional_bindings = 11; } \
         extend google.protobuf.MethodOptions { HttpRule http = 72295728; \
         repeated string method_signature = 1051; }\n",
    ),
];

#[derive(Debug, Deserialize)]
struct Vectors {
    vectors: Vec<Vector>,
}

#[derive(Debug, Deserialize)]
struct Vector {
    name: String,
    #[serde(default)]
    old: String,
    #[serde(default)]
    new: String,
}

/// Has `buf` judge all vectors of proto, and holds the list of those that it judges otherwise.
pub(crate) fn run() -> anyhow::Result<()> {
    let buf = install()?;
    let folder = tempfile::tempdir()?;
    let mut differing = BTreeMap::new();
    let vectors = vectors()?;
    ensure!(vectors.len() >= 80, "there are {} vectors", vectors.len());
    for vector in &vectors {
        let (old, new) = (whole(&vector.old), whole(&vector.new));
        let read = |text: &str| Description::read("api.proto", text);
        let comparison = read(&old)?.compare(&read(&new)?, None)?;
        let ours = comparison.changes().iter().any(|it| it.severity() == Severity::Breaking);
        let (theirs, said) = judged(&buf, folder.path(), &old, &new)
            .with_context(|| format!("the vector {:?}", vector.name))?;
        if ours != theirs {
            let stricter = if ours { Stricter::Ours } else { Stricter::Theirs };
            differing.insert(vector.name.as_str(), (stricter, said));
        }
    }
    let listed: BTreeMap<_, _> =
        DIFFERENCES.iter().map(|it| (it.vector, (it.stricter, it.reason))).collect();
    ensure!(listed.len() == DIFFERENCES.len(), "a vector is listed twice");
    let mut wrong = Vec::new();
    for (name, (stricter, said)) in &differing {
        if listed.get(name).map(|(listed, _)| listed) != Some(stricter) {
            wrong.push(format!("{name}: not listed, {stricter:?} is stricter; buf says {said:?}"));
        }
    }
    let gone = listed.keys().filter(|name| !differing.contains_key(*name));
    wrong.extend(gone.map(|name| format!("{name}: listed, and both judge alike, or it is gone")));
    ensure!(
        wrong.is_empty(),
        "buf and ours, as contract/differences.rs has it:\n{}",
        wrong.join("\n")
    );
    println!(
        "contract: {} vectors of proto judged by buf: {} alike, {} otherwise, each for a reason",
        vectors.len(),
        vectors.len() - differing.len(),
        differing.len()
    );
    Ok(())
}

/// Reads the vectors as the crate's own test does: the added key tells what kind of file it is.
fn vectors() -> anyhow::Result<Vec<Vector>> {
    let text = fs::read_to_string(VECTORS)?;
    let read = Description::read("vectors.yaml", &format!("{text}\n$schema: vectors\n"))?;
    let value = read.json().context("the vectors are no YAML")?;
    Ok(Vectors::deserialize(value)?.vectors)
}

fn whole(text: &str) -> String {
    let is_whole = ["syntax", "edition"].iter().any(|word| text.starts_with(word));
    if is_whole { text.to_owned() } else { format!("syntax = \"proto3\"; package shop.v1; {text}") }
}

/// Asks `buf` whether a change breaks callers; returns what it said, too.
fn judged(buf: &Path, folder: &Path, old: &str, new: &str) -> anyhow::Result<(bool, String)> {
    for (side, text) in [("old", old), ("new", new)] {
        let module = folder.join(side);
        write(&module.join("buf.yaml"), CONFIG)?;
        write(&module.join("api.proto"), text)?;
        for (name, text) in IMPORTED {
            write(&module.join(name), text)?;
        }
    }
    let output = Command::new(buf)
        .args(["breaking", "new", "--against", "old", "--error-format", "json"])
        .current_dir(folder)
        .output()
        .context("buf cannot be run")?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaints = String::from_utf8_lossy(&output.stderr);
    match output.status.code() {
        Some(0) => Ok((false, said)),
        // A file that does not compile is no judgement.
        Some(100) if !said.contains("\"COMPILE\"") => Ok((true, said)),
        _ => bail!("buf gives no judgement: {said}{complaints}"),
    }
}

fn write(file: &Path, text: &str) -> anyhow::Result<()> {
    fs::create_dir_all(file.parent().context("a file lies in a folder")?)?;
    fs::write(file, text).with_context(|| file.display().to_string())
}

fn install() -> anyhow::Result<PathBuf> {
    kits::debian("node", "nodejs")?;
    kits::debian("npm", "npm")?;
    let folder = target().join("interop/contract");
    fs::create_dir_all(&folder)?;
    let folder = folder.canonicalize()?;
    let buf = folder.join("node_modules/.bin/buf");
    if !buf.exists() {
        println!("installing from npm: {PACKAGE}");
        let npm =
            ["install", "--no-save", "--no-audit", "--no-fund", "--ignore-scripts", "--silent"];
        kits::run(Command::new("npm").args(npm).arg("--prefix").arg(&folder).arg(PACKAGE))?;
    }
    Ok(buf)
}
