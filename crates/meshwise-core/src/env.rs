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
    /// Looks variables up with `lookup`; for a process's own, `|name|
    /// std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())`. (A value that is
    /// not Unicode is then refused where it does not fit; `std::env::var(name).ok()` would overlook
    /// it.)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn env() -> Env {
        Env::from_pairs([
            ("BLANK", "  "),
            ("YES", " True "),
            ("NO", "FALSE"),
            ("ONE", "1"),
            ("MANY", "old"),
            ("MANY", "1500"),
            ("BAD", "1.5s"),
        ])
    }

    #[test]
    fn blank_is_unset_and_space_is_no_part() {
        assert_eq!(env().get("BLANK"), None);
        assert_eq!(env().get("UNSET"), None);
        assert_eq!(env().get("YES").as_deref(), Some("True"));
        assert_eq!(env().get("MANY").as_deref(), Some("1500"), "the last of two counts");
        assert_eq!(Env::empty().get("YES"), None);
        assert_eq!(env().parse::<u8>("BLANK", "a number"), Ok(None));
    }

    #[test]
    fn values_parse_or_say_what_is_allowed() {
        assert_eq!(env().bool("YES"), Ok(Some(true)));
        assert_eq!(env().bool("NO"), Ok(Some(false)));
        assert_eq!(env().bool("UNSET"), Ok(None));
        let error = env().bool("ONE").unwrap_err();
        assert_eq!(error.to_string(), "ONE is `1`; allowed: true or false");
        assert_eq!(error.variable(), "ONE");

        assert_eq!(env().millis("MANY"), Ok(Some(Duration::from_millis(1500))));
        assert!(env().millis("BAD").unwrap_err().to_string().contains("milliseconds"));
        assert_eq!(env().parse::<u16>("MANY", "a number"), Ok(Some(1500)));
        assert!(env().parse::<u8>("MANY", "a number").is_err());
    }

    #[test]
    fn an_error_shows_so_much_of_a_value_and_no_more() {
        let error = EnvError::new("V", "\u{e9}".repeat(200), "less").to_string();
        assert_eq!(error, format!("V is `{}`; allowed: less", "\u{e9}".repeat(200)));
        let error = EnvError::new("V", "\u{e9}".repeat(201), "less").to_string();
        assert_eq!(error, format!("V is `{}…`; allowed: less", "\u{e9}".repeat(200)));
    }

    #[test]
    fn values_are_not_shown_by_debug() {
        assert_eq!(format!("{:?}", env()), "Env(..)");
    }
}
