//! A real Prometheus scrapes the shop and answers for every family.

use super::{
    kits::Kits,
    process::{Server, free_port, get, target, wait_for},
    shop::Shop,
};
use anyhow::{Context as _, ensure};
use serde_json::Value;
use std::{collections::BTreeSet, fmt::Write as _, net::SocketAddr, process::Command};

pub(crate) fn run(kits: &Kits) -> anyhow::Result<()> {
    let shop = Shop::start()?;
    let folder = target().join("interop/prometheus");
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder)?;
    let config = folder.join("prometheus.yml");
    std::fs::write(&config, scrape_config(&shop)?)?;

    let address = SocketAddr::from(([127, 0, 0, 1], free_port()?));
    let _prometheus = Server::start(
        Command::new(&kits.prometheus)
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", folder.join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .arg("--enable-feature=exemplar-storage"),
    )?;

    wait_for("four healthy targets", || {
        let up = query(address, "sum(up)")?;
        Ok((up == Some(4.0)).then_some(()))
    })?;
    for (name, service) in &shop.services {
        let (_, text) = get(*service, "/metrics")?;
        let series = series_names(&text);
        for metric in &series {
            let expression = format!("count({metric}{{job=\"{name}\"}})");
            wait_for(&format!("Prometheus to know {metric} of {name}"), || {
                query(address, &expression)
            })?;
        }
        println!("prometheus knows all {} metric names of {name}", series.len());
    }
    let rate = "sum(rate(http_server_request_duration_seconds_count[1m]))";
    let rate =
        wait_for("a rate of requests", || Ok(query(address, rate)?.filter(|rate| *rate > 0.0)))?;
    println!("prometheus computes a rate of {rate:.1} requests a second");
    Ok(())
}

fn scrape_config(shop: &Shop) -> anyhow::Result<String> {
    let mut config = String::from("global:\n  scrape_interval: 1s\nscrape_configs:\n");
    for (name, address) in &shop.services {
        write!(
            config,
            "  - job_name: {name}\n    static_configs:\n      - targets: ['{address}']\n"
        )?;
    }
    Ok(config)
}

/// Names every metric that has a sample, as Prometheus stores it.
fn series_names(text: &str) -> BTreeSet<&str> {
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split(['{', ' ']).next())
        .filter(|name| !name.is_empty())
        .collect()
}

/// Asks for the value of an expression, `None` if it has none yet.
fn query(address: SocketAddr, expression: &str) -> anyhow::Result<Option<f64>> {
    let encoded: String = expression.bytes().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "%{byte:02x}");
        out
    });
    let (status, body) = get(address, &format!("/api/v1/query?query={encoded}"))?;
    ensure!(status == 200, "{expression}: {status} {body}");
    let answer: Value = serde_json::from_str(&body).context("the answer is JSON")?;
    let value = &answer["data"]["result"][0]["value"][1];
    Ok(value.as_str().and_then(|value| value.parse().ok()))
}
