//! A service that passes calls on.
//!
//! `POST /test` takes a JSON array of `{"url": "...", "arguments": ...}` and POSTs each one's
//! arguments to its URL, in order: the shape that the W3C trace-context validation suite drives.

#![allow(
    clippy::exhaustive_enums,
    clippy::exhaustive_structs,
    reason = "nothing outside of this workspace uses it"
)]

use axum::{
    Json, Router,
    extract::State,
    http::{Request, StatusCode, header::CONTENT_TYPE},
    routing::post,
};
use meshwise::{
    Mesh,
    client::{Client, reqwest},
};
use serde::Deserialize;
use serde_json::Value;
use std::fmt::Display;
use tower::ServiceExt;

/// One call to pass on.
#[derive(Debug, Deserialize)]
pub struct Step {
    /// Where to.
    pub url: String,
    /// What to send, as JSON.
    #[serde(default)]
    pub arguments: Value,
}

/// Makes the relay's routes, for `mesh.serve` or `mesh.wrap`.
///
/// # Errors
/// If the client cannot be set up.
pub fn routes(mesh: &Mesh) -> anyhow::Result<Router> {
    // Its callers say where to: it is for tests.
    let next = mesh.client("next").with_any_host(true).build()?;
    Ok(Router::new().route("/test", post(relay)).with_state(next))
}

async fn relay(
    State(next): State<Client>,
    Json(steps): Json<Vec<Step>>,
) -> Result<Json<Vec<u16>>, (StatusCode, String)> {
    let mut statuses = Vec::with_capacity(steps.len());
    for step in steps {
        let failed =
            |error: &dyn Display| (StatusCode::BAD_GATEWAY, format!("{}: {error}", step.url));
        // A client is a service, too: a request with a whole URL goes where that says.
        let request = Request::post(&step.url)
            .header(CONTENT_TYPE, "application/json")
            .body(reqwest::Body::from(step.arguments.to_string()))
            .map_err(|error| failed(&error))?;
        let response = next.clone().oneshot(request).await.map_err(|error| failed(&error))?;
        statuses.push(response.status().as_u16());
    }
    Ok(Json(statuses))
}
