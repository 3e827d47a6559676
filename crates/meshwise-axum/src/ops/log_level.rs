//! `/log-level`: the filter in force, and another one.

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use meshwise_log::LogHandle;

/// The longest filter that is taken, in bytes.
const MAX_FILTER: usize = 4096;

pub(super) async fn get(State(logs): State<LogHandle>) -> String {
    logs.filter() + "\n"
}

pub(super) async fn set(State(logs): State<LogHandle>, body: String) -> Response {
    let filter = body.trim();
    if filter.is_empty() || filter.len() > MAX_FILTER {
        return (
            StatusCode::BAD_REQUEST,
            format!("send a filter of 1 to {MAX_FILTER} bytes, such as `info,orders=debug`\n"),
        )
            .into_response();
    }
    match logs.set_filter(filter) {
        Ok(()) => (StatusCode::OK, logs.filter() + "\n").into_response(),
        Err(error) => (StatusCode::BAD_REQUEST, format!("{error}\n")).into_response(),
    }
}
