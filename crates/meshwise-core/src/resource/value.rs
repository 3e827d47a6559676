//! The value of an attribute.

use std::{borrow::Cow, fmt, sync::Arc};

/// An attribute of a resource: its name and value.
pub(super) type Attribute = (Cow<'static, str>, ResourceValue);

/// Holds the value of a resource attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResourceValue {
    /// A text.
    Text(Arc<str>),
    /// A whole number.
    Int(i64),
}

impl fmt::Display for ResourceValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Int(int) => write!(f, "{int}"),
        }
    }
}

impl From<&str> for ResourceValue {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for ResourceValue {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl From<i64> for ResourceValue {
    fn from(int: i64) -> Self {
        Self::Int(int)
    }
}

impl ResourceValue {
    pub(super) fn is_blank(&self) -> bool {
        matches!(self, Self::Text(text) if text.trim().is_empty())
    }
}
