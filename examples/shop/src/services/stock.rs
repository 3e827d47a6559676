//! Stock: has some items, is slow about some, and fails on others.

use axum::{
    Router,
    extract::{Path, Query},
    http::StatusCode,
    routing::post,
};
use serde::Deserialize;
use std::time::Duration;

#[derive(Debug, Deserialize)]
struct Amount {
    count: u32,
}

pub(crate) fn routes() -> Router {
    Router::new().route("/items/{item}/reserve", post(reserve))
}

async fn reserve(Path(item): Path<String>, Query(amount): Query<Amount>) -> StatusCode {
    match item.as_str() {
        "tea" => {
            // The look-up in the back room takes a while.
            tokio::time::sleep(Duration::from_millis(3)).await;
            tracing::info!(count = amount.count, "reserved");
            StatusCode::OK
        }
        "piano" => {
            tracing::warn!("the piano is at the far end of the store");
            tokio::time::sleep(Duration::from_millis(150)).await;
            StatusCode::OK
        }
        "statue" => {
            // Longer than anybody waits.
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
