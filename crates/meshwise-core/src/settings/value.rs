//! Values of settings, and where each comes from.

use super::units::{Size, write_duration};
use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

/// Says where the value of a setting comes from; what is later in this list beats what is earlier.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Source {
    /// Nothing was said.
    #[default]
    Default,
    /// The service's author, in code.
    Code,
    /// The service's operator, in a file.
    File {
        /// The file's path, as it was given.
        path: Arc<str>,
        /// The line, from 1.
        line: usize,
    },
    /// The service's operator, in an environment variable of this name.
    Variable(Arc<str>),
}

impl Source {
    /// Tells whether the operator said it.
    #[must_use]
    pub const fn is_operator(&self) -> bool {
        matches!(self, Self::File { .. } | Self::Variable(_))
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Code => f.write_str("code"),
            Self::File { path, line } => write!(f, "{path}:{line}"),
            Self::Variable(name) => f.write_str(name),
        }
    }
}

/// Holds a setting that may be unset, and who set it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting<T> {
    value: Option<T>,
    source: Source,
}

impl<T> Default for Setting<T> {
    fn default() -> Self {
        Self { value: None, source: Source::Default }
    }
}

impl<T> Setting<T> {
    /// Holds a value that came from somewhere.
    #[must_use]
    pub const fn new(value: T, source: Source) -> Self {
        Self { value: Some(value), source }
    }

    /// Sets it in code.
    pub fn set(&mut self, value: impl Into<T>) {
        *self = Self::new(value.into(), Source::Code);
    }

    /// Makes it unset.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Tells whether it is set.
    #[must_use]
    pub const fn is_set(&self) -> bool {
        self.value.is_some()
    }

    /// Returns the value, if it is set.
    #[must_use]
    pub const fn get(&self) -> Option<&T> {
        self.value.as_ref()
    }

    /// Returns who set it; [`Source::Default`] if it is unset.
    #[must_use]
    pub const fn source(&self) -> &Source {
        &self.source
    }
}

impl<T: Copy> Setting<T> {
    /// Returns the value, or `other` if it is unset.
    #[must_use]
    pub fn or(&self, other: T) -> T {
        self.value.unwrap_or(other)
    }

    /// Returns the value, or what its type has for none.
    #[must_use]
    pub fn or_none(&self) -> T
    where
        T: Default,
    {
        self.value.unwrap_or_default()
    }
}

/// Holds any setting's value.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Whole(i64),
    /// A number.
    Number(f64),
    /// A duration, such as `"250ms"`.
    Duration(Duration),
    /// A size, such as `"64KiB"`.
    Size(Size),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Self>),
    /// Names and what they stand for.
    Table(BTreeMap<String, Self>),
}

/// Writes the value as TOML does; JSON is the same but for tables.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(value) => write!(f, "{value}"),
            Self::Whole(value) => write!(f, "{value}"),
            Self::Number(value) => write!(f, "{value:?}"),
            Self::Duration(value) => write!(f, "\"{}\"", write_duration(*value)),
            Self::Size(value) => write!(f, "\"{value}\""),
            Self::Text(value) => quote(f, value),
            Self::List(values) => {
                f.write_str("[")?;
                for (i, value) in values.iter().enumerate() {
                    write!(f, "{}{value}", if i == 0 { "" } else { ", " })?;
                }
                f.write_str("]")
            }
            Self::Table(values) => {
                f.write_str(if values.is_empty() { "{" } else { "{ " })?;
                for (i, (name, value)) in values.iter().enumerate() {
                    f.write_str(if i == 0 { "" } else { ", " })?;
                    quote(f, name)?;
                    write!(f, " = {value}")?;
                }
                f.write_str(if values.is_empty() { "}" } else { " }" })
            }
        }
    }
}

impl Value {
    /// Writes the value as code would say it.
    pub(super) fn plain(&self) -> String {
        match self {
            Self::Duration(value) => format!("{value:?}"),
            Self::Number(value) => value.to_string(),
            other => other.to_string(),
        }
    }

    /// Writes the value as JSON.
    ///
    /// # Errors
    /// If `out` does.
    pub fn write_json(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        match self {
            Self::Table(values) => {
                out.write_char('{')?;
                for (i, (name, value)) in values.iter().enumerate() {
                    out.write_str(if i == 0 { "" } else { "," })?;
                    quote(out, name)?;
                    out.write_char(':')?;
                    value.write_json(out)?;
                }
                out.write_char('}')
            }
            Self::List(values) => {
                out.write_char('[')?;
                for (i, value) in values.iter().enumerate() {
                    out.write_str(if i == 0 { "" } else { "," })?;
                    value.write_json(out)?;
                }
                out.write_char(']')
            }
            other => write!(out, "{other}"),
        }
    }
}

/// Writes a text in quotes, as both TOML (basic string) and JSON read it.
pub(super) fn quote(out: &mut (impl fmt::Write + ?Sized), text: &str) -> fmt::Result {
    out.write_char('"')?;
    for c in text.chars() {
        match c {
            '"' => out.write_str("\\\"")?,
            '\\' => out.write_str("\\\\")?,
            '\n' => out.write_str("\\n")?,
            '\r' => out.write_str("\\r")?,
            '\t' => out.write_str("\\t")?,
            // The Basic Multilingual Plane holds all that are escaped.
            c if c.is_control() => write!(out, "\\u{:04X}", u32::from(c))?,
            c => out.write_char(c)?,
        }
    }
    out.write_char('"')
}

/// A type that settings have.
pub(super) trait Scalar: Clone + fmt::Debug + PartialEq + Sized {
    /// Returns it as any setting's value.
    fn to_value(&self) -> Value;
    /// Takes it back; `None` for a value of another type.
    fn from_value(value: Value) -> Option<Self>;
}

macro_rules! scalars {
    ($($type:ty = $variant:ident,)*) => {$(
        impl Scalar for $type {
            fn to_value(&self) -> Value {
                Value::$variant(self.clone())
            }
            fn from_value(value: Value) -> Option<Self> {
                match value {
                    Value::$variant(value) => Some(value),
                    _ => None,
                }
            }
        }
    )*};
}

scalars! {
    bool = Bool,
    i64 = Whole,
    f64 = Number,
    Duration = Duration,
    Size = Size,
    String = Text,
}

impl Scalar for u32 {
    fn to_value(&self) -> Value {
        Value::Whole(i64::from(*self))
    }
    fn from_value(value: Value) -> Option<Self> {
        i64::from_value(value).and_then(|whole| Self::try_from(whole).ok())
    }
}

impl<T: Scalar> Scalar for Vec<T> {
    fn to_value(&self) -> Value {
        Value::List(self.iter().map(T::to_value).collect())
    }
    fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::List(values) => values.into_iter().map(T::from_value).collect(),
            _ => None,
        }
    }
}

impl<T: Scalar> Scalar for BTreeMap<String, T> {
    fn to_value(&self) -> Value {
        Value::Table(self.iter().map(|(name, value)| (name.clone(), value.to_value())).collect())
    }
    fn from_value(value: Value) -> Option<Self> {
        let Value::Table(values) = value else { return None };
        let one = |(name, value)| Some((name, T::from_value(value)?));
        values.into_iter().map(one).collect()
    }
}
