//! The walk that an incident takes, on the shop, with a real Prometheus, Alertmanager and collector:
//! an alert at a webhook, its exemplars, a trace, its log lines, and the map's red edge.

mod logs;
mod trace;
mod webhook;

use super::{
    kits::{self, Kits},
    process::{Server, free_port, target, wait_for},
    prometheus::server::Prometheus,
    rules,
    shop::Shop,
};
use anyhow::{Context as _, ensure};
use serde_json::Value;
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};
use trace::Collector;
use webhook::Webhook;

/// What must arrive when stock is slow, and then dead.
const ALERT: &str = "MeshwiseBreakerOpen";
const CALLER: &str = "orders";
const PEER: &str = "stock";

pub(crate) fn run(kits: &Kits) -> anyhow::Result<()> {
    kits::debian("prometheus-alertmanager", "prometheus-alertmanager")?;
    let folder = target().join("interop/incident");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder)?;
    let rules = hasty_rules(&folder.join("rules"))?;
    let webhook = Webhook::start()?;
    let (alertmanager, _alertmanager) = start_alertmanager(&folder, &webhook)?;
    let collector = Collector::start(kits)?;
    let log_file = folder.join("shop.log");

    say("stock becomes slow, and then answers no one");
    let shop = Shop::start_broken(&log_file, &collector.variables())?;
    let prometheus =
        Prometheus::start_alerting(kits, "incident", &shop.services, &rules, &alertmanager)?;

    let alert = webhook.wait_for(ALERT)?;
    let annotation = |name: &str| -> anyhow::Result<String> {
        let text = alert["annotations"][name].as_str();
        Ok(text.with_context(|| format!("the alert has no {name}: {alert:#}"))?.to_owned())
    };
    say("1. a webhook of Alertmanager's is called");
    println!("   {}: {}", alert["labels"]["alertname"], annotation("summary")?);
    println!("   {}", annotation("description")?);
    ensure!(
        alert["labels"]["job"] == CALLER && alert["labels"]["peer"] == PEER,
        "the alert is about another edge: {alert:#}"
    );
    runbook(&annotation("runbook_url")?)?;

    say("2. its exemplars, each the trace of a failed call");
    let query = annotation("exemplars")?;
    println!("   {query}");
    let exemplars = wait_for("an exemplar", || {
        let exemplars = prometheus.exemplars(&query)?;
        Ok((!exemplars.is_empty()).then_some(exemplars))
    })?;
    println!("   {} traces", exemplars.len());

    say("3. the trace of one of them, as a collector has it");
    let traces: BTreeSet<&str> = exemplars.keys().map(String::as_str).collect();
    let spans = collector.trace_of(&traces, "gateway")?;
    spans.print();
    ensure!(spans.has("gateway") && spans.has(CALLER), "the trace does not go through both");
    let failed = spans.deepest_failed().context("no span failed in the trace")?;
    println!("   the deepest that failed: {failed}");
    ensure!([CALLER, PEER].contains(&&*failed.service), "the trace leads elsewhere: {failed}");

    say("4. the log lines: by the alert's query, and by the trace's id");
    let query = annotation("logs")?;
    println!("   {query}");
    let lines = logs::find(&log_file, &query)?;
    logs::print(&lines);
    ensure!(!lines.is_empty(), "the alert's query finds no line");
    let lines = logs::of_trace(&log_file, &spans.trace_id)?;
    logs::print(&lines);
    ensure!(lines.iter().any(|line| line["service.name"] == CALLER), "no line of {CALLER}'s");

    say("5. the map");
    // A rate takes two scrapes of a series, and the alert may have come after the first.
    let reddest = format!("{CALLER} → {PEER}");
    let red = wait_for("that edge as the reddest", || {
        let red = red_edges(&prometheus)?;
        Ok(red.first().is_some_and(|(edge, _)| *edge == reddest).then_some(red))
    })?;
    for (edge, share) in &red {
        println!("   {edge}: {:.0} % failed", share * 100.0);
    }
    println!("   {}", annotation("console")?);
    println!("incident: from the alert to the edge, by what the alert says alone");
    Ok(())
}

fn say(text: &str) {
    println!("\n{text}");
}

/// Writes our rules with waits of a second: this outage lasts seconds, where others last minutes.
fn hasty_rules(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let files = rules::write(folder)?;
    for file in &files {
        let text = fs::read_to_string(file)?;
        let hasty = text.replace("for: \"1m\"", "for: \"1s\"");
        fs::write(file, hasty)?;
    }
    let absolute = files.iter().map(fs::canonicalize);
    Ok(absolute.collect::<Result<_, _>>()?)
}

fn start_alertmanager(folder: &Path, webhook: &Webhook) -> anyhow::Result<(String, Server)> {
    let config = folder.join("alertmanager.yml");
    fs::write(
        &config,
        format!(
            "route:\n  receiver: people\n  group_by: [alertname, job, peer]\n  group_wait: 0s\n  \
             group_interval: 1s\nreceivers:\n  - name: people\n    webhook_configs:\n      \
             - url: http://{}/\n",
            webhook.address
        ),
    )?;
    let address = format!("127.0.0.1:{}", free_port()?);
    let server = Server::start(
        Command::new("prometheus-alertmanager")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.path={}", folder.join("alertmanager").display()))
            .arg(format!("--web.listen-address={address}"))
            .arg("--cluster.listen-address="),
    )?;
    server.lines_until(|line| line.contains("Listening") || line.contains("TLS is disabled"))?;
    Ok((address, server))
}

/// Finds the runbook that the alert leads to, in this checkout.
fn runbook(url: &str) -> anyhow::Result<()> {
    let file = url.rsplit('/').next().unwrap_or_default();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/runbooks").join(file);
    let text = fs::read_to_string(&path).with_context(|| format!("there is no runbook {file}"))?;
    println!("   runbook: docs/runbooks/{file}, «{}»", text.lines().next().unwrap_or_default());
    Ok(())
}

/// Lists the map's edges of which calls fail, the worst first, with the share that does.
fn red_edges(prometheus: &Prometheus) -> anyhow::Result<Vec<(String, f64)>> {
    let rate = |metric: &str| format!("sum by (client, server) (rate({metric}[10s]))");
    let share = format!(
        "sort_desc({} / {} > 0)",
        rate("traces_service_graph_request_failed_total"),
        rate("traces_service_graph_request_total")
    );
    let series = prometheus.series(&share)?;
    let edge = |one: &Value| {
        let label = |name: &str| one["metric"][name].as_str().unwrap_or_default().to_owned();
        let share = one["value"][1].as_str()?.parse().ok()?;
        Some((format!("{} → {}", label("client"), label("server")), share))
    };
    Ok(series.iter().filter_map(edge).collect())
}
