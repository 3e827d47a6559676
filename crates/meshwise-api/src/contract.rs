//! The description of an API (OpenAPI, proto, …), and whether a newer one keeps what an older one promised.
//!
//! ```
//! use meshwise_api::contract::{Description, Severity};
//!
//! let old = Description::read("auth.proto", r#"
//!     syntax = "proto3";
//!     package auth.v1;
//!     message Token { string value = 1; int64 expires = 2; }
//! "#)?;
//! let new = Description::read("auth.proto", r#"
//!     syntax = "proto3";
//!     package auth.v1;
//!     message Token { string value = 1; }
//! "#)?;
//! let comparison = old.compare(&new, None)?;
//! let change = &comparison.changes()[0];
//! assert_eq!(change.severity(), Severity::Breaking);
//! assert_eq!(change.rule().id(), "proto-field-removed-not-reserved");
//! assert_eq!(change.path(), "auth.v1.Token.expires");
//! # Ok::<(), meshwise_api::contract::ContractError>(())
//! ```
//!
//! A caller of the older document must be served by the newer one: what it may send must still be
//! taken, and what it gets must be what it was told to expect. So data that callers send may only get
//! wider, and data that they receive only narrower; one comparison serves both, with the sides swapped.
//!
//! | what | read | compared |
//! |---|---|---|
//! | OpenAPI 3.0, 3.1 and 3.2, JSON or YAML | yes | yes |
//! | `.proto`: proto2, proto3, editions 2023 and 2024 | yes | yes, one file: what it imports is compared by name |
//! | AsyncAPI, JSON Schema, Swagger 2.0 | the form | no, [`ContractError::NotCompared`] |
//!
//! Texts are taken as hostile: 8 MiB at most, nesting and work are bounded, references are followed
//! within the document only, and nothing is fetched.

mod change;
mod error;
mod json;
mod kind;
mod openapi;
mod proto;
mod rules;

use crate::{canonical::Digest, date::Date, text::shorten};

pub use change::{Change, Comparison, Severity};
pub use error::{ContractError, MAX_BYTES};
pub use kind::DescriptionKind;
pub use rules::Rule;

/// The description of one version of an API, as it was read.
#[derive(Clone, Debug)]
pub struct Description {
    kind: DescriptionKind,
    digest: Digest,
    model: Model,
}

#[derive(Clone, Debug)]
enum Model {
    Json(serde_json::Value),
    Proto(Box<proto::File>),
}

impl Description {
    /// Reads a description; the name (a path) ends in `.proto`, or the text is JSON or YAML.
    ///
    /// # Errors
    /// If the text is too large, has no form that is known, or is written wrongly.
    pub fn read(name: &str, text: &str) -> Result<Self, ContractError> {
        if text.len() > MAX_BYTES {
            return Err(ContractError::TooLarge { name: shorten(name), bytes: text.len() });
        }
        let digest = Digest::of(text.as_bytes());
        let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
        if extension.eq_ignore_ascii_case("proto") {
            let file = proto::read(name, text)?;
            return Ok(Self {
                kind: DescriptionKind::Proto,
                digest,
                model: Model::Proto(Box::new(file)),
            });
        }
        let value = json::read(name, text)?;
        let kind = kind_of(&value).ok_or_else(|| ContractError::UnknownKind(shorten(name)))?;
        if kind == DescriptionKind::OpenApi {
            openapi::version(&value).map_err(|reason| ContractError::unreadable(name, reason))?;
        }
        Ok(Self { kind, digest, model: Model::Json(value) })
    }

    /// Returns what it is written in.
    #[must_use]
    pub const fn kind(&self) -> DescriptionKind {
        self.kind
    }

    /// Returns the SHA-256 digest of the text.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// Returns the document as JSON, unless it is proto.
    #[must_use]
    pub const fn json(&self) -> Option<&serde_json::Value> {
        match &self.model {
            Model::Json(value) => Some(value),
            Model::Proto(_) => None,
        }
    }

    /// Compares this older description with a newer one, as a caller of the older sees it.
    ///
    /// The day decides whether a removed operation's `x-sunset` has passed; without one, none has.
    ///
    /// # Errors
    /// If they are of different kinds, of a kind that is not compared, or too entangled to be
    /// compared within bounds. An error never means that they are compatible.
    pub fn compare(&self, newer: &Self, today: Option<Date>) -> Result<Comparison, ContractError> {
        if self.kind != newer.kind {
            return Err(ContractError::DifferentKinds { old: self.kind, new: newer.kind });
        }
        if self.digest == newer.digest {
            return Ok(Comparison::default());
        }
        match (&self.model, &newer.model) {
            (Model::Proto(old), Model::Proto(new)) => Ok(proto::compare(old, new)),
            (Model::Json(old), Model::Json(new)) if self.kind == DescriptionKind::OpenApi => {
                openapi::compare(old, new, today)
            }
            _ => Err(ContractError::NotCompared(self.kind)),
        }
    }
}

/// Tells what a JSON document is by the key that its specification demands.
fn kind_of(value: &serde_json::Value) -> Option<DescriptionKind> {
    let has = |key: &str| value.get(key).is_some();
    if has("openapi") {
        Some(DescriptionKind::OpenApi)
    } else if has("swagger") {
        Some(DescriptionKind::Swagger)
    } else if has("asyncapi") {
        Some(DescriptionKind::AsyncApi)
    } else if ["$schema", "$defs", "definitions", "properties"].into_iter().any(has) {
        Some(DescriptionKind::JsonSchema)
    } else {
        None
    }
}
