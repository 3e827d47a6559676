//! `/metrics` of a whole service as `OpenMetrics`, over sockets, with what a program may record.

#[path = "../../crates/meshwise-metrics/tests/support/strict.rs"]
#[allow(dead_code, unreachable_pub, reason = "the tests of meshwise-metrics use all of it")]
mod strict;

use axum::{Router, routing::post};
use meshwise::client::reqwest;
use meshwise_metrics::Format;
use meshwise_testing::TestMesh;
use meshwise_tests::serve;
use metrics::{counter, gauge, histogram};

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0";

async fn take_order() {
    counter!("orders_total").increment(1);
    counter!("orders_created_total").increment(2);
    histogram!("temp_delta").record(-5.0);
    gauge!("wait_created").set(7.0);
    histogram!("wait").record(0.1);
    gauge!("depth").increment(f64::NAN);
    gauge!("depth").increment(3.0);
}

#[tokio::test]
async fn a_strict_scraper_reads_whatever_a_handler_records() {
    let mesh = TestMesh::new("orders");
    let routes = Router::new().route("/orders", post(take_order)).layer(mesh.server_layer());
    let served = serve(mesh.ops_router().merge(routes)).await;
    let http = reqwest::Client::new();
    for _ in 0..2 {
        http.post(served.url("/orders"))
            .send()
            .await
            .expect("an answer")
            .bytes()
            .await
            .expect("all");
    }
    let scrape = async |accept: &str| {
        let answer = http.get(served.url("/metrics")).header("accept", accept).send();
        answer.await.expect("an answer").text().await.expect("a page")
    };
    let open = strict::parse(&scrape(OPEN_METRICS).await, Format::OpenMetrics);
    let text = strict::parse(&scrape("text/plain").await, Format::Text);
    for exposed in [&open, &text] {
        for (name, value) in [
            ("orders_total", 2.0),
            ("orders_created_total", 4.0),
            ("wait_created", 7.0),
            ("wait_count", 2.0),
            ("depth", 6.0),
        ] {
            assert_eq!(exposed.value(name, &[]), value, "{name}");
        }
        let refused = [("signal", "metrics"), ("reason", "refused")];
        assert_eq!(exposed.value("meshwise_telemetry_dropped_total", &refused), 2.0);
        assert_eq!(exposed.value("temp_delta_bucket", &[("le", "+Inf")]), 2.0);
    }
    assert_eq!(text.value("temp_delta_sum", &[]), -10.0);
    let samples = &open.family("temp_delta").samples;
    assert!(samples.iter().all(|sample| sample.name == "temp_delta_bucket"), "{samples:?}");
    // Labels of calls, by the names of today's conventions.
    let calls = &open.family("http_server_request_duration_seconds").samples;
    assert!(calls.iter().all(|sample| sample.labels["http_route"] == "/orders"), "{calls:?}");
}
