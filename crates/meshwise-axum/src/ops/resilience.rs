//! `/resilience`: the guards of every peer, and forcing a breaker.

use axum::{
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use http::{StatusCode, header::CONTENT_TYPE};
use meshwise_resilience::{BreakerMode, BulkheadSnapshot, Guards, PeerSnapshot};
use serde::Serialize;

/// The longest body that is read, in bytes.
const MAX_MODE: usize = 64;

#[derive(Serialize)]
struct ShownGuards {
    /// The limit of this service itself, if it sheds load.
    server: Option<BulkheadSnapshot>,
    peers: Vec<PeerSnapshot>,
}

pub(super) async fn get(State(guards): State<Guards>) -> Response {
    json(&ShownGuards::of(&guards))
}

/// Writes what is shown, as JSON.
pub(super) fn written(guards: &Guards) -> String {
    serde_json::to_string(&ShownGuards::of(guards)).unwrap_or_else(|_| "null".to_owned())
}

impl ShownGuards {
    fn of(guards: &Guards) -> Self {
        let server = guards.server().map(|shed| shed.snapshot());
        Self { server, peers: guards.snapshot() }
    }
}

/// Takes a breaker's mode: `automatic`, `forced_open`, `forced_closed` or `disabled`.
pub(super) async fn set_breaker(
    State(guards): State<Guards>,
    Path(peer): Path<String>,
    body: String,
) -> Response {
    let Some(breaker) = guards.breaker(&peer) else {
        let known: Vec<_> = guards.snapshot().into_iter().map(|shown| shown.peer).collect();
        let said = format!("there is no breaker of that peer; peers: {}\n", known.join(", "));
        return (StatusCode::NOT_FOUND, said).into_response();
    };
    let said = body.get(..MAX_MODE).unwrap_or(&body).trim();
    match said.parse::<BreakerMode>() {
        Ok(mode) => {
            breaker.set_mode(mode);
            tracing::warn!(target: "meshwise", peer, ?mode, "a breaker was set by hand");
            json(&breaker.snapshot())
        }
        Err(error) => (StatusCode::BAD_REQUEST, format!("{error}\n")).into_response(),
    }
}

/// Answers in JSON. axum's own `Json` is behind a feature that pulls in more than is needed to write.
fn json(value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(body) => ([(CONTENT_TYPE, "application/json")], body).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}
