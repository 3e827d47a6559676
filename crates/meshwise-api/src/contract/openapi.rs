//! Compares two OpenAPI documents.

mod dialect;
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

pub(super) use self::dialect::version;
use self::{document::OpenApiDocument, operations::Operations, schemas::Comparer};
use super::{change::Comparison, error::ContractError};
use crate::date::Date;

pub(super) fn compare(
    old: &Value,
    new: &Value,
    today: Option<Date>,
) -> Result<Comparison, ContractError> {
    let read =
        |name: &str, root| version(root).map_err(|reason| ContractError::unreadable(name, reason));
    let (old_dialect, new_dialect) = (read("the older", old)?, read("the newer", new)?);
    let mut comparer = Comparer::new(
        OpenApiDocument::new(old, old_dialect),
        OpenApiDocument::new(new, new_dialect),
    );
    Operations::new(&mut comparer, today).run();
    comparer.finish()
}
