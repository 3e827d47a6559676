//! What descriptions are written in.

/// What a description is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DescriptionKind {
    /// OpenAPI 3.
    OpenApi,
    /// Protocol buffers, one file.
    Proto,
    /// AsyncAPI.
    AsyncApi,
    /// JSON Schema.
    JsonSchema,
    /// OpenAPI 2.0, also called Swagger.
    Swagger,
}

impl DescriptionKind {
    /// Returns the name as people write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OpenApi => "OpenAPI",
            Self::Proto => "proto",
            Self::AsyncApi => "AsyncAPI",
            Self::JsonSchema => "JSON Schema",
            Self::Swagger => "Swagger 2.0",
        }
    }

    /// Tells whether two of this kind can be compared here.
    #[must_use]
    pub const fn is_compared(self) -> bool {
        matches!(self, Self::OpenApi | Self::Proto)
    }
}
