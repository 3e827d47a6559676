//! Reading settings from the environment.
//!
//! The environment is handed in, never read from the process here, so that tests and several
//! meshes in one process can each have their own.

use std::{fmt, str::FromStr, sync::Arc, time::Duration};

/// Looks up environment variables; an empty value counts as unset, as the OpenTelemetry
/// environment specification demands.
///
/// ```
/// use meshwise_core::Env;
/// let env = Env::from_pairs([("OTEL_BSP_MAX_QUEUE_SIZE", "ten")]);
/// let error = env.parse::<usize>("OTEL_BSP_MAX_QUEUE_SIZE", "a whole number").unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "OTEL_BSP_MAX_QUEUE_SIZE is `ten`; allowed: a whole number",
/// );
/// ```
#[derive(Clone)]
pub struct Env(Arc<Lookup>);

type Lookup = dyn Fn(&str) -> Option<String> + Send + Sync;

impl Env {
    /// Looks variables up with `lookup`; for a process's own, `|name| std::env::var(name).ok()`.
    pub fn new(lookup: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(lookup))
    }

    /// Has no variables at all.
    #[must_use]
    pub fn empty() -> Self {
        Self::new(|_| None)
    }

    /// Has just these variables.
    pub fn from_pairs<K: Into<String>, V: Into<String>>(
        pairs: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        let pairs: Vec<(String, String)> =
            pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        Self::new(move |wanted| {
            pairs.iter().rev().find(|(name, _)| name == wanted).map(|(_, value)| value.clone())
        })
    }

    /// Returns a variable's trimmed value, or `None` if it is unset or blank.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<String> {
        let value = (self.0)(name)?;
        let trimmed = value.trim();
        (!trimmed.is_empty()).then(|| trimmed.to_owned())
    }

    /// Parses a variable; `allowed` says in words what may stand there.
    ///
    /// # Errors
    /// If the variable is set to something that does not parse.
    pub fn parse<T: FromStr>(&self, name: &str, allowed: &str) -> Result<Option<T>, EnvError> {
        self.parse_with(name, allowed, |text| text.parse().ok())
    }

    /// Parses a variable with `parse`, which returns `None` for what is not allowed.
    ///
    /// # Errors
    /// If the variable is set and `parse` refuses it.
    pub fn parse_with<T>(
        &self,
        name: &str,
        allowed: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, EnvError> {
        let Some(text) = self.get(name) else { return Ok(None) };
        match parse(&text) {
            Some(value) => Ok(Some(value)),
            None => Err(EnvError::new(name, text, allowed)),
        }
    }

    /// Parses `true` or `false`, in any case.
    ///
    /// # Errors
    /// If it is set to anything else.
    pub fn bool(&self, name: &str) -> Result<Option<bool>, EnvError> {
        self.parse_with(name, "true or false", |text| {
            if text.eq_ignore_ascii_case("true") {
                Some(true)
            } else if text.eq_ignore_ascii_case("false") {
                Some(false)
            } else {
                None
            }
        })
    }

    /// Parses a whole number of milliseconds.
    ///
    /// # Errors
    /// If it is set to anything else.
    pub fn millis(&self, name: &str) -> Result<Option<Duration>, EnvError> {
        Ok(self.parse(name, "a whole number of milliseconds")?.map(Duration::from_millis))
    }
}

impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Env(..)")
    }
}

/// Says which variable holds what bad value, and what is allowed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{variable} is `{value}`; allowed: {allowed}")]
pub struct EnvError {
    variable: String,
    value: String,
    allowed: String,
}

impl EnvError {
    /// Names a variable, its value (cut to 200 characters), and what is allowed there.
    #[must_use]
    pub fn new(
        variable: impl Into<String>,
        value: impl Into<String>,
        allowed: impl Into<String>,
    ) -> Self {
        let mut value: String = value.into();
        if let Some((cut, _)) = value.char_indices().nth(200) {
            value.truncate(cut);
            value.push('…');
        }
        Self { variable: variable.into(), value, allowed: allowed.into() }
    }

    /// Returns the variable's name.
    #[must_use]
    pub fn variable(&self) -> &str {
        &self.variable
    }
}
