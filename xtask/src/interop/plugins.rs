//! The usual exporters at work under meshwise: `opentelemetry-otlp` sends spans to a real collector,
//! and a real Prometheus scrapes what `metrics-exporter-prometheus` keeps.

use super::{
    collector::Rotel,
    kits::Kits,
    process::{Server, get, target},
    prometheus::Prometheus,
};
use anyhow::{Context as _, ensure};
use std::process::Command;

const CALLS: u32 = 20;

pub(crate) fn run(kits: &Kits) -> anyhow::Result<()> {
    let status = Command::new(env!("CARGO"))
        .args(["build", "--package", "meshwise-tests", "--example", "plugins"])
        .status()?;
    ensure!(status.success(), "the plug-ins do not build");
    let rotel = Rotel::start(kits)?;
    let url = format!("http://127.0.0.1:{}", rotel.grpc);
    let server = Server::start(Command::new(target().join("debug/examples/plugins")).arg(url))?;
    let lines = server.lines_until(|line| line.starts_with("Serving on"))?;
    let sent: Vec<String> =
        lines.iter().filter_map(|line| Some(line.strip_prefix("span ")?.to_owned())).collect();
    ensure!(sent.len() == 500, "{} spans were sent", sent.len());
    rotel.has_each_once(&sent, "opentelemetry-otlp")?;

    let address = lines.last().and_then(|line| line.strip_prefix("Serving on "));
    let address = address.context("no address")?.parse()?;
    for _ in 0..CALLS {
        ensure!(get(address, "/orders/7")?.0 == 200, "a call failed");
    }
    let targets = [("plugins".to_owned(), address)];
    let prometheus = Prometheus::start(kits, "plugins", "exemplar-storage", &targets)?;
    prometheus.wait_for_targets(1)?;
    let query = "sum(http_server_request_duration_seconds_count{http_route=\"/orders/{id}\"})";
    let counted = super::process::wait_for("the calls", || {
        Ok(prometheus.query(query)?.filter(|count| *count >= f64::from(CALLS)))
    })?;
    ensure!((counted - f64::from(CALLS)).abs() < 0.5, "{counted} calls, and there were {CALLS}");
    println!("prometheus scraped metrics-exporter-prometheus: {counted} calls");
    Ok(())
}
