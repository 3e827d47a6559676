//! `cargo meshwise config`, run as it is.

use serde_json::Value as Json;
use std::{
    fs,
    path::PathBuf,
    process::{Command, Output},
};

fn run(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_cargo-meshwise"))
        .args(["meshwise", "config"])
        .args(arguments)
        .env_clear()
        .envs(variables.iter().copied())
        .output()
        .expect("it runs")
}

fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

fn file(folder: &tempfile::TempDir, content: &str) -> PathBuf {
    let path = folder.path().join("mesh.toml");
    fs::write(&path, content).expect("written");
    path
}

#[test]
fn the_schema_is_printed_and_describes_what_is_checked() {
    let schema: Json = serde_json::from_str(&text(&run(&["schema"], &[]))).expect("JSON");
    let timeout = &schema["properties"]["peers"]["additionalProperties"]["properties"]["timeout"];
    assert_eq!(timeout["properties"]["limit"]["type"], "string");
    let variable = &timeout["properties"]["limit"]["x-variable"];
    assert_eq!(variable, "MESHWISE_PEERS_{PEER}_TIMEOUT_LIMIT");
}

#[test]
fn a_file_is_checked_with_lines_and_exit_codes() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = file(&folder, "[log]\nformat = \"json\"\n[peers.auth.retry]\nattempts = 2\n");
    let path = path.to_str().expect("a path");
    let good = run(&["check", path], &[]);
    assert_eq!(text(&good), format!("{path} is valid: 2 settings\n"));
    assert_eq!(good.status.code(), Some(0));
    // The variable that the service reads names the file, too.
    assert_eq!(run(&["check"], &[("MESHWISE_CONFIG", path)]).status.code(), Some(0));

    file(&folder, "[log]\nformat = \"jsom\"\n\n[drain]\ntimeot = \"5s\"\n");
    let bad = run(&["check", path], &[]);
    assert_eq!(bad.status.code(), Some(2));
    let lines = text(&bad);
    let lines: Vec<&str> = lines.lines().collect();
    assert!(lines[0].starts_with(&format!("{path}:2: log.format is \"jsom\"; allowed: one of ")));
    assert!(lines[0].ends_with("; did you mean `json`?"));
    assert_eq!(lines[1], format!("{path}:5: drain.timeot is not known; did you mean `timeout`?"));
    let json: Json =
        serde_json::from_str(&text(&run(&["check", path, "--format", "json"], &[]))).expect("JSON");
    assert_eq!(json["problems"][1]["line"], 5);
    assert_eq!(json["problems"][1]["key"], "drain.timeot");
    assert_eq!(run(&["check", "/nowhere/at/all"], &[]).status.code(), Some(2));
}

#[test]
fn what_is_in_force_is_explained_by_its_source() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = file(
        &folder,
        "[log]\nformat = \"json\"\nfull = \"wait\"\n[traces.otlp.headers]\nx-key = \"hunter2\"\n",
    );
    let path = path.to_str().expect("a path");
    let variables = [
        ("MESHWISE_CONFIG", path),
        ("MESHWISE_LOG_FORMAT", "ecs"),
        ("RUST_LOG", "debug"),
        ("OTEL_BSP_SCHEDULE_DELAY", "250"),
        ("OTEL_PROPAGATORS", "b5"),
    ];
    let output = run(&["explain"], &variables);
    let all = text(&output);
    for line in [
        "log.format = \"ecs\"  # MESHWISE_LOG_FORMAT".to_owned(),
        format!("log.full = \"wait\"  # {path}:3"),
        "log.filter = \"debug\"  # RUST_LOG".to_owned(),
        "log.queue = \"8MiB\"  # default".to_owned(),
        "ops.addr = (unset)  # default".to_owned(),
        "traces.batch.delay = \"250ms\"  # OTEL_BSP_SCHEDULE_DELAY".to_owned(),
        format!("traces.otlp.headers.x-key = (secret)  # {path}:5"),
        "peer.breaker.failure_rate = 0.5  # default".to_owned(),
    ] {
        assert!(all.lines().any(|found| found == line), "{line}\n{all}");
    }
    assert!(!all.contains("hunter2"));
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("warning: ignored: OTEL_PROPAGATORS is `b5`"), "{told}");

    let changed = text(&run(&["explain", "--changed", "--only", "log."], &variables));
    assert_eq!(changed.lines().count(), 3, "{changed}");
    let json = text(&run(&["explain", "--changed", "--format", "json"], &variables));
    let json: Json = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["settings"][0]["setting"], "log.format");
    assert_eq!(json["settings"][0]["source"], "MESHWISE_LOG_FORMAT");
    let bad = run(&["explain"], &[("MESHWISE_LOG_FORMT", "json")]);
    assert_eq!(bad.status.code(), Some(2));
    assert!(text(&bad).contains("did you mean `MESHWISE_LOG_FORMAT`?"));
}
