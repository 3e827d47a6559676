//! Real builds: a package with a build script, for each finding, with and without a network.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use meshwise_api::{Finding, Level};

use crate::service::{TODAY, ids, place};

const BUILD_RS: &str = "fn main() -> Result<(), meshwise_build::Error> {
    meshwise_build::check()?;
    Ok(())
}
";

const MAIN_RS: &str = "const APIS: meshwise_api::Declared = meshwise_api::declared!();

fn main() {
    println!(\"{APIS:#?}\");
}
";

/// A service's package in a folder of its own. All share one target folder, so that the library is
/// compiled once; there they are told apart by their names alone.
struct Package {
    name: &'static str,
    folder: tempfile::TempDir,
}

/// How cargo is called.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Net {
    Offline,
    Online,
    /// In a network namespace with no network, not even a loopback that is up.
    None,
}

struct Outcome {
    success: bool,
    stdout: String,
    stderr: String,
}

impl Package {
    fn new(name: &'static str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("crates").display();
        let manifest = format!(
            "[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[workspace]\n\n\
             [dependencies]\nmeshwise-api = {{ path = '{crates}/meshwise-api' }}\n\n\
             [build-dependencies]\nmeshwise-build = {{ path = '{crates}/meshwise-build' }}\n"
        );
        let package = Self { name, folder };
        package.write("Cargo.toml", &manifest);
        package.write("build.rs", BUILD_RS);
        package.write("src/main.rs", MAIN_RS);
        // The versions of the workspace: nothing is looked up anew, whatever the network is.
        let lock = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.lock");
        fs::copy(lock, package.path().join("Cargo.lock")).expect("copied");
        package
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("created");
        fs::write(path, text).expect("written");
    }

