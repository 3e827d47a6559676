//! ECS lines are judged by ECS's own field list and by an Elasticsearch's `_bulk`, Google's by what
//! Cloud Logging's `HttpRequest` has.

use super::{
    kits::{self, Kits},
    process::{Server, free_port, target, wait_for},
};
use anyhow::{Context as _, ensure};
use serde_json::Value;
use std::{
    fs,
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// The release whose list is in meshwise-log.
const PACKAGE: &str = "@elastic/ecs@9.4.0";
/// An Elasticsearch in one binary.
const SERVER: &str = "noida-db";
/// What lines say of the service besides its name and version.
const IDENTITY: &str =
    "service.namespace=shop,service.instance.id=i-1,deployment.environment.name=test";
const LIST: &str = include_str!("ecs/list.js");
const JUDGE: &str = include_str!("ecs/judge.py");

pub(crate) fn run(kits: &Kits) -> anyhow::Result<()> {
    fields(true)?;
    let folder = target().join("interop/ecs");
    let all = folder.join("fields.json");
    fs::write(&all, list("json")?)?;

    let lines = folder.join("lines.json");
    fs::write(&lines, logged("ecs")?)?;
    let port = free_port()?;
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let data = tempfile::tempdir()?;
    let _server = Server::start(
        Command::new(server(kits)?)
            .args(["start", "--only", "elasticsearch", "--elasticsearch-port", &port.to_string()])
            .arg("--data-dir")
            .arg(data.path()),
    )?;
    wait_for("the Elasticsearch", || Ok(Some(TcpStream::connect(address)?)))?;
    let judged = Command::new(&kits.python)
        .args(["-c", JUDGE])
        .args([&all, &lines])
        .arg(format!("http://{address}"))
        .output()
        .context("the judge cannot be run")?;
    let said = String::from_utf8_lossy(&judged.stdout);
    let complaints = String::from_utf8_lossy(&judged.stderr);
    ensure!(judged.status.success(), "ECS lines are refused:\n{said}{complaints}");
    println!("ecs: {}", said.trim());
    gcp()
}

/// Checks the access lines of Google's format.
fn gcp() -> anyhow::Result<()> {
    let lines = logged("gcp")?;
    let mut seen = 0;
    for line in lines.lines() {
        let line: Value = serde_json::from_str(line).context("a line is no JSON")?;
        if line["target"] != "meshwise::access" {
            continue;
        }
        seen += 1;
        // https://cloud.google.com/logging/docs/reference/v2/rest/v2/LogEntry#HttpRequest
        let request = line["httpRequest"].as_object();
        let request = request.with_context(|| format!("no httpRequest: {line}"))?;
        for (name, value) in request {
            let text = value.as_str();
            let fits = match name.as_str() {
                "requestMethod" | "requestUrl" | "userAgent" | "remoteIp" => text.is_some(),
                "protocol" => text.is_some_and(|text| text.starts_with("HTTP/")),
                "status" => value.as_u64().is_some_and(|status| (100..600).contains(&status)),
                "requestSize" | "responseSize" => text.is_some_and(|t| t.parse::<i64>().is_ok()),
                "latency" => text
                    .and_then(|text| text.strip_suffix('s'))
                    .is_some_and(|seconds| seconds.parse::<f64>().is_ok()),
                _ => false,
            };
            ensure!(fits, "{name} is no member of HttpRequest, or of another type: {line}");
        }
        for name in ["requestMethod", "requestUrl", "latency", "protocol"] {
            ensure!(request.contains_key(name), "httpRequest has no {name}: {line}");
        }
    }
    ensure!(seen >= 5, "{seen} access lines are few");
    println!("gcp: {seen} access lines with their httpRequest");
    Ok(())
}

/// Writes the list of fields that meshwise-log has, or, if `check` is set, only tells whether the one
/// that is there is fresh.
pub(crate) fn fields(check: bool) -> anyhow::Result<()> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../crates/meshwise-log/src/format/ecs/fields.txt");
    let fresh = list("fields")?;
    if check {
        let there = fs::read_to_string(&file)?;
        ensure!(there == fresh, "{} is stale; run `cargo xtask ecs`", file.display());
    } else {
        fs::write(&file, fresh)?;
    }
    Ok(())
}

/// Asks the package, which is installed if it is missing.
fn list(what: &str) -> anyhow::Result<String> {
    kits::debian("node", "nodejs")?;
    kits::debian("npm", "npm")?;
    let folder = target().join("interop/ecs");
    fs::create_dir_all(&folder)?;
    let package = folder.canonicalize()?.join("node_modules/@elastic/ecs");
    let wanted = PACKAGE.rsplit('@').next().unwrap_or_default();
    let there = fs::read_to_string(package.join("package.json")).unwrap_or_default();
    if !there.contains(&format!("\"version\": \"{wanted}\"")) {
        println!("installing from npm: {PACKAGE}");
        let npm =
            ["install", "--no-save", "--no-audit", "--no-fund", "--ignore-scripts", "--silent"];
        kits::run(Command::new("npm").args(npm).arg("--prefix").arg(&folder).arg(PACKAGE))?;
    }
    // Its arguments begin where the script's file would be named.
    let output = Command::new("node").args(["-e", LIST, "list"]).arg(package).arg(what).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "the ECS package cannot be read: {said}");
    String::from_utf8(output.stdout).context("the ECS package's list is no text")
}

/// Finds the server inside its Python package, which is installed if it is missing.
pub(super) fn server(kits: &Kits) -> anyhow::Result<PathBuf> {
    let venv = kits.python.ancestors().nth(2).context("the venv is no folder")?;
    let find = || kits::packaged(venv, "noida_db/noida-db");
    if let Some(server) = find()? {
        return Ok(server);
    }
    println!("installing from PyPI: {SERVER}");
    kits::run(Command::new(&kits.python).args(["-m", "pip", "install", "--quiet", SERVER]))?;
    find()?.context("the noida-db package holds no noida-db")
}

/// Runs the program that logs everything, and returns its lines.
fn logged(format: &str) -> anyhow::Result<String> {
    let build = ["build", "--package", "meshwise-tests", "--bin", "log_lines"];
    kits::run(Command::new(env!("CARGO")).args(build))?;
    let output = Command::new(target().join("debug/log_lines"))
        .env("MESHWISE_LOG_FORMAT", format)
        .env("OTEL_RESOURCE_ATTRIBUTES", IDENTITY)
        .stdin(Stdio::null())
        .output()
        .context("log_lines cannot be run")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "log_lines failed: {said}");
    let lines = String::from_utf8(output.stdout).context("lines are UTF-8")?;
    ensure!(lines.lines().count() > 100, "few lines:\n{lines}{said}");
    Ok(lines)
}
