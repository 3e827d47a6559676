//! JSON and YAML, read into one value within bounds.

mod yaml;

use serde_json::Value;

use super::error::ContractError;
use crate::text::shorten;

/// Reads JSON if the text begins as such, YAML 1.2 else.
///
/// `serde_json` ends at a nesting of 128.
pub(super) fn read(name: &str, text: &str) -> Result<Value, ContractError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim_start().starts_with(['{', '[']) {
        return match serde_json::from_str(text) {
            Ok(value) => Ok(value),
            // A YAML document may begin with a brace too; JSON's error is the better one if not.
            Err(error) => yaml::read(text)
                .map_err(|_| ContractError::unreadable(name, shorten(&error.to_string()))),
        };
    }
    yaml::read(text).map_err(|reason| ContractError::unreadable(name, reason))
}
