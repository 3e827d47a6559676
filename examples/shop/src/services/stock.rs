//! Stock: has some items, is slow about some, and fails on others. In bad weather it is slow about
//! all, or answers no one.

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::StatusCode,
    routing::post,
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::sync::watch;

/// How stock is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weather {
    Well,
    /// Takes a second for each call.
    Slow,
    /// Takes calls and answers none: the worst kind of dead.
    Dead,
}

#[derive(Debug, Deserialize)]
struct Amount {
    count: u32,
}

pub(crate) fn routes(weather: watch::Receiver<Weather>) -> Router {
    Router::new().route("/items/{item}/reserve", post(reserve)).with_state(weather)
}

async fn reserve(
    State(mut weather): State<watch::Receiver<Weather>>,
    Path(item): Path<String>,
    Query(amount): Query<Amount>,
) -> (StatusCode, Json<Value>) {
    let status = fate(&mut weather, &item, amount.count).await;
    // Its callers look at the status alone, as most do.
    (status, Json(json!({"item": item, "reserved": status == StatusCode::OK})))
}

async fn fate(weather: &mut watch::Receiver<Weather>, item: &str, count: u32) -> StatusCode {
    let now = *weather.borrow_and_update();
    match now {
        Weather::Well => {}
        Weather::Slow => tokio::time::sleep(Duration::from_secs(1)).await,
        Weather::Dead => {
            let _ = weather.wait_for(|weather| *weather == Weather::Well).await;
        }
    }
    match item {
        "tea" => {
            // The look-up in the back room takes a while.
            tokio::time::sleep(Duration::from_millis(3)).await;
            tracing::info!(count, "reserved");
            StatusCode::OK
        }
        "piano" => {
            tracing::warn!("the piano is at the far end of the store");
            tokio::time::sleep(Duration::from_millis(150)).await;
            StatusCode::OK
        }
        "statue" => {
            // Longer than anyone waits.
            tokio::time::sleep(Duration::from_secs(30)).await;
            StatusCode::OK
        }
        "ghost" => {
            tracing::error!("the shelf is gone");
            StatusCode::INTERNAL_SERVER_ERROR
        }
        _ => StatusCode::CONFLICT,
    }
}
