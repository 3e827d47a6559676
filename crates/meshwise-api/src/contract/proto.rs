//! Compares two `.proto` files.

mod compare;
mod enums;
mod fields;
mod lexer;
mod model;
mod options;
mod services;

use super::{change::Comparison, error::ContractError};
use crate::text::shorten;

pub(super) use model::File;

/// Reads a file of proto2, proto3, or an edition.
///
/// The parser knows no editions: what differs in writing is turned into proto3 first, and what
/// differs in meaning is read from the file's features.
pub(super) fn read(name: &str, text: &str) -> Result<File, ContractError> {
    let error = |reason: String| ContractError::unreadable(name, reason);
    let source = lexer::prepare(text).map_err(error)?;
    let file = protox_parse::parse("description.proto", &source.text).map_err(|cause| {
        let place = cause.span().map(|span| format!(" in line {}", line_of(text, span.start)));
        error(format!("{}{}", shorten(&cause.to_string()), place.unwrap_or_default()))
    })?;
    Ok(File::new(&file, source.edition))
}

fn line_of(text: &str, offset: usize) -> usize {
    let before = text.as_bytes().get(..offset).unwrap_or(text.as_bytes());
    before.iter().filter(|byte| **byte == b'\n').count() + 1
}

pub(super) fn compare(old: &File, new: &File) -> Comparison {
    compare::files(old, new)
}
