//! The JSON Schema of `api.toml`, for editors and for other languages.

use serde_json::{Value, json};

use crate::{
    declaration::{Declaration, Transport},
    finding::Finding,
    policy::{MAX_LOCK_AGE_DAYS, MIN_DEPRECATION_DAYS, Policy},
    reader::MAX_DAYS,
    scheme::{MAX_NAME_LEN, Scheme, Version},
};

/// Where the schema is named; nothing is fetched from there.
const ID: &str = "https://meshwise.dev/schema/api-1.json";

/// Names as [`is_api_name`](crate::scheme::is_api_name) has them.
const API_NAME: &str = "^(?!.*(//|\\.\\.))[A-Za-z0-9]([A-Za-z0-9._/-]*[A-Za-z0-9])?$";
/// Names as [`is_service_name`](crate::scheme::is_service_name) has them.
const SERVICE_NAME: &str = "^(?!.*\\.\\.)[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$";
/// Texts that are not blank.
const TEXT: &str = "\\S";

/// Returns the JSON Schema (draft 2020-12) of `api.toml`.
///
/// Made from the same tables as the parser: the schemes, the transports, the findings. It says what
/// the form is; what a scheme says about a version's text, and what dates say about each other, only
/// [`Check`](crate::Check) knows. Dates are TOML's own, which editors hand to a schema as text.
///
/// ```
/// let schema = meshwise_api::json_schema();
/// assert_eq!(schema["properties"]["service"]["required"][0], "name");
/// ```
#[must_use]
pub fn json_schema() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": ID,
        "title": "api.toml",
        "description": "What a service provides and what it needs, for meshwise.",
        "type": "object",
        "additionalProperties": false,
        "required": ["schema", "service"],
        "properties": {
            "schema": { "const": Declaration::SCHEMA, "description": "The version of this format." },
            "service": service(),
            "provides": {
                "type": "array",
                "items": provides(),
                "description": "The APIs that the service provides.",
            },
            "requires": {
                "type": "array",
                "items": requires(),
                "description": "The APIs that the service calls.",
            },
            "policy": policy(),
        },
        "$defs": {
            "apiName": { "type": "string", "maxLength": MAX_NAME_LEN, "pattern": API_NAME },
            "date": { "type": "string", "format": "date", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$" },
            "level": { "enum": ["deny", "warn", "allow"] },
            "text": { "type": "string", "pattern": TEXT },
            "version": {
                "type": "string",
                "minLength": 1,
                "maxLength": Version::MAX_LEN,
                "pattern": "^[^\\s@]+$",
            },
        },
    })
}

fn service() -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["name"],
        "description": "Who declares, and who is told.",
        "properties": {
            "name": {
                "type": "string",
                "maxLength": MAX_NAME_LEN,
                "pattern": SERVICE_NAME,
                "description": "The service's name, unique in the dictionary.",
            },
            "owner": described("text", "Who answers for the service: a team or a person."),
            "contacts": {
                "type": "array",
                "items": { "type": "string", "pattern": "^[A-Za-z][A-Za-z0-9+.-]*:\\S+$" },
                "description": "Where the owner is told: URIs such as mailto:team@example.com.",
            },
            "dictionary": described("text", "Where the dictionary is, if nothing else names it: a folder or a URL."),
            "retired": {
                "type": "boolean",
                "default": false,
                "description": "Whether the service has ended: it provides and needs nothing any more.",
            },
        },
    })
}

fn provides() -> Value {
    let calver = json!({ "properties": { "scheme": { "const": "calver" } } });
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["api", "scheme", "versions"],
        "properties": {
            "api": described("apiName", "The API's name; for gRPC its protobuf package."),
            "scheme": {
                "enum": Scheme::NAMES,
                "description": "How versions are written and compared.",
            },
            "same-or-later": {
                "type": "boolean",
                "default": false,
                "description": "Under calver: whether a later version will do for an earlier one.",
            },
            "transport": {
                "enum": Transport::NAMES,
                "default": Transport::default().as_str(),
                "description": "How it is called.",
            },
            "description": described("text", "Where the OpenAPI, AsyncAPI or protobuf description of its newest released version lies."),
            "contract-command": described("text", "The command that compares descriptions in place of meshwise: oasdiff breaking {old} {new}."),
            "versions": {
                "type": "array",
                "minItems": 1,
                "items": version(),
                "description": "History, current and plan.",
            },
            "shared-with": {
                "type": "array",
                "items": described("text", "A service's name."),
                "description": "The other services that may provide it too.",
            },
        },
        "if": { "required": ["same-or-later"] },
        "then": calver,
    })
}

fn version() -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["version"],
        "properties": {
            "version": described("version", "The version, as the scheme writes it."),
            "released": described("date", "The day from which it can be called; none while that is open."),
            "deprecated": described("date", "The day from which no one should start to call it."),
            "sunset": described("date", "The day from which it may be gone."),
            "successor": described("text", "The version to use in its place: of this API, or API@VERSION."),
            "migration": described("text", "How to move to the successor: a path or a URL."),
            "notes": described("text", "What else callers should know."),
            "description": described("text", "Where its own description lies, if the API's is not of this version."),
            "urgent": {
                "type": "boolean",
                "default": false,
                "description": "Whether callers of earlier versions that it can stand in for must move to it.",
            },
            "adopt-by": described("date", "The day by which they should have; default: 30 days after its release."),
        },
    })
}

fn requires() -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["api", "version"],
        "properties": {
            "api": described("apiName", "The API's name."),
            "version": described("version", "The version asked for, as the provider's scheme writes it."),
            "reason": described("text", "Why it is needed, for the provider who wants to retire it."),
            "level": described("level", "The gravest level that a finding about it may have. Default: deny."),
            "since": described("date", "Since when it is called, if that is longer than is known elsewhere."),
        },
    })
}

fn policy() -> Value {
    let mut properties = serde_json::Map::new();
    for finding in Finding::ALL.iter().filter(|finding| finding.is_configurable()) {
        let mut property = described("level", finding.summary());
        property["default"] = json!(finding.level());
        properties.insert(finding.id().to_owned(), property);
    }
    for (key, default, what) in [
        (
            MIN_DEPRECATION_DAYS,
            Policy::DEFAULT_MIN_DEPRECATION_DAYS,
            "The least number of days between a deprecation and its sunset.",
        ),
        (
            MAX_LOCK_AGE_DAYS,
            Policy::DEFAULT_MAX_LOCK_AGE_DAYS,
            "The number of days after which api.lock is stale.",
        ),
    ] {
        let property = json!({
            "type": "integer",
            "minimum": 0,
            "maximum": MAX_DAYS,
            "default": default,
            "description": what,
        });
        properties.insert(key.to_owned(), property);
    }
    json!({
        "type": "object",
        "additionalProperties": false,
        "description": "How grave each finding is for this service.",
        "properties": properties,
    })
}

/// Refers to a definition, with a description of its own.
fn described(definition: &str, description: &str) -> Value {
    json!({ "$ref": format!("#/$defs/{definition}"), "description": description })
}
