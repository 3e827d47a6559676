//! Lines of the specification.

use crate::text::shorten;
use serde_json::Value;

/// Reads the version of the specification, which decides how a few keywords are read.
pub(in crate::contract) fn version(root: &Value) -> Result<Dialect, String> {
    let text = match root.get("openapi") {
        Some(Value::String(text)) => text.clone(),
        // YAML reads an unquoted 3.1 as a number.
        Some(Value::Number(number)) => number.to_string(),
        _ => return Err("the key openapi must name a version, as in \"3.1.0\"".to_owned()),
    };
    match text.split('.').take(2).collect::<Vec<_>>()[..] {
        ["3", "0"] => Ok(Dialect::V30),
        ["3", "1" | "2"] => Ok(Dialect::V31),
        _ => Err(format!("OpenAPI {} is not read, write 3.0, 3.1 or 3.2", shorten(&text))),
    }
}

/// What differs between lines of the specification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::contract) enum Dialect {
    /// `nullable`, and nothing beside a `$ref` counts.
    V30,
    /// JSON Schema 2020-12.
    V31,
}
