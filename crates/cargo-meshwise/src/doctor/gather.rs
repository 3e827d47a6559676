//! Gathering the facts: Cargo's metadata, manifests, sources and variables.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, bail};
use cargo_metadata::{Metadata, MetadataCommand, TargetKind};

use super::{
    DoctorOptions,
    facts::Facts,
    graph::{Graph, Wanted},
    manifest::Manifest,
    source::Source,
};

/// Reads no more files than this; a service has some hundreds.
const MAX_FILES: usize = 10_000;
/// Skips larger files: they are generated.
const MAX_FILE_BYTES: u64 = 2 << 20;

/// Gathers all that the rules look at.
///
/// # Errors
/// When Cargo cannot say what the package is made of, or a file named on the command line cannot be
/// read.
pub(super) fn facts(options: &DoctorOptions) -> anyhow::Result<Facts> {
    let metadata = metadata(options)?;
    let wanted = Wanted {
        features: options.features.clone(),
        all: options.all_features,
        no_default: options.no_default_features,
    };
    let workspace_root = metadata.workspace_root.clone().into_std_path_buf();
    let graph = Graph::new(metadata, options.package.as_deref(), &wanted)?;

    let own = graph.root().package.manifest_path.clone().into_std_path_buf();
    let folder = own.parent().map(Path::to_path_buf).unwrap_or_default();
    let workspace = workspace_root.join("Cargo.toml");
    let shown = relative(&folder, &workspace_root);
    let read = |path: &Path| {
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
    };
    Ok(Facts {
        manifest: Manifest::new("Cargo.toml", read(&own)?),
        workspace: match workspace == own {
            true => None,
            false => Some(Manifest::new(format!("{shown}Cargo.toml"), read(&workspace)?)),
        },
        sources: sources(&graph, &folder),
        env: variables(options)?,
        graph,
    })
}

/// Writes the way up from the package to the workspace: `../../`.
fn relative(folder: &Path, root: &Path) -> String {
    match folder.strip_prefix(root) {
        Ok(below) => "../".repeat(below.components().count()),
        Err(_) => format!("{}/", root.display()),
    }
}

fn metadata(options: &DoctorOptions) -> anyhow::Result<Metadata> {
    let mut command = MetadataCommand::new();
    if let Some(path) = &options.manifest_path {
        command.manifest_path(path);
    }
    let mut more: Vec<String> = Vec::new();
    for (on, flag) in
        [(options.offline, "--offline"), (options.locked, "--locked"), (options.frozen, "--frozen")]
    {
        more.extend(on.then(|| flag.to_owned()));
    }
    // Without a platform Cargo lists those of all platforms.
    if let Some(target) = options.target.clone().or_else(host) {
        more.extend(["--filter-platform".to_owned(), target]);
    }
    // Features are resolved later on, for this package alone. Here they only have to be on, so that
    // their dependencies are listed; all of them would fetch what is never built.
    if options.all_features {
        more.push("--all-features".to_owned());
    }
    for feature in &options.features {
        let package = options.package.as_deref();
        more.push(format!(
            "--features={}",
            match package {
                Some(package) if !feature.contains('/') => format!("{package}/{feature}"),
                _ => feature.clone(),
            }
        ));
    }
    command.other_options(more);
    command.exec().context("cargo metadata failed, so there is nothing to examine")
}

/// Asks the compiler for this machine's platform.
pub(super) fn host() -> Option<String> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("-vV").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.lines().find_map(|line| line.strip_prefix("host: ")).map(|host| host.trim().to_owned())
}

/// Reads the sources of the package's library and binaries.
fn sources(graph: &Graph, folder: &Path) -> Vec<Source> {
    let built = |kind: &TargetKind| {
        matches!(kind, TargetKind::Bin | TargetKind::Lib | TargetKind::RLib | TargetKind::CDyLib)
    };
    let mut folders: Vec<PathBuf> = graph
        .root()
        .package
        .targets
        .iter()
        .filter(|target| target.kind.iter().any(built))
        .filter_map(|target| Some(target.src_path.parent()?.to_path_buf().into_std_path_buf()))
        .collect();
    folders.sort();
    folders.dedup();
    // A binary in src/bin lies below the library in src already.
    let all = folders.clone();
    folders.retain(|path| !all.iter().any(|other| path != other && path.starts_with(other)));
    let mut files = Vec::new();
    for folder in folders {
        walk(&folder, &mut files);
    }
    files.sort();
    files
        .into_iter()
        .filter_map(|path| {
            let text = std::fs::read_to_string(&path).ok()?;
            let shown = path.strip_prefix(folder).unwrap_or(&path);
            let shown: Vec<_> =
                shown.components().map(|c| c.as_os_str().to_string_lossy()).collect();
            Some(Source::new(shown.join("/"), text))
        })
        .collect()
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        if files.len() >= MAX_FILES {
            return;
        }
        // Does not follow links, so there are no circles.
        let Ok(kind) = entry.file_type() else { continue };
        let path = entry.path();
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if kind.is_dir() {
            if !matches!(name.as_ref(), "tests" | "target") && !name.starts_with('.') {
                walk(&path, files);
            }
        } else if kind.is_file()
            && name.ends_with(".rs")
            && !matches!(name.as_ref(), "tests.rs" | "build.rs")
            && entry.metadata().is_ok_and(|m| m.len() <= MAX_FILE_BYTES)
        {
            files.push(path);
        }
    }
}

/// Reads the variables that telemetry reads, from the process or the file given.
fn variables(options: &DoctorOptions) -> anyhow::Result<BTreeMap<String, String>> {
    let mut all = match &options.env_file {
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            env_file(&text).with_context(|| format!("cannot read {}", path.display()))?
        }
        None => std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect(),
    };
    let known = |name: &String| {
        name == "RUST_LOG" || name.starts_with("OTEL_") || name.starts_with("MESHWISE_")
    };
    all.retain(|name, _| known(name));
    Ok(all)
}

/// Reads lines of `NAME=value`, as docker and systemd take them.
fn env_file(text: &str) -> anyhow::Result<BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        let line = line.strip_prefix("export ").unwrap_or(line);
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let Some((name, value)) = line.split_once('=') else {
            bail!("line {}: write NAME=value", index + 1);
        };
        let value = value.trim();
        let quoted = ['"', '\''].iter().find_map(|quote| {
            value.strip_prefix(*quote).and_then(|rest| rest.strip_suffix(*quote))
        });
        found.insert(name.trim().to_owned(), quoted.unwrap_or(value).to_owned());
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_env_file_is_read_as_docker_and_systemd_do() {
        let text = "# comment\n\nRUST_LOG=info,a=debug\nexport OTEL_X=\"a b\"\nY='z'\nEMPTY=\n";
        let found = env_file(text).expect("valid");
        let expected = [("EMPTY", ""), ("OTEL_X", "a b"), ("RUST_LOG", "info,a=debug"), ("Y", "z")];
        assert!(found.iter().map(|(k, v)| (k.as_str(), v.as_str())).eq(expected));
        assert!(env_file("RUST_LOG").expect_err("no value").to_string().contains("line 1"));
    }

    #[test]
    fn the_way_up_to_the_workspace_is_shown() {
        assert_eq!(relative(Path::new("/w/examples/shop"), Path::new("/w")), "../../");
        assert_eq!(relative(Path::new("/w"), Path::new("/w")), "");
    }
}
