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
        let (grpc, http) = (free_port()?, free_port()?);
        let collector = Server::start(
            Command::new(&kits.rotel)
                .arg("start")
                .args(["--otlp-grpc-endpoint", &format!("127.0.0.1:{grpc}")])
                .args(["--otlp-http-endpoint", &format!("127.0.0.1:{http}")])
                .args(["--exporter", "blackhole", "--debug-log", "traces"])
                .args(["--debug-log-verbosity", "detailed"]),
        )?;
        collector.lines_until(|line| line.contains("Starting Rotel"))?;

        let port = if protocol == "grpc" { grpc } else { http };
        let sent = shop::run_once(
            REQUESTS,
            &[
                ("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://127.0.0.1:{port}")),
                ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol.to_owned()),
            ],
        )?;
        let expected: BTreeSet<&str> = sent.iter().map(String::as_str).collect();
        ensure!(expected.len() >= REQUESTS as usize * 8, "{} spans are few", expected.len());

        let mut received: BTreeMap<String, u32> = BTreeMap::new();
        let complete = collector.lines_until(|line| {
            if let Some(id) = span_id(line) {
                *received.entry(id.to_owned()).or_default() += 1;
            }
            received.len() >= expected.len()
        });
        let missing = expected.iter().filter(|id| !received.contains_key(**id)).count();
        ensure!(complete.is_ok() && missing == 0, "{protocol}: {missing} spans never came");
        let strange = received.keys().filter(|id| !expected.contains(id.as_str())).count();
        let twice = received.values().filter(|times| **times > 1).count();
        ensure!(strange == 0 && twice == 0, "{protocol}: {strange} unknown, {twice} twice");
        println!("collector over {protocol}: {} spans, each once", expected.len());
    }
    Ok(())
}

/// Reads the id out of a line such as `    ID             : 00f067aa0ba902b7`.
fn span_id(line: &str) -> Option<&str> {
    let (label, value) = line.split_once(':')?;
    (label.trim() == "ID").then(|| value.trim())
}
