//! Each call in the shop is counted once under an API's version, or is known not to be.

use crate::{load, queue::Queue, site::Site};

/// Adds up the series of a metric of one service.
fn sum(site: &Site, service: &str, metric: &str) -> f64 {
    let metrics = site.metrics();
    let of = metrics.iter().filter(|((name, series), _)| {
        *name == service && series.strip_prefix(metric).is_some_and(|rest| rest.starts_with('{'))
    });
    of.map(|(_, value)| value).sum()
}

#[tokio::test]
async fn every_call_of_an_api_is_counted() {
    let queue = Queue::open(None).await.expect("a queue");
    let site = Site::start(true, queue, None, None).await.expect("a shop");
    load::tour(&site).await.expect("a tour");
    load::tea(&site, 150).await.expect("tea");
    let client = meshwise::client::reqwest::Client::new();
    let providers = ["orders", "auth", "stock"];
    for service in site.services.iter().filter(|service| providers.contains(&service.name)) {
        for _ in 0..10 {
            for path in ["/wp-admin", "/.env"] {
                let url = format!("http://{}{path}", service.address);
                let answer = client.get(url).send().await.expect("an answer");
                assert_eq!(answer.status(), 404);
            }
        }
    }
    // The last call's end is seen a moment after its answer.
    for _ in 0..2000 {
        if providers.iter().all(|service| balance(&site, service) == 20.0) {
            break;
        }
        tokio::task::yield_now().await;
    }
    for service in providers {
        assert_eq!(balance(&site, service), 20.0, "{service}: the scanners' alone");
        assert!(sum(&site, service, "meshwise_api_calls_total") >= 150.0, "{service}");
        assert_eq!(sum(&site, service, "meshwise_api_unrouted_requests_total"), 0.0, "{service}");
    }
    site.shutdown().await;
}

/// Returns how many requests were served and not counted.
fn balance(site: &Site, service: &str) -> f64 {
    let sum = |metric| sum(site, service, metric);
    sum("http_server_request_duration_seconds_count")
        + sum("rpc_server_call_duration_seconds_count")
        - sum("meshwise_api_calls_total")
        - sum("meshwise_api_unrouted_requests_total")
}
