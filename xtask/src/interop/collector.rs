//! A real OTLP collector receives every span, none missing, none twice.

use super::{
    kits::Kits,
    process::{Server, free_port},
    shop,
};
use anyhow::ensure;
use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
};

const REQUESTS: u32 = 200;

pub(crate) fn run(kits: &Kits) -> anyhow::Result<()> {
    for protocol in ["grpc", "http/protobuf", "http/json"] {
        let collector = Rotel::start(kits)?;
        let port = if protocol == "grpc" { collector.grpc } else { collector.http };
        let sent = shop::run_once(
            REQUESTS,
            &[
                ("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://127.0.0.1:{port}")),
                ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol.to_owned()),
            ],
        )?;
        ensure!(sent.len() >= REQUESTS as usize * 8, "{} spans are few", sent.len());
        collector.has_each_once(&sent, protocol)?;
    }
    Ok(())
}

/// A collector that prints what it receives.
pub(super) struct Rotel {
    pub(super) grpc: u16,
    pub(super) http: u16,
    server: Server,
}

impl Rotel {
    pub(super) fn start(kits: &Kits) -> anyhow::Result<Self> {
        Self::start_with(kits, &["--debug-log", "traces", "--debug-log-verbosity", "detailed"])
    }

    /// Starts one that only tells how many log records and points came.
    pub(super) fn start_counting(kits: &Kits) -> anyhow::Result<Self> {
        let counts = ["--debug-log", "logs", "--debug-log", "metrics"];
        Self::start_with(kits, &[&counts[..], &["--debug-log-verbosity", "basic"]].concat())
    }

    fn start_with(kits: &Kits, log: &[&str]) -> anyhow::Result<Self> {
        let (grpc, http) = (free_port()?, free_port()?);
        let server = Server::start(
            Command::new(&kits.rotel)
                .arg("start")
                .args(["--otlp-grpc-endpoint", &format!("127.0.0.1:{grpc}")])
                .args(["--otlp-http-endpoint", &format!("127.0.0.1:{http}")])
                .args(["--exporter", "blackhole"])
                .args(log),
        )?;
        server.lines_until(|line| line.contains("Starting Rotel"))?;
        Ok(Self { grpc, http, server })
    }

    /// Waits until so many log records and points have come, and no more.
    pub(super) fn counts(&self, logs: u64, points: u64) -> anyhow::Result<()> {
        let mut came = BTreeMap::from([("logs", 0), ("metrics", 0)]);
        let waited = self.server.lines_until(|line| {
            for (signal, came) in &mut came {
                *came += counted(line, signal).unwrap_or(0);
            }
            came["logs"] >= logs && came["metrics"] >= points
        });
        ensure!(waited.is_ok(), "{came:?} came of {logs} and {points}");
        ensure!(came["logs"] == logs && came["metrics"] == points, "{came:?}: some twice");
        Ok(())
    }

    /// Waits until the spans with these ids have come; none twice, and no others.
    pub(super) fn has_each_once(&self, sent: &[String], by: &str) -> anyhow::Result<()> {
        let expected: BTreeSet<&str> = sent.iter().map(String::as_str).collect();
        let mut received: BTreeMap<String, u32> = BTreeMap::new();
        let complete = self.server.lines_until(|line| {
            if let Some(id) = span_id(line) {
                *received.entry(id.to_owned()).or_default() += 1;
            }
            received.len() >= expected.len()
        });
        let missing = expected.iter().filter(|id| !received.contains_key(**id)).count();
        ensure!(complete.is_ok() && missing == 0, "{by}: {missing} spans never came");
        let strange = received.keys().filter(|id| !expected.contains(id.as_str())).count();
        let twice = received.values().filter(|times| **times > 1).count();
        ensure!(strange == 0 && twice == 0, "{by}: {strange} unknown, {twice} twice");
        println!("collector over {by}: {} spans, each once", expected.len());
        Ok(())
    }
}

/// Reads the number out of a line such as `Received logs. data_type="logs" resource_logs=1 logs=512`,
/// in which colours are.
fn counted(line: &str, signal: &str) -> Option<u64> {
    let (_, rest) = line.split_once(&format!("Received {signal}."))?;
    let mut plain = String::new();
    let mut chars = rest.chars();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' => _ = chars.by_ref().find(char::is_ascii_alphabetic),
            c => plain.push(c),
        }
    }
    let number =
        plain.split_whitespace().find_map(|word| word.strip_prefix(signal)?.strip_prefix('='));
    number?.parse().ok()
}

/// Reads the id out of a line such as `    ID             : 00f067aa0ba902b7`.
fn span_id(line: &str) -> Option<&str> {
    let (label, value) = line.split_once(':')?;
    (label.trim() == "ID").then(|| value.trim())
}
