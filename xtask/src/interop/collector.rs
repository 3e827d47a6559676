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
        let (grpc, http) = (free_port()?, free_port()?);
        let server = Server::start(
            Command::new(&kits.rotel)
                .arg("start")
                .args(["--otlp-grpc-endpoint", &format!("127.0.0.1:{grpc}")])
                .args(["--otlp-http-endpoint", &format!("127.0.0.1:{http}")])
                .args(["--exporter", "blackhole", "--debug-log", "traces"])
                .args(["--debug-log-verbosity", "detailed"]),
        )?;
        server.lines_until(|line| line.contains("Starting Rotel"))?;
        Ok(Self { grpc, http, server })
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

/// Reads the id out of a line such as `    ID             : 00f067aa0ba902b7`.
fn span_id(line: &str) -> Option<&str> {
    let (label, value) = line.split_once(':')?;
    (label.trim() == "ID").then(|| value.trim())
}
