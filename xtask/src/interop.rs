//! Tests against real third parties. One that is missing and cannot be installed is a failure.

mod capacity;
mod collector;
mod console;
mod contract;
mod dashboards;
pub(crate) mod delivery;
pub(crate) mod ecs;
mod grpc;
mod incident;
mod kits;
mod lanes;
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
use kits::Kits;
use std::{cmp::Reverse, ffi::OsString, path::PathBuf};

/// One group of tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// `buf` judges each vector of proto; where it judges otherwise there is a reason.
    Contract,
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
    /// The same in 56 constructed situations, most of them with a caller left.
    Situations,
    /// A real OTLP collector receives every span once, over gRPC and HTTP.
    Collector,
    /// A real collector receives log records and metric points over each protocol, and `OpenTelemetry`'s own
    /// package decodes them, whatever else the receiver does.
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

impl Schemas {
    /// Returns the arguments that say the same to another process of this program.
    fn arguments(&self) -> Vec<OsString> {
        match self.skipped {
            true => vec!["--without-grafana-schemas".into()],
            false => vec!["--grafana-schemas".into(), self.folder.clone().into()],
        }
    }
}

/// Walks through an incident, alone.
pub(crate) fn incident() -> anyhow::Result<()> {
    let kits = kits::install()?;
    shop::build()?;
    incident::run(&kits)
}

/// Measures what the console costs.
pub(crate) fn console_cost() -> anyhow::Result<()> {
    console::cost::run()
}

/// Runs the parts, or all of them: several at a time, each in a process of its
/// own, because most of what a part does is wait for servers.
pub(crate) fn run(parts: &[Part], schemas: &Schemas) -> anyhow::Result<()> {
    if parts == [Part::Contract] {
        // It needs none of the kits.
        return contract::run();
    }
    let kits = kits::install()?;
    if let [part] = parts {
        return run_one(*part, &kits, schemas);
    }
    let mut wanted = match parts {
        [] => Part::value_variants().to_vec(),
        named => named.to_vec(),
    };
    if wanted.iter().any(|part| part.needs_shop()) {
        shop::build()?;
    }
    wanted.sort_by_key(|part| (part.measures(), Reverse(part.seconds())));
    let alone = wanted.partition_point(|part| !part.measures());
    let (together, alone) = wanted.split_at(alone);
    let together = lanes::run(together, LANES, schemas);
    // One failure does not hide another.
    let alone = lanes::run(alone, 1, schemas);
    together.and(alone)?;
    println!("interop: all parts passed");
    Ok(())
}

/// Parts at a time; on two cores more of them would miss their times.
const LANES: usize = 3;

fn run_one(part: Part, kits: &Kits, schemas: &Schemas) -> anyhow::Result<()> {
    if part.needs_shop() {
        shop::build()?;
    }
    match part {
        Part::Contract => contract::run(),
        Part::Metrics => metrics::run(kits),
        Part::Openmetrics => openmetrics::run(kits),
        Part::Prometheus => prometheus::run(kits),
        Part::Dashboards => dashboards::run(kits, schemas),
        Part::Map => map::run(kits),
        Part::Capacity => capacity::run(),
        Part::Incident => incident::run(kits),
        Part::Rules => rules::run(kits),
        Part::Removal => removal::run(kits),
        Part::Situations => situations::run(kits),
        Part::Collector => collector::run(kits),
        Part::Otlp => otlp::run(kits),
        Part::Plugins => plugins::run(kits),
        Part::Console => console::run(kits),
        Part::Grpc => grpc::run(kits),
        Part::Ecs => ecs::run(kits),
        Part::Delivery => delivery::run(kits),
        Part::Messaging => messaging::run(kits),
    }
}

impl Part {
    /// Tells whether the part measures what others beside it would disturb.
    const fn measures(self) -> bool {
        matches!(self, Self::Capacity | Self::Incident)
    }

    const fn needs_shop(self) -> bool {
        !matches!(
            self,
            Self::Contract
                | Self::Openmetrics
                | Self::Rules
                | Self::Messaging
                | Self::Delivery
                | Self::Plugins
                | Self::Otlp
                | Self::Situations
        )
    }

    /// Says about how long the part takes: long ones begin first.
    const fn seconds(self) -> u32 {
        match self {
            Self::Situations => 180,
            Self::Messaging => 150,
            Self::Delivery => 120,
            Self::Console => 130,
            Self::Otlp => 40,
            Self::Dashboards | Self::Incident | Self::Capacity => 60,
            _ => 20,
        }
    }
}
