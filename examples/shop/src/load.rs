//! Shoppers: a tour that shows each kind of call, and a steady load.

use crate::site::Site;
use anyhow::Context as _;
use meshwise::client::reqwest::{self, StatusCode};
use serde_json::json;
use std::time::{Duration, Instant};

/// One request of the tour and what became of it.
pub(crate) struct Made {
    pub(crate) what: &'static str,
    pub(crate) status: StatusCode,
    pub(crate) took: Duration,
    pub(crate) request_id: String,
}

/// One kind of shopper.
struct Shopper {
    what: &'static str,
    user: &'static str,
    item: &'static str,
}

const SHOPPERS: [Shopper; 6] = [
    Shopper { what: "ada buys tea", user: "ada", item: "tea" },
    Shopper { what: "grace buys a piano (slow)", user: "grace", item: "piano" },
    Shopper { what: "a stranger buys tea (refused)", user: "mallory", item: "tea" },
    Shopper { what: "ada buys the moon (sold out)", user: "ada", item: "moon" },
    Shopper { what: "ada buys a ghost (stock fails)", user: "ada", item: "ghost" },
    Shopper { what: "ada buys a statue (stock hangs; noted)", user: "ada", item: "statue" },
];

/// Sends one request of each kind, and waits until all of their spans have ended.
pub(crate) async fn tour(site: &Site) -> anyhow::Result<Vec<Made>> {
    let client = reqwest::Client::new();
    let mut made = Vec::new();
    for shopper in &SHOPPERS {
        made.push(send(site, &client, shopper).await?);
    }
    site.mailed().await;
    Ok(made)
}

/// Sends requests for tea, one after the other.
pub(crate) async fn tea(site: &Site, requests: u32) -> anyhow::Result<()> {
    let client = reqwest::Client::new();
    for _ in 0..requests {
        send(site, &client, &SHOPPERS[0]).await?;
    }
    Ok(())
}

/// Sends requests of all kinds in turn, one at each pause, for ever.
pub(crate) async fn steady(site: &Site, pause: Duration) {
    let client = reqwest::Client::new();
    let mut tick = tokio::time::interval(pause);
    for shopper in SHOPPERS.iter().cycle() {
        tick.tick().await;
        // What goes wrong is told by the services' own signals.
        let _ = send(site, &client, shopper).await;
        site.forget_old();
    }
}

async fn send(site: &Site, client: &reqwest::Client, shopper: &Shopper) -> anyhow::Result<Made> {
    let url = format!("http://{}/shop/orders", site.gateway());
    let order = json!({"user": shopper.user, "item": shopper.item, "count": 2});
    let started = Instant::now();
    let response = client
        .post(url)
        .header("content-type", "application/json")
        .body(order.to_string())
        .send()
        .await
        .with_context(|| format!("{}: the gateway did not answer", shopper.what))?;
    let status = response.status();
    let request_id = response
        .headers()
        .get("x-request-id")
        .and_then(|id| id.to_str().ok())
        .context("the gateway's answer carries no x-request-id")?
        .to_owned();
    response.bytes().await.context("the gateway's answer broke off")?;
    Ok(Made { what: shopper.what, status, took: started.elapsed(), request_id })
}
