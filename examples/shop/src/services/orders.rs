//! Orders: asks auth who buys, and stock whether there is enough.

use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use meshwise::prelude::*;
use serde::Deserialize;
use serde_json::json;
use std::time::Duration;

/// How long stock may take.
const STOCK_PATIENCE: Duration = Duration::from_millis(400);

#[derive(Clone)]
struct Neighbours {
    auth: Client,
    stock: Client,
}

#[derive(Debug, Deserialize)]
struct Order {
    user: String,
    item: String,
    count: u32,
}

pub(crate) fn routes(auth: Client, stock: Client) -> Router {
    Router::new()
        .route("/orders", post(place))
        .route("/orders/{id}", get(find))
        .with_state(Neighbours { auth, stock })
}

async fn place(State(neighbours): State<Neighbours>, Json(order): Json<Order>) -> Response {
    match authorize(&neighbours.auth, &order.user).await {
        Ok(true) => {}
        Ok(false) => {
            tracing::warn!(user = order.user, "refused: not a customer");
            return (StatusCode::FORBIDDEN, Json(json!({"error": "not a customer"})))
                .into_response();
        }
        Err(error) => return unavailable("auth", &error),
    }
    match reserve(&neighbours.stock, &order).await {
        Ok(StatusCode::OK) => {
            tracing::info!(item = order.item, count = order.count, "order placed");
            (StatusCode::CREATED, Json(json!({"order": 1}))).into_response()
        }
        Ok(StatusCode::CONFLICT) => {
            (StatusCode::CONFLICT, Json(json!({"error": "sold out"}))).into_response()
        }
        Ok(status) => unavailable("stock", &format!("it answers {status}")),
        Err(error) => unavailable("stock", &error),
    }
}

async fn find(Path(id): Path<u64>) -> Response {
    tracing::debug!(id, "looking for an order");
    (StatusCode::NOT_FOUND, Json(json!({"error": "no such order"}))).into_response()
}

/// Asks auth whether a user may buy. An `#[instrument]` span of one's own joins the trace.
#[tracing::instrument(skip(auth))]
async fn authorize(auth: &Client, user: &str) -> Result<bool, String> {
    let answer = auth.get("/check").query("user", user).template("/check").send().await;
    let status = answer.map_err(|error| error.to_string())?.status();
    tracing::info!(allowed = status.is_success(), "auth has spoken");
    Ok(status.is_success())
}

async fn reserve(stock: &Client, order: &Order) -> Result<StatusCode, String> {
    let path = format!("/items/{}/reserve", order.item);
    let request = stock.post(path).template("/items/{item}/reserve").query("count", order.count);
    let answer = request.timeout(STOCK_PATIENCE).send().await;
    Ok(answer.map_err(|error| error.to_string())?.status())
}

fn unavailable(neighbour: &str, error: &str) -> Response {
    tracing::error!(neighbour, error, "can't place the order");
    let said = json!({"error": format!("{neighbour} is not available")});
    (StatusCode::SERVICE_UNAVAILABLE, Json(said)).into_response()
}
