//! Answers in JSON, written from the values that settings are made of: a build that wants no more than
//! metrics and health pulls in no serializer.

use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use meshwise_core::settings::Value;

pub(super) fn json(value: &Value) -> Response {
    ([(CONTENT_TYPE, "application/json")], written(value)).into_response()
}

pub(super) fn written(value: &Value) -> String {
    let mut out = String::new();
    // Writing to memory does not fail.
    let _ = value.write_json(&mut out);
    out
}

pub(super) fn text(text: impl Into<String>) -> Value {
    Value::Text(text.into())
}

pub(super) fn whole(number: impl TryInto<i64>) -> Value {
    Value::Whole(number.try_into().unwrap_or(i64::MAX))
}

/// Leaves out what there is not.
pub(super) fn table<const N: usize>(members: [(&str, Option<Value>); N]) -> Value {
    let there = members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value::Table(there.collect())
}
