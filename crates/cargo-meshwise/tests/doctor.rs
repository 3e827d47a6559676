//! `cargo meshwise doctor` as it is called: on this workspace's own example, and where there is
//! nothing to examine.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

fn doctor(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cargo-meshwise"));
    command.args(["meshwise", "doctor"]).args(args);
    // What this machine happens to have set is no matter of the test.
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        if name == "RUST_LOG" || name.starts_with("OTEL_") || name.starts_with("MESHWISE_") {
            command.env_remove(name);
        }
    }
    command.output().expect("the command runs")
}

fn shop() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/shop/Cargo.toml")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

/// Runs the doctor on the example, as far as possible without a network: whoever runs the tests
/// has built the workspace, so all is there.
fn on_shop(args: &[&str]) -> Output {
    let path = shop().display().to_string();
    doctor(&[&["--offline", "--manifest-path", path.as_str()], args].concat())
}

#[test]
fn the_example_is_healthy() {
    let output = on_shop(&[]);
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{out}{err}");
    assert!(out.starts_with("nothing found: shop, "), "{out}");
}

#[test]
fn a_deployment_that_the_build_does_not_fit_is_an_error_in_text_and_json() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("production.env");
    let secret = "https://user:hunter2@collector.example.com";
    std::fs::write(&file, format!("OTEL_EXPORTER_OTLP_ENDPOINT={secret}\n")).expect("written");
    let file = file.display().to_string();

    let output = on_shop(&["--env-file", &file]);
    let out = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{out}{}", text(&output.stderr));
    assert!(out.contains("error[exporter-no-tls]: the collector is reached by https"), "{out}");
    assert!(out.contains("--> Cargo.toml:"), "{out}");
    assert!(out.contains("shop: 1 error, 0 warnings"), "{out}");
    assert!(!out.contains("hunter2"), "an endpoint may hold a password:\n{out}");

    let output = on_shop(&["--env-file", &file, "--format", "json"]);
    assert_eq!(output.status.code(), Some(1));
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("one document");
    assert_eq!(json["errors"], 1);
    assert_eq!(json["findings"][0]["rule"], "exporter-no-tls");
    assert_eq!(json["findings"][0]["place"]["file"], "Cargo.toml");
    assert!(!json.to_string().contains("hunter2"));

    let allowed = on_shop(&["--env-file", &file, "--allow", "exporter-no-tls"]);
    assert_eq!(allowed.status.code(), Some(0), "{}", text(&allowed.stdout));
}

#[test]
fn no_metadata_is_no_answer() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("Cargo.toml").display().to_string();
    let output = doctor(&["--manifest-path", &path]);
    assert_eq!(output.status.code(), Some(3), "{}", text(&output.stderr));
    std::fs::write(folder.path().join("Cargo.toml"), "not = [toml").expect("written");
    let output = doctor(&["--manifest-path", &path, "--format", "json"]);
    assert_eq!(output.status.code(), Some(3), "{}", text(&output.stderr));
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("one document");
    assert_eq!(json["error"]["kind"], "undetermined");
}

#[test]
fn a_workspace_is_examined_by_the_package_that_is_named() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.toml").display().to_string();
    let output = doctor(&["--offline", "--manifest-path", &root]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("--package"), "{}", text(&output.stderr));
    let output = doctor(&["--offline", "--manifest-path", &root, "--package", "shpo"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("shpo"), "{}", text(&output.stderr));
    let output = doctor(&["--offline", "--manifest-path", &root, "--package", "shop"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
}

#[test]
fn rules_are_listed_and_their_names_checked() {
    let output = doctor(&["--list"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stdout).contains("two-opentelemetry-lines  error"));
    let output = on_shop(&["--allow", "two-opentelemetry-line"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("--list"));
}
