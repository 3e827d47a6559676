//! `cargo meshwise schema`.

use super::Context;
use crate::exit::{Exit, Failure};

/// Prints the JSON Schema of the declaration, in any format: a schema is JSON for people too.
///
/// # Errors
/// Stdout's.
pub(crate) fn run(context: &mut Context) -> Result<Exit, Failure> {
    context.out.json(&meshwise_api::json_schema())?;
    Ok(Exit::Ok)
}
