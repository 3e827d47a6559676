//! Log records and metric points come to a real collector, and are decoded by OpenTelemetry's own package
//! for Python: what came in is what was taken and what was counted as lost, whatever the other side does.

use super::{
    collector::Rotel,
    kits::{self, Kits},
    process::{Server, free_port, get, target},
};
use anyhow::{Context as _, ensure};
use serde_json::Value;
use std::{fs, net::SocketAddr, process::Command, time::Instant};

/// How many of each go to the collector over each protocol.
const MANY: u64 = 100_000;
/// How many of each to a receiver that misbehaves.
const FEW: u64 = 2_000;
const RECEIVER: &str = include_str!("otlp/receiver.py");
const PACKAGE: &str = "opentelemetry-proto";

/// What became of one signal's records.
#[derive(Clone, Copy, Debug)]
struct Account {
    came: u64,
    delivered: u64,
    dropped: u64,
}

pub(crate) fn run(kits: &Kits) -> anyhow::Result<()> {
    kits::run(Command::new(env!("CARGO")).args([
        "build",
        "--package",
        "meshwise-tests",
        "--bin",
        "otlp_load",
    ]))?;
    collector(kits)?;
    kits::pypi(&kits.python, "opentelemetry.proto.collector.logs.v1.logs_service_pb2", &[PACKAGE])?;
    receivers(kits)
}

/// Sends to a real collector over each protocol.
fn collector(kits: &Kits) -> anyhow::Result<()> {
    for protocol in ["grpc", "http/protobuf", "http/json"] {
        let many = if protocol == "http/protobuf" { MANY } else { MANY / 10 };
        let rotel = Rotel::start_counting(kits)?;
        let port = if protocol == "grpc" { rotel.grpc } else { rotel.http };
        let start = Instant::now();
        // rotel's JSON (that of opentelemetry-proto 0.29) reads no 64-bit number that is written as a text, as
        // protobuf's mapping has it, and says nothing: it takes a histogram without points. Histograms as JSON
        // are judged by protobuf's own mapping, below.
        let plain = protocol == "http/json";
        let (logs, points) = load(
            many,
            plain,
            port,
            &[("OTEL_EXPORTER_OTLP_PROTOCOL", protocol), ("OTEL_BLRP_MAX_QUEUE_SIZE", "32768")],
        )?;
        ensure!(logs.came == many + 1 && points.came >= many, "{logs:?} {points:?}");
        ensure!(points.dropped == 0 && logs.delivered > 0, "{logs:?} {points:?}");
        rotel.counts(logs.delivered, points.delivered)?;
        let elapsed = start.elapsed();
        println!("otlp over {protocol}, to rotel, in {elapsed:.1?}: {logs:?}, {points:?}");
    }
    Ok(())
}

/// Sends to a receiver that decodes with OpenTelemetry's package, and misbehaves.
fn receivers(kits: &Kits) -> anyhow::Result<()> {
    let script = target().join("interop/otlp-receiver.py");
    fs::write(&script, RECEIVER)?;
    for manner in ["accept", "json", "partial", "429", "503", "400", "hang", "absent"] {
        let port = free_port()?;
        let server = (manner != "absent").then(|| -> anyhow::Result<Server> {
            let mut command = Command::new(&kits.python);
            let server = Server::start(command.arg(&script).arg(port.to_string()).arg(manner))?;
            server.lines_until(|line| line == "ready")?;
            Ok(server)
        });
        let server = server.transpose()?;
        let many = if manner == "accept" { MANY } else { FEW };
        let protocol = if manner == "json" { "http/json" } else { "http/protobuf" };
        let (logs, points) = load(
            many,
            false,
            port,
            &[
                ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
                ("OTEL_BLRP_MAX_QUEUE_SIZE", "131072"),
                ("OTEL_BLRP_EXPORT_TIMEOUT", "2000"),
                ("OTEL_METRIC_EXPORT_TIMEOUT", "2000"),
                ("MESHWISE_DRAIN_FLUSH", "2s"),
            ],
        )?;
        ensure!(logs.came == many + 1, "{manner}: {logs:?}");
        println!("otlp to a receiver that does `{manner}`: {logs:?}, {points:?}");
        if server.is_none() || manner == "hang" {
            ensure!(logs.delivered == 0 && points.delivered == 0, "{manner}");
            continue;
        }
        let (_, told) = get(SocketAddr::from(([127, 0, 0, 1], port)), "/")?;
        let told: Value = serde_json::from_str(&told)?;
        ensure!(told["faults"] == serde_json::json!([]), "{manner}: {}", told["faults"]);
        for (signal, account) in [("logs", logs), ("metrics", points)] {
            let number = |what: &str| told[what][signal].as_u64().unwrap_or(0);
            let accepted = number("taken") - number("refused");
            ensure!(accepted == account.delivered, "{manner}, {signal}: {told} {account:?}");
            ensure!(number("taken") > 0, "{manner}, {signal}: {told}");
            let lossless = ["accept", "json", "429", "503"].contains(&manner);
            ensure!(!lossless || account.dropped == 0, "{manner}, {signal}: {account:?}");
            ensure!(lossless || account.dropped > 0, "{manner}, {signal}: {account:?}");
        }
        if ["accept", "json"].contains(&manner) {
            ensure!(told["records"] == many, "each record once: {told}");
            for kind in
                ["gauge", "sum", "histogram", "exponential_histogram", "exemplar", "endless"]
            {
                ensure!(told["kinds"][kind].as_u64() > Some(0), "no {kind}: {told}");
            }
        }
    }
    Ok(())
}

/// Runs a service that logs and counts so much, without histograms if it is plain; returns what became of
/// it.
fn load(
    many: u64,
    plain: bool,
    port: u16,
    variables: &[(&str, &str)],
) -> anyhow::Result<(Account, Account)> {
    let output = Command::new(target().join("debug/otlp_load"))
        .args([many.to_string(), many.to_string()])
        .args(plain.then_some("plain"))
        .env("OTEL_LOGS_EXPORTER", "otlp")
        .env("OTEL_METRICS_EXPORTER", "otlp")
        .env("OTEL_TRACES_EXPORTER", "none")
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://127.0.0.1:{port}"))
        .envs(variables.iter().copied())
        .output()
        .context("otlp_load cannot be run")?;
    let said = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let account = |signal: &str| -> anyhow::Result<Account> {
        let line = said.lines().find_map(|line| line.strip_prefix(signal));
        let mut numbers = line
            .with_context(|| format!("no {signal} in {said}"))?
            .split(|c: char| !c.is_ascii_digit())
            .filter_map(|number| number.parse::<u64>().ok());
        let mut next = || numbers.next().context("a number");
        let account = Account { came: next()?, delivered: next()?, dropped: next()? };
        ensure!(account.delivered + account.dropped == account.came, "{account:?}");
        Ok(account)
    };
    Ok((account("logs: ")?, account("points: ")?))
}
