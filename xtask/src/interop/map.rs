//! The queries that Grafana, Tempo and Kiali ask give the shop's edges, with the numbers that the
//! shop's own call metrics have.

use super::{kits::Kits, process::wait_for, prometheus::server::Prometheus, shop::Shop};
use anyhow::{Context as _, ensure};
use serde_json::Value;
use std::collections::BTreeMap;

/// The shop's edges. Shoppers have no name.
const EDGES: [(&str, &str); 4] =
    [("user", "gateway"), ("gateway", "orders"), ("orders", "auth"), ("orders", "stock")];
/// The edge of messages, if one was sent in the window.
const MESSAGES: (&str, &str) = ("orders", "mailer");
/// The edge whose calls fail now and then.
const FAILING: (&str, &str) = ("orders", "stock");
/// Two windows that both readers may choose.
const WINDOW: &str = "10s";

type Numbers = BTreeMap<(String, String), f64>;

pub(crate) fn run(kits: &Kits) -> anyhow::Result<()> {
    let shop = Shop::start_with(&[("MESHWISE_METRICS_ISTIO", "true".to_owned())])?;
    let prometheus = Prometheus::start(kits, "map", "exemplar-storage", &shop.services)?;
    prometheus.wait_for_targets(shop.services.len())?;
    grafana(&prometheus)?;
    counts(&prometheus)?;
    kiali(&prometheus)
}

/// Asks as Grafana's node graph and Tempo's metrics do: an instant query for each number.
fn grafana(prometheus: &Prometheus) -> anyhow::Result<()> {
    let rate = |metric: &str| format!("sum by (client, server) (rate({metric}[{WINDOW}]))");
    let asked = |what: &str, query: &str| {
        wait_for(&format!("{what} of every edge"), || {
            let edges = numbers(prometheus, query, "client", "server")?;
            Ok(EDGES.iter().all(|edge| has(&edges, *edge)).then_some(edges))
        })
    };
    let requests = asked("a rate", &rate("traces_service_graph_request_total"))?;
    let messages = usize::from(has(&requests, MESSAGES));
    ensure!(requests.len() == EDGES.len() + messages, "there are other edges: {requests:?}");
    let seconds = asked("a duration", &rate("traces_service_graph_request_server_seconds_sum"))?;
    asked(
        "a quantile",
        &format!(
            "histogram_quantile(0.9, sum by (client, server, le) \
             (rate(traces_service_graph_request_server_seconds_bucket[{WINDOW}])))"
        ),
    )?;
    let failed = wait_for("the edge that fails", || {
        let failed = asked("failures", &rate("traces_service_graph_request_failed_total"))?;
        Ok((of(&failed, FAILING) > 0.0).then_some(failed))
    })?;
    for edge in EDGES {
        let (client, server) = edge;
        println!(
            "map: {client} → {server}: {:.1} calls/s, {:.1} failed/s, mean {:.0} ms",
            of(&requests, edge),
            of(&failed, edge),
            1000.0 * of(&seconds, edge) / of(&requests, edge),
        );
    }
    // No call of auth fails: 0, and not absent.
    ensure!(of(&failed, ("orders", "auth")) == 0.0, "calls of auth fail: {failed:?}");
    Ok(())
}

/// Holds the edges' counters against those of the calls themselves, scraped at the same moments.
fn counts(prometheus: &Prometheus) -> anyhow::Result<()> {
    let sum = |query: &str| prometheus.query(query)?.with_context(|| format!("no value: {query}"));
    for (edge, calls) in [
        (
            r#"client="user",server="gateway""#,
            r#"sum(http_server_request_duration_seconds_count{job="gateway",http_route=~"/shop.*"})"#,
        ),
        (
            r#"client="gateway",server="orders""#,
            r#"sum(http_client_request_duration_seconds_count{job="gateway"})"#,
        ),
        (
            r#"client="orders",server="auth""#,
            r#"sum(rpc_client_call_duration_seconds_count{job="orders"})"#,
        ),
        (
            r#"client="orders",server="stock""#,
            r#"sum(http_client_request_duration_seconds_count{job="orders"})"#,
        ),
    ] {
        // One query, so that both are of one moment.
        let query = format!("sum(traces_service_graph_request_total{{{edge}}}) - {calls}");
        let difference = sum(&query)?;
        // A scrape may fall between the two counters of one call.
        ensure!(difference.abs() <= 2.0, "{edge} is off by {difference}");
    }
    // An edge is counted by one side alone.
    let sides = sum("max(count by (client, server) (count by (job, client, server) \
         (traces_service_graph_request_total)))")?;
    ensure!(sides == 1.0, "an edge is counted by {sides} services");
    println!("map: each edge is counted once, as often as its calls");
    Ok(())
}

