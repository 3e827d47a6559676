//! What an outage of stock does to the rest of the shop, second by second.

use crate::{services::stock::Weather, site::Site};
use meshwise::client::reqwest;
use serde_json::json;
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio::{task::JoinSet, time::MissedTickBehavior};

/// The weather and how many seconds it lasts.
const FORECAST: [(Weather, u32); 4] =
    [(Weather::Well, 3), (Weather::Slow, 4), (Weather::Dead, 5), (Weather::Well, 8)];

/// How many orders, and how many look-ups that need no stock, come in a second.
const ORDERS: u32 = 25;
const LOOK_UPS: u32 = 15;

/// How long a shopper waits.
const PATIENCE: Duration = Duration::from_secs(2);

/// What became of the calls of one kind that ended in one second.
#[derive(Debug, Default)]
struct Fared {
    took: Vec<Duration>,
    /// Orders that were taken though stock could not be asked.
    noted: usize,
    failed: usize,
}

impl Fared {
    fn p99(&mut self) -> Duration {
        self.took.sort_unstable();
        let rank = (self.took.len() * 99).div_ceil(100);
        self.took.get(rank.saturating_sub(1)).copied().unwrap_or_default()
    }
}

/// The two kinds of calls: orders need stock, look-ups do not.
#[derive(Debug, Default)]
struct Second {
    orders: Fared,
    look_ups: Fared,
}

type Now = Arc<Mutex<Second>>;

/// What a run came to while stock was slow or dead, and at its end.
#[derive(Debug)]
pub(crate) struct Summary {
    /// Orders that failed.
    pub(crate) failed: usize,
    /// Look-ups that failed, though they need no stock.
    pub(crate) look_ups_failed: usize,
    /// The worst 99th percentile of the time that look-ups took in a second.
    pub(crate) look_up_p99: Duration,
    /// The most calls that were in flight in the gateway.
    pub(crate) most_in_flight: u64,
    /// Whether all orders went through again in the last second: none was refused, noted or failed.
    pub(crate) recovered: bool,
}

/// Lets stock fall ill and get well, under load; prints a line for each second.
pub(crate) async fn run(site: &Site) -> anyhow::Result<Summary> {
    say!("\n  sec  stock  orders  noted  failed  p99 ms | look-ups  failed  p99 ms | in flight");
    let client = reqwest::Client::builder().timeout(PATIENCE).build()?;
    let now = Now::default();
    let mut load = JoinSet::new();
    load.spawn(orders(site, client.clone(), Arc::clone(&now)));
    load.spawn(look_ups(site, client, Arc::clone(&now)));

    let mut summary = Summary {
        failed: 0,
        look_ups_failed: 0,
        look_up_p99: Duration::ZERO,
        most_in_flight: 0,
        recovered: false,
    };
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    ticks.tick().await;
    let mut second = 0;
    for (weather, seconds) in FORECAST {
        site.set_weather(weather);
        for _ in 0..seconds {
            ticks.tick().await;
            second += 1;
            let mut fared =
                std::mem::take(&mut *now.lock().unwrap_or_else(PoisonError::into_inner));
            let in_flight = site.gateway_in_flight();
            summary.most_in_flight = summary.most_in_flight.max(in_flight);
            summary.failed += fared.orders.failed;
            summary.look_ups_failed += fared.look_ups.failed;
            summary.look_up_p99 = summary.look_up_p99.max(fared.look_ups.p99());
            let Fared { took, noted, failed } = &fared.orders;
            summary.recovered = !took.is_empty() && failed + noted == 0;
            print_second(second, weather, fared, in_flight);
            site.forget_old();
        }
    }
    load.shutdown().await;
    Ok(summary)
}

fn print_second(second: u32, weather: Weather, mut fared: Second, in_flight: u64) {
    let word = match weather {
        Weather::Well => "well",
        Weather::Slow => "slow",
        Weather::Dead => "dead",
    };
    let millis = |duration: Duration| duration.as_secs_f64() * 1e3;
    let (orders, look_ups) = (millis(fared.orders.p99()), millis(fared.look_ups.p99()));
    let bar = "#".repeat(usize::try_from(in_flight / 2).unwrap_or(0).min(40));
    say!(
        "  {second:3}  {word:5} {:7} {:6} {:7} {orders:7.0} | {:8} {:7} {look_ups:7.0} | {in_flight:4} {bar}",
        fared.orders.took.len(),
        fared.orders.noted,
        fared.orders.failed,
        fared.look_ups.took.len(),
        fared.look_ups.failed,
    );
}

/// Places orders at a steady rate, whatever becomes of those before.
fn orders(site: &Site, client: reqwest::Client, now: Now) -> impl Future<Output = ()> + use<> {
    let url = format!("http://{}/shop/orders", site.gateway());
    let order = json!({"user": "ada", "item": "tea", "count": 1}).to_string();
    steady(ORDERS, move || {
        let request = client.post(&url).header("content-type", "application/json");
        let request = request.body(order.clone());
        let now = Arc::clone(&now);
        async move {
            let (took, status) = timed(request).await;
            let mut now = now.lock().unwrap_or_else(PoisonError::into_inner);
            now.orders.noted += usize::from(status == Some(202));
            note(&mut now.orders, took, matches!(status, Some(201 | 202)));
        }
    })
}

/// Looks orders up at a steady rate.
fn look_ups(site: &Site, client: reqwest::Client, now: Now) -> impl Future<Output = ()> + use<> {
    let url = format!("http://{}/shop/orders/1", site.gateway());
    steady(LOOK_UPS, move || {
        let request = client.get(&url);
        let now = Arc::clone(&now);
        async move {
            let (took, status) = timed(request).await;
            let mut now = now.lock().unwrap_or_else(PoisonError::into_inner);
            note(&mut now.look_ups, took, status == Some(404));
        }
    })
}

fn note(fared: &mut Fared, took: Duration, well: bool) {
    fared.took.push(took);
    fared.failed += usize::from(!well);
}

async fn timed(request: reqwest::RequestBuilder) -> (Duration, Option<u16>) {
    let started = Instant::now();
    let answer = request.send().await;
    let status = answer.as_ref().ok().map(|answer| answer.status().as_u16());
    if let Ok(answer) = answer {
        let _ = answer.bytes().await;
    }
    (started.elapsed(), status)
}

/// Starts a call `rate` times a second, for ever.
async fn steady<F: Future<Output = ()> + Send + 'static>(rate: u32, mut call: impl FnMut() -> F) {
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / rate);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut calls = JoinSet::new();
    loop {
        ticks.tick().await;
        calls.spawn(call());
        while calls.try_join_next().is_some() {}
    }
}
