//! The gateway: what shoppers talk to.

use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use meshwise::prelude::*;
use serde_json::{Value, json};

pub(crate) fn routes(orders: Client) -> Router {
    Router::new()
        .route("/shop/orders", post(buy))
        .route("/shop/orders/{id}", get(look_up))
        .with_state(orders)
}

/// Takes an order: `{"user": "ada", "item": "tea", "count": 2}`.
async fn buy(State(orders): State<Client>, Json(order): Json<Value>) -> Response {
    tracing::info!(user = order["user"].as_str(), item = order["item"].as_str(), "order comes in");
    pass_on(orders.post("/orders").template("/orders").json(&order).send().await).await
}

async fn look_up(State(orders): State<Client>, Path(id): Path<u64>) -> Response {
    pass_on(orders.get(format!("/orders/{id}")).template("/orders/{id}").send().await).await
}

/// Answers as the orders service did, or says that it could not be asked.
async fn pass_on<E: std::fmt::Display>(
    answer: Result<meshwise::client::reqwest::Response, E>,
) -> Response {
    match answer {
        Ok(answer) => {
            let status = answer.status();
            let body: Value = answer.json().await.unwrap_or(Value::Null);
            (status, Json(body)).into_response()
        }
        Err(error) => {
            tracing::error!(%error, "orders cannot be reached");
            (StatusCode::BAD_GATEWAY, Json(json!({"error": "orders cannot be reached"})))
                .into_response()
        }
    }
}
