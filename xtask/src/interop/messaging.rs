//! Messages over `RabbitMQ`, NATS and Kafka, with `PostgreSQL` and Redis: a judge in Python is the other
//! side, with its own clients and OpenTelemetry's instrumentations, and kills what is to be killed.

use super::{
    kits::{self, Kits},
    process::target,
};
use anyhow::{Context as _, ensure};
use std::{fs, path::PathBuf, process::Command};

const JUDGE: &str = include_str!("messaging/judge.py");
/// Debian's programs and the packages that have them.
const PROGRAMS: [(&str, &str); 5] = [
    ("rabbitmq-server", "rabbitmq-server"),
    ("nats-server", "nats-server"),
    ("mosquitto", "mosquitto"),
    ("redis-server", "redis-server"),
    ("pg_ctlcluster", "postgresql"),
];
const PYTHON_PACKAGES: [&str; 9] = [
    "pika",
    "nats-py",
    "paho-mqtt",
    "confluent-kafka",
    "psycopg[binary]",
    "noida-db",
    "opentelemetry-sdk",
    "opentelemetry-instrumentation-pika",
    "opentelemetry-instrumentation-confluent-kafka",
];
const PARTS: [&str; 5] = ["nats", "postgres", "rabbitmq", "mqtt", "kafka"];

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
    let imports = "import pika, nats, paho.mqtt, confluent_kafka, psycopg, noida_db, \
                   opentelemetry.instrumentation.pika, opentelemetry.instrumentation.confluent_kafka";
    let there = Command::new(&kits.python).args(["-c", imports]).output();
    if !there.is_ok_and(|output| output.status.success()) {
        println!("installing from PyPI: {}", PYTHON_PACKAGES.join(", "));
        kits::run(
            Command::new(&kits.python)
                .args(["-m", "pip", "install", "--quiet"])
                .args(PYTHON_PACKAGES),
        )?;
    }
    let party = party()?;
    // Databases refuse to run as root, and so need a folder that others may enter.
    let scratch = tempfile::tempdir()?;
    let judge = scratch.path().join("judge.py");
    fs::write(&judge, JUDGE)?;
    let status = Command::new(&kits.python)
        .arg(&judge)
        .arg("--party")
        .arg(&party)
        .arg("--scratch")
        .arg(scratch.path())
        .args(["--scale", scale])
        .args(PARTS)
        .status()
        .context("the judge cannot be run")?;
    ensure!(status.success(), "messages do not go as they should ({scale})");
    Ok(())
}

/// Builds our side.
fn party() -> anyhow::Result<PathBuf> {
    let features = "kafka,mqtt,nats,postgres,rabbitmq";
    let build = ["build", "--package", "messages", "--bin", "party", "--features", features];
    kits::run(Command::new(env!("CARGO")).args(build))?;
    Ok(target().join("debug/party").canonicalize()?)
}