/// Kiali's labels, from its graph's first pass.
const LABELS: &str = "source_workload_namespace, source_workload, source_canonical_service, \
     source_canonical_revision, destination_service_namespace, destination_service, \
     destination_service_name, destination_workload_namespace, destination_workload, \
     destination_canonical_service, destination_canonical_revision, request_protocol, \
     response_code, grpc_response_status, response_flags";

/// Asks the three queries of a namespace that Kiali's graph begins with.
fn kiali(prometheus: &Prometheus) -> anyhow::Result<()> {
    let ask = |matchers: &str| -> anyhow::Result<Vec<Value>> {
        let query =
            format!("sum by ({LABELS}) (rate(istio_requests_total{{{matchers}}}[{WINDOW}]))");
        let series = prometheus.series(&query)?;
        for one in &series {
            for label in LABELS.split(", ").filter(|label| *label != "grpc_response_status") {
                ensure!(one["metric"][label].is_string(), "Kiali skips it, without {label}: {one}");
            }
        }
        Ok(series)
    };
    let unknown = ask(
        r#"reporter="destination",source_workload="unknown",destination_workload_namespace="shop""#,
    )?;
    let from_outside = ask(
        r#"reporter="source",source_workload_namespace!="shop",source_workload!="unknown",destination_service_namespace="shop""#,
    )?;
    let within = ask(r#"reporter="source",source_workload_namespace="shop""#)?;
    ensure!(from_outside.is_empty(), "no one calls from another namespace: {from_outside:?}");
    let edges = |series: &[Value]| -> Numbers {
        let mut edges = Numbers::new();
        for one in series {
            let label = |name: &str| one["metric"][name].as_str().unwrap_or_default().to_owned();
            let edge = (label("source_workload"), label("destination_service_name"));
            *edges.entry(edge).or_default() += value(one);
        }
        edges
    };
    let (unknown, within) = (edges(&unknown), edges(&within));
    ensure!(has(&unknown, ("unknown", "gateway")) && unknown.len() == 1, "strangers: {unknown:?}");
    for edge in &EDGES[1..] {
        ensure!(has(&within, *edge), "Kiali has no {edge:?}: {within:?}");
        let query = format!(
            "sum(istio_requests_total{{source_workload=\"{}\",destination_workload=\"{}\"}}) - \
             sum(traces_service_graph_request_total{{client=\"{}\",server=\"{}\"}})",
            edge.0, edge.1, edge.0, edge.1
        );
        let difference = prometheus.query(&query)?.with_context(|| query.clone())?;
        ensure!(difference.abs() <= 2.0, "{edge:?} is off by {difference} for Kiali");
    }
    ensure!(within.len() == EDGES.len() - 1, "Kiali has other edges: {within:?}");
    println!("map: Kiali's three queries give the same {} edges", EDGES.len());
    Ok(())
}

fn numbers(
    prometheus: &Prometheus,
    query: &str,
    client: &str,
    server: &str,
) -> anyhow::Result<Numbers> {
    let series = prometheus.series(query)?;
    let label =
        |one: &Value, name: &str| one["metric"][name].as_str().unwrap_or_default().to_owned();
    Ok(series.iter().map(|one| ((label(one, client), label(one, server)), value(one))).collect())
}

fn value(series: &Value) -> f64 {
    series["value"][1].as_str().and_then(|text| text.parse().ok()).unwrap_or(f64::NAN)
}

fn of(numbers: &Numbers, edge: (&str, &str)) -> f64 {
    numbers.get(&(edge.0.to_owned(), edge.1.to_owned())).copied().unwrap_or(f64::NAN)
}

fn has(numbers: &Numbers, edge: (&str, &str)) -> bool {
    !of(numbers, edge).is_nan()
}
