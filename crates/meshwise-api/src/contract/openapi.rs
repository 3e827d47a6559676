//! Compares two OpenAPI documents.

mod discriminator;
mod document;
mod flat;
mod headers;
mod operations;
mod schemas;
mod security;
mod servers;
mod view;

use serde_json::Value;

use self::{document::Document, operations::Operations, schemas::Comparer};
use super::{Comparison, ContractError};
use crate::date::Date;

/// Reads the version of the specification, which decides how a few keywords are read.
pub(super) fn version(root: &Value) -> Result<Dialect, String> {
    let text = match root.get("openapi") {
        Some(Value::String(text)) => text.clone(),
        // YAML reads an unquoted 3.1 as a number.
        Some(Value::Number(number)) => number.to_string(),
        _ => return Err("the key openapi must name a version, as in \"3.1.0\"".to_owned()),
    };
    match text.split('.').take(2).collect::<Vec<_>>()[..] {
        ["3", "0"] => Ok(Dialect::V30),
        ["3", "1" | "2"] => Ok(Dialect::V31),
        _ => Err(format!(
            "OpenAPI {} is not read, write 3.0, 3.1 or 3.2",
            crate::text::shorten(&text)
        )),
    }
}

/// What differs between lines of the specification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// `nullable`, and nothing beside a `$ref` counts.
    V30,
    /// JSON Schema 2020-12.
    V31,
}

pub(super) fn compare(
    old: &Value,
    new: &Value,
    today: Option<Date>,
) -> Result<Comparison, ContractError> {
    let read =
        |name: &str, root| version(root).map_err(|reason| ContractError::unreadable(name, reason));
    let (old_dialect, new_dialect) = (read("the older", old)?, read("the newer", new)?);
    let mut comparer =
        Comparer::new(Document::new(old, old_dialect), Document::new(new, new_dialect));
    Operations::new(&mut comparer, today).run();
    comparer.finish()
}
