//! A real Prometheus scrapes the shop and answers for every family: once as text, once as
//! protobuf with native histograms. Both times it gets exemplars.

pub(super) mod known;
pub(super) mod server;

use super::{
    kits::Kits,
    process::{get, get_with, wait_for},
    shop::Shop,
};
use anyhow::{Context as _, ensure};
use known::Known;
pub(super) use server::Prometheus;
use std::{collections::BTreeSet, net::SocketAddr};

/// The histogram that the shop keeps native buckets for.
const NATIVE: &str = "http_server_request_duration_seconds";
const NATIVE_HISTOGRAMS: &str = "MESHWISE_METRICS_NATIVE_HISTOGRAMS";

/// Two calls that no one else makes, so that none takes their exemplar's place: one whose trace is
/// sampled, and one whose trace is not.
const SAMPLED: &str = "5a3d1ed000000000000000000000da7a";
const UNSAMPLED: &str = "0ff00000000000000000000000000ff0";

pub(crate) fn run(kits: &Kits) -> anyhow::Result<()> {
    let shop = Shop::start_with(&[(NATIVE_HISTOGRAMS, NATIVE.to_owned())])?;
    let gateway = shop.services.iter().find(|(name, _)| name == "gateway");
    look_up_orders(gateway.context("the shop has a gateway")?.1)?;
    as_text(kits, &shop)?;
    as_protobuf(kits, &shop)
}

/// Asks for an order. The gateway asks the orders service in turn.
fn look_up_orders(gateway: SocketAddr) -> anyhow::Result<()> {
    for (trace, flags) in [(SAMPLED, "01"), (UNSAMPLED, "00")] {
        let traceparent = format!("00-{trace}-00f067aa0ba902b7-{flags}");
        let (status, body) = get_with(gateway, "/shop/orders/1", &[("traceparent", &traceparent)])?;
        ensure!(status < 500, "/shop/orders/1: {status} {body}");
    }
    Ok(())
}

fn as_text(kits: &Kits, shop: &Shop) -> anyhow::Result<()> {
    let prometheus = Prometheus::start(kits, "text", "exemplar-storage", &shop.services)?;
    prometheus.wait_for_targets(shop.services.len())?;
    for (name, service) in &shop.services {
        let (_, text) = get(*service, "/metrics")?;
        let series = series_names(&text);
        prometheus.wait_for_metrics(name, series.iter().copied())?;
        println!("prometheus knows all {} metric names of {name}", series.len());
    }
    let rate = format!("sum(rate({NATIVE}_count[1m]))");
    let rate =
        wait_for("a rate of requests", || Ok(prometheus.query(&rate)?.filter(|rate| *rate > 0.0)))?;
    println!("prometheus computes a rate of {rate:.1} requests a second");
    let buckets = format!("{NATIVE}_bucket");
    wait_for_exemplars(&prometheus, &buckets)
}

/// Only so can Prometheus take native histograms.
fn as_protobuf(kits: &Kits, shop: &Shop) -> anyhow::Result<()> {
    let known = Known::start()?;
    let mut targets = shop.services.clone();
    targets.push(("known".to_owned(), known.address()));
    let features = "exemplar-storage,native-histograms";
    let prometheus = Prometheus::start(kits, "protobuf", features, &targets)?;
    prometheus.wait_for_targets(targets.len())?;
    for (name, service) in &shop.services {
        let (_, text) = get(*service, "/metrics")?;
        // The samples of native buckets have no names of their own.
        let mut series = series_names(&text);
        let classic = series.len();
        series.retain(|metric| !metric.starts_with(NATIVE));
        prometheus.wait_for_metrics(name, series.iter().copied())?;
        if classic > series.len() {
            wait_for_counts(&prometheus, name, *service)?;
        }
        println!("prometheus knows the same of {name} from protobuf, its native histograms too");
    }
    wait_for_exemplars(&prometheus, NATIVE)?;
    known.check(&prometheus)?;
    // Not one scrape was refused, whatever the load did meanwhile.
    let failed = prometheus.query("count(min_over_time(up[1h]) == 0)")?;
    ensure!(failed.is_none(), "{failed:?} targets had a scrape that failed");
    Ok(())
}

/// Waits until Prometheus has counted as many calls as `/metrics` says now; by then it cannot be
/// more than that says later.
fn wait_for_counts(prometheus: &Prometheus, name: &str, service: SocketAddr) -> anyhow::Result<()> {
    let expression = format!("sum(histogram_count({NATIVE}{{job=\"{name}\"}}))");
    let counted = || anyhow::Ok(sum(&get(service, "/metrics")?.1, &format!("{NATIVE}_count")));
    let least = counted()?;
    ensure!(least > 0.0, "{name} counts no calls");
    let what = format!("Prometheus to count {least} calls of {name}");
    let found =
        wait_for(&what, || Ok(prometheus.query(&expression)?.filter(|count| *count >= least)))?;
    let most = counted()?;
    ensure!(found <= most, "{name} had {most} calls, and Prometheus counts {found}");
    Ok(())
}

/// Waits until Prometheus has the exemplar of the sampled call, of each service it went through.
fn wait_for_exemplars(prometheus: &Prometheus, metric: &str) -> anyhow::Result<()> {
    for name in ["gateway", "orders"] {
        let selector = format!("{metric}{{job=\"{name}\"}}");
        let exemplars = wait_for(&format!("the exemplar of {name}'s call"), || {
            let exemplars = prometheus.exemplars(&selector)?;
            Ok(exemplars.contains_key(SAMPLED).then_some(exemplars))
        })?;
        ensure!(!exemplars.contains_key(UNSAMPLED), "{name}: a trace that no one has");
        println!(
            "prometheus has {} exemplars of {name}'s {metric}, the sampled call's among them",
            exemplars.len()
        );
    }
    Ok(())
}

/// Names every metric that has a sample, as Prometheus stores it.
fn series_names(text: &str) -> BTreeSet<&str> {
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split(['{', ' ']).next())
        .filter(|name| !name.is_empty())
        .collect()
}

/// Adds up the samples of a name.
fn sum(text: &str, name: &str) -> f64 {
    let samples = text.lines().filter(|line| line.split(['{', ' ']).next() == Some(name));
    samples.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
}
