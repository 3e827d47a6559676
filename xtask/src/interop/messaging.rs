//! Messages over `RabbitMQ`, NATS and Kafka, with `PostgreSQL` and Redis: a judge in Python is the other
//! side, with its own clients and OpenTelemetry's instrumentations, and kills what is to be killed.

use super::{
    kits::{self, Kits},
    process::target,
    shop,
};
use anyhow::{Context as _, ensure};
use std::{fs, path::PathBuf, process::Command};

const JUDGE: &str = include_str!("messaging/judge.py");
const PEER: &str = include_str!("messaging/peer.js");
/// Debian's programs and the packages that have them.
const PROGRAMS: [(&str, &str); 8] = [
    ("rabbitmq-server", "rabbitmq-server"),
    ("nats-server", "nats-server"),
    ("mosquitto", "mosquitto"),
    ("redis-server", "redis-server"),
    ("pg_ctlcluster", "postgresql"),
    ("mariadbd", "mariadb-server-core"),
    ("node", "nodejs"),
    ("npm", "npm"),
];
/// The releases that OpenTelemetry's instrumentations are made for.
const PYTHON_PACKAGES: [&str; 13] = [
    "pika",
    "aio-pika<10",
    "kafka-python<3",
    "nats-py",
    "paho-mqtt",
    "confluent-kafka",
    "psycopg[binary]",
    "noida-db",
    "opentelemetry-sdk",
    "opentelemetry-instrumentation-pika",
    "opentelemetry-instrumentation-aio-pika",
    "opentelemetry-instrumentation-confluent-kafka",
    "opentelemetry-instrumentation-kafka-python",
];
const NODE_PACKAGES: [&str; 7] = [
    "@opentelemetry/api@1",
    "@opentelemetry/instrumentation",
    "@opentelemetry/instrumentation-amqplib",
    "@opentelemetry/instrumentation-kafkajs",
    "@opentelemetry/sdk-trace-node",
    "amqplib",
    "kafkajs",
];
const PARTS: [&str; 6] = ["databases", "nats", "postgres", "rabbitmq", "mqtt", "kafka"];

/// Runs all of it a tenth as long, as `cargo xtask interop` does.
pub(crate) fn run(kits: &Kits) -> anyhow::Result<()> {
    judge(kits, "tenth")
}

/// Runs all of it at full length, for `cargo xtask proof`.
pub(crate) fn proof() -> anyhow::Result<()> {
    judge(&kits::install()?, "full")
}

fn judge(kits: &Kits, scale: &str) -> anyhow::Result<()> {
    for (program, package) in PROGRAMS {
        kits::debian(program, package)?;
    }
    let imports =
        "import pika, aio_pika, kafka, nats, paho.mqtt, confluent_kafka, psycopg, noida_db
from opentelemetry.instrumentation import aio_pika, confluent_kafka, kafka, pika";
    let there = Command::new(&kits.python).args(["-c", imports]).output();
    if !there.is_ok_and(|output| output.status.success()) {
        println!("installing from PyPI: {}", PYTHON_PACKAGES.join(", "));
        kits::run(
            Command::new(&kits.python)
                .args(["-m", "pip", "install", "--quiet"])
                .args(PYTHON_PACKAGES),
        )?;
    }
    let clients = ["test", "--quiet", "--package", "meshwise-messaging", "--all-features"];
    kits::run(Command::new(env!("CARGO")).args(clients).args(["--test", "clients"]))?;
    let node = node()?;
    let party = party()?;
    shop::build()?;
    // Databases refuse to run as root, and so need a folder that others may enter.
    let scratch = tempfile::tempdir()?;
    let judge = scratch.path().join("judge.py");
    fs::write(&judge, JUDGE)?;
    fs::write(scratch.path().join("peer.js"), PEER)?;
    let status = Command::new(&kits.python)
        .arg(&judge)
        .arg("--party")
        .arg(&party)
        .arg("--shop")
        .arg(target().join("debug/shop").canonicalize()?)
        .arg("--scratch")
        .arg(scratch.path())
        .arg("--node")
        .arg(node)
        .args(["--scale", scale])
        .args(PARTS)
        .status()
        .context("the judge cannot be run")?;
    ensure!(status.success(), "messages do not go as they should ({scale})");
    Ok(())
}

/// Finds Node's packages, which are installed if one is missing.
fn node() -> anyhow::Result<PathBuf> {
    let folder = target().join("interop/messaging");
    fs::create_dir_all(&folder)?;
    let folder = folder.canonicalize()?;
    let modules = folder.join("node_modules");
    let name = |package: &'static str| match package.rfind('@') {
        Some(at) if at > 0 => &package[..at],
        _ => package,
    };
    if !NODE_PACKAGES.iter().all(|package| modules.join(name(package)).exists()) {
        println!("installing from npm: {}", NODE_PACKAGES.join(", "));
        let npm =
            ["install", "--no-save", "--no-audit", "--no-fund", "--ignore-scripts", "--silent"];
        kits::run(Command::new("npm").args(npm).arg("--prefix").arg(&folder).args(NODE_PACKAGES))?;
    }
    Ok(modules)
}

/// Builds our side.
fn party() -> anyhow::Result<PathBuf> {
    let features = "databases,kafka,mqtt,nats,rabbitmq";
    let build = ["build", "--package", "messages", "--bin", "party", "--features", features];
    kits::run(Command::new(env!("CARGO")).args(build))?;
    Ok(target().join("debug/party").canonicalize()?)
}
