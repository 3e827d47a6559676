//! Names that are the conventions'.

/// The version of OpenTelemetry's semantic conventions that names follow: the schema that resources and
/// scopes carry (specification, "Telemetry Schemas").
pub const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/1.45.0";
