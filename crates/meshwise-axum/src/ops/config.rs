//! `/config`: the settings in force.

use axum::{extract::State, response::IntoResponse};
use http::header;
use std::{fmt, sync::Arc};

/// Shows the settings as JSON.
#[derive(Clone)]
pub(super) struct Shown(pub(super) Arc<dyn Fn() -> String + Send + Sync>);

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shown(..)")
    }
}

pub(super) async fn get(State(Shown(shown)): State<Shown>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], shown())
}
