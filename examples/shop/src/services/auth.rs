//! Auth: knows who is a customer.

use axum::{Router, extract::Query, http::StatusCode, routing::get};
use serde::Deserialize;

const CUSTOMERS: [&str; 2] = ["ada", "grace"];

#[derive(Debug, Deserialize)]
struct Who {
    user: String,
}

pub(crate) fn routes() -> Router {
    Router::new().route("/check", get(check))
}

async fn check(Query(who): Query<Who>) -> StatusCode {
    let known = CUSTOMERS.contains(&who.user.as_str());
    tracing::info!(user = who.user, known, "looked up");
    if known { StatusCode::NO_CONTENT } else { StatusCode::FORBIDDEN }
}
