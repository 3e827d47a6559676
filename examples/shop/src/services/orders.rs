//! Orders: asks auth who buys, and stock whether there is enough; tells the mailer what was placed.

use super::auth::{AuthClient, CheckRequest};
use crate::queue::{Message, ORDER_PLACED, Queue};
use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use meshwise::{
    client::{CallError, ClientError},
    messaging::{Messaging, Producer, Reason},
    prelude::*,
};
use serde::Deserialize;
use serde_json::json;
use tonic::Status;

#[derive(Clone)]
struct Peers {
    auth: AuthClient<GrpcClient>,
    stock: Client,
    placed: Producer,
    queue: Queue,
}

#[derive(Debug, Deserialize)]
struct Order {
    user: String,
    item: String,
    count: u32,
}

pub(crate) fn routes(
    auth: GrpcClient,
    stock: Client,
    messaging: &Messaging,
    queue: Queue,
) -> Router {
    let placed = messaging.producer(queue.system(), ORDER_PLACED);
    let auth = AuthClient::new(auth);
    Router::new().route("/orders", post(place)).route("/orders/{id}", get(find)).with_state(Peers {
        auth,
        stock,
        placed,
        queue,
    })
}

async fn place(State(peers): State<Peers>, Json(order): Json<Order>) -> Response {
    match authorize(&peers.auth, &order.user).await {
        Ok(true) => {}
        Ok(false) => {
            tracing::warn!(user = order.user, "refused: not a customer");
            return (StatusCode::FORBIDDEN, Json(json!({"error": "not a customer"})))
                .into_response();
        }
        Err(status) => return unavailable("auth", status.message()),
    }
    match reserve(&peers.stock, &order).await {
        Ok(StatusCode::OK) => {
            tracing::info!(item = order.item, count = order.count, "order placed");
            tell(&peers, &order).await;
            (StatusCode::CREATED, Json(json!({"order": 1}))).into_response()
        }
        Ok(StatusCode::CONFLICT) => {
            (StatusCode::CONFLICT, Json(json!({"error": "sold out"}))).into_response()
        }
        Ok(status) => unavailable("stock", &format!("it answers {status}")),
        Err(CallError::Call(error)) if error.refused().is_some() => noted(&order, &error),
        Err(error) => unavailable("stock", &error.to_string()),
    }
}

/// Tells the mailer that an order was placed. A service with a database puts the message into its
/// outbox, in the transaction of the order.
async fn tell(peers: &Peers, order: &Order) {
    let sending = peers.placed.send();
    let body = format!("{} x {} for {}", order.count, order.item, order.user);
    let mut message = Message::new(body);
    sending.inject(&mut message.headers);
    let sent = peers.queue.publish(message);
    if let Err(error) = sending.watch(async { sent.await.map_err(Reason::new) }).await {
        tracing::error!(%error, "the mailer is not told");
    }
}

/// Takes an order that stock cannot be asked about now: its guards say that it is not well.
///
/// An answer of 503 would tell the gateway's breaker that orders itself is unwell, and cut it off
/// with all that needs no stock.
fn noted(order: &Order, error: &ClientError) -> Response {
    tracing::warn!(item = order.item, %error, "order noted; stock is asked later");
    (StatusCode::ACCEPTED, Json(json!({"order": 1, "status": "noted"}))).into_response()
}

async fn find(Path(id): Path<u64>) -> Response {
    tracing::debug!(id, "looking for an order");
    (StatusCode::NOT_FOUND, Json(json!({"error": "no such order"}))).into_response()
}

/// Asks auth whether a user may buy. An `#[instrument]` span of one's own joins the trace.
#[tracing::instrument(skip(auth))]
async fn authorize(auth: &AuthClient<GrpcClient>, user: &str) -> Result<bool, Status> {
    let mut auth = auth.clone();
    let asked = || CheckRequest { user: user.to_owned() };
    if !auth.check(asked()).await?.into_inner().allowed {
        return Ok(false);
    }
    let mut permissions = auth.permissions(asked()).await?.into_inner();
    let mut may_buy = false;
    while let Some(permission) = permissions.message().await? {
        may_buy |= permission.name == "buy";
    }
    tracing::info!(may_buy, "auth has spoken");
    Ok(may_buy)
}

async fn reserve(stock: &Client, order: &Order) -> Result<StatusCode, CallError<ClientError>> {
    let path = format!("/items/{}/reserve", order.item);
    let request = stock.post(path).template("/items/{item}/reserve").query("count", order.count);
    Ok(request.send().await?.status())
}

fn unavailable(peer: &str, error: &str) -> Response {
    tracing::error!(peer, error, "cannot place the order");
    let said = json!({"error": format!("{peer} is not available")});
    (StatusCode::SERVICE_UNAVAILABLE, Json(said)).into_response()
}