    fn cargo(&self, net: Net, dictionary: Option<&Path>, args: &[&str]) -> Outcome {
        let mut command = match net {
            Net::None => {
                let mut command = Command::new("unshare");
                command.args(["--map-root-user", "--net", env!("CARGO")]);
                command
            }
            Net::Offline | Net::Online => Command::new(env!("CARGO")),
        };
        command.args(args).current_dir(self.path());
        if net != Net::Online {
            command.arg("--offline");
        }
        for name in
            ["CI", "DOCS_RS", "SOURCE_DATE_EPOCH", "RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER"]
        {
            command.env_remove(name);
        }
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("services");
        command.env("CARGO_TARGET_DIR", target).env("CARGO_PROFILE_DEV_DEBUG", "0");
        command.env("CARGO_TERM_COLOR", "never").env("MESHWISE_TODAY", TODAY);
        command.env_remove("MESHWISE_DICTIONARY");
        if let Some(folder) = dictionary {
            command.env("MESHWISE_DICTIONARY", folder);
        }
        let output = command.output().expect("cargo runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(self.name, "orders");
        Outcome {
            success: output.status.success(),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        }
    }
}

impl Outcome {
    /// Keeps what the check said: Cargo's warnings for the package, and the error at the end.
    fn said(&self) -> String {
        let warnings = self.stderr.lines().filter(|line| line.starts_with("warning: orders@"));
        let mut said: String = warnings.map(|line| format!("{line}\n")).collect();
        if let Some((_, error)) = self.stderr.split_once("--- stderr\n") {
            let error: String = error
                .lines()
                .map(|line| format!("{}\n", line.strip_prefix("  ").unwrap_or(line)))
                .collect();
            said.push_str(error.trim_end());
        }
        said
    }
}

/// Tells whether this machine lets a program be without a network.
fn can_unshare() -> bool {
    let tried = Command::new("unshare").args(["--map-root-user", "--net", "true"]).output();
    tried.is_ok_and(|output| output.status.success())
}

/// Lists the ways to build that this machine allows.
fn nets() -> Vec<Net> {
    let mut nets = vec![Net::Offline, Net::Online];
    if can_unshare() {
        nets.push(Net::None);
    } else {
        eprintln!("not tried in a network namespace: this machine does not permit `unshare --net`");
    }
    nets
}

#[test]
fn builds_show_each_finding_alike_with_and_without_a_network() {
    let package = Package::new("orders-found");
    let nets = nets();
    let mut told = String::new();
    for id in ids() {
        let finding = Finding::by_id(&id).expect("a finding");
        for case in ["pass", "fail"] {
            let dictionary = place(&id, case, package.path());
            let outcome = package.cargo(Net::Offline, dictionary.as_deref(), &["build"]);
            let denied = case == "fail" && finding.level() == Level::Deny;
            assert_eq!(outcome.success, !denied, "{id}/{case}: {}", outcome.stderr);
            let said = outcome.said();
            assert_eq!(
                said.contains(&format!("[{id}]")),
                case == "fail",
                "{id}/{case}: {}",
                outcome.stderr
            );
            if case == "pass" {
                continue;
            }
            told.push_str(&format!("# {id}\n{said}\n\n"));
            for net in &nets {
                let other = package.cargo(*net, dictionary.as_deref(), &["build"]);
                assert_eq!(
                    (other.success, other.said()),
                    (outcome.success, said.clone()),
                    "{id} {net:?}"
                );
            }
        }
    }
    insta::assert_snapshot!(told);
}

#[test]
fn a_second_build_checks_nothing_and_a_change_checks_again() {
    let package = Package::new("orders-again");
    place("deprecated-version", "fail", package.path());
    // Why it ran, by Cargo's own words; none if it did not.
    let runs = |dictionary: Option<&Path>| {
        let outcome = package.cargo(Net::Offline, dictionary, &["build", "-v"]);
        assert!(outcome.success, "{}", outcome.stderr);
        let ran = outcome
            .stderr
            .lines()
            .any(|line| line.contains("Running") && line.contains("build-script-build"));
        ran.then_some(outcome.stderr)
    };
    assert!(runs(None).is_some(), "the first build checks");
    assert_eq!(runs(None), None, "nothing changed");
    package.write("src/other.rs", "// no business of the check");
    package.write("README.md", "nor this");
    assert_eq!(runs(None), None, "files of other kinds changed");
    place("deprecated-version", "fail", package.path());
    assert!(runs(None).is_some(), "api.toml was written");
    assert_eq!(runs(None), None, "and checked");
    let lock = fs::read_to_string(package.path().join("api.lock")).expect("api.lock");
    package.write("api.lock", &lock.replace("2027-03-01", "2027-03-02"));
    assert!(runs(None).is_some(), "api.lock was written");
    assert_eq!(runs(None), None, "and checked");
    let empty = package.path().join("dictionary");
    fs::create_dir_all(empty.join("services/nobody")).expect("created");
    // With a dictionary that knows no one the requirement fails, and its folder is watched.
    let outcome = package.cargo(Net::Offline, Some(&empty), &["build"]);
    assert!(!outcome.success && outcome.said().contains("[unknown-api]"), "{}", outcome.stderr);
    assert!(runs(None).is_some(), "the variable changed back");
}

#[test]
fn the_program_holds_what_was_checked() {
    let package = Package::new("orders-run");
    package.write(
        "api.toml",
        r##"
schema = 1
[service]
name = "orders"
owner = "team \"checkout\" \\ {}"
contacts = ["mailto:checkout@example.com"]
[[provides]]
api = "orders"
scheme = "main-date-bugfix"
description = "openapi.json"
[[provides.versions]]
version = "v1_20171001-2"
released = 2017-10-01
deprecated = 2026-09-01
sunset = 2027-03-01
successor = "v2_20260901-1"
migration = "docs/v1-to-v2.md"
notes = "line\nbreak \"# é \u0001"
[[provides.versions]]
version = "v2_20260901-1"
[[requires]]
api = "auth"
version = "1.1"
level = "warn"
"##,
    );
    let lock = crate::service::fixtures().join("deprecated-version/fail/api.lock");
    fs::copy(lock, package.path().join("api.lock")).expect("copied");
    let outcome = package.cargo(Net::Offline, None, &["run"]);
    assert!(outcome.success, "{}", outcome.stderr);
    insta::assert_snapshot!(outcome.stdout);
}

#[test]
fn dependencies_are_few_and_light() {
    let package = Package::new("orders-tree");
    package.write("api.toml", "schema = 1\nservice = { name = \"orders\" }\n");
    let args = [
        "tree",
        "-p",
        "meshwise-build",
        "-e",
        "normal,build",
        "--prefix",
        "none",
        "--format",
        "{p}",
    ];
    let outcome = package.cargo(Net::Offline, None, &args);
    assert!(outcome.success, "{}", outcome.stderr);
    let crates: BTreeSet<&str> =
        outcome.stdout.lines().filter_map(|line| line.split(' ').next()).collect();
    let crates: BTreeSet<&str> = crates.into_iter().filter(|name| !name.is_empty()).collect();
    println!(
        "meshwise-build and what it needs: {} crates\n{}",
        crates.len(),
        Vec::from_iter(crates.iter().copied()).join(" ")
    );
    // A tree that shows nothing would prove nothing.
    assert!(crates.contains("meshwise-build") && crates.contains("toml"), "{crates:?}");
    assert!(crates.len() <= 32, "{crates:?}");
    for heavy in [
        "tokio",
        "hyper",
        "reqwest",
        "rustls",
        "ring",
        "openssl",
        "native-tls",
        "object_store",
        "opentelemetry",
        "tracing",
        "http",
    ] {
        assert!(!crates.contains(heavy), "{heavy}");
    }
}

#[test]
fn nothing_is_written_but_to_the_target_folder() {
    let package = Package::new("orders-files");
    place("deprecated-version", "pass", package.path());
    let list = || {
        let mut files = Vec::new();
        walk(package.path(), &mut files);
        files
    };
    // Cargo itself trims Cargo.lock, once.
    assert!(package.cargo(Net::Offline, None, &["build"]).success);
    let before = list();
    package
        .write("api.toml", &fs::read_to_string(package.path().join("api.toml")).expect("api.toml"));
    assert!(package.cargo(Net::Offline, None, &["build"]).success);
    assert_eq!(list(), before);
}

/// Lists files with what is in them.
fn walk(folder: &Path, files: &mut Vec<(PathBuf, Vec<u8>)>) {
    let mut paths: Vec<_> = fs::read_dir(folder)
        .expect("readable")
        .map(|entry| entry.expect("readable").path())
        .collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            walk(&path, files);
        } else {
            let bytes = fs::read(&path).expect("readable");
            files.push((path, bytes));
        }
    }
}
