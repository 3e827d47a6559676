//! Reading settings from the environment: the one reader of the family.
//!
//! Two kinds of variables have two rules:
//!
//! | variables | a value that is not allowed | unknown names |
//! |---|---|---|
//! | `OTEL_*` | is ignored, as OpenTelemetry's specification demands, and remembered in [`Env::findings`] | [`Env::unused`] lists them |
//! | `MESHWISE_*`, `RUST_LOG` and all others | is an [`EnvError`] | `MESHWISE_*`: [`Env::unused`] lists them |
//!
//! `MESHWISE_STRICT=true` makes an error of each finding. `OTEL_SDK_DISABLED=true` makes all other
//! `OTEL_*` variables as good as unset, but for those that are no business of a telemetry pipeline:
//! `OTEL_PROPAGATORS`, and the service's identity, which log lines carry.

use crate::redaction::Redaction;
use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsStr,
    fmt,
    str::FromStr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// Switches telemetry off.
const OTEL_SDK_DISABLED: &str = "OTEL_SDK_DISABLED";
/// Makes an error of everything in `OTEL_*` that is only told otherwise.
const MESHWISE_STRICT: &str = "MESHWISE_STRICT";

const OTEL: &str = "OTEL_";
const MESHWISE: &str = "MESHWISE_";
const UNICODE: &str = "Unicode text";
/// What `OTEL_SDK_DISABLED` has no say in.
const ALWAYS: [&str; 4] =
    [OTEL_SDK_DISABLED, "OTEL_PROPAGATORS", "OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES"];

/// Holds the environment as it was at one moment, and remembers what was asked of it.
///
/// An empty value counts as unset, as the OpenTelemetry environment specification demands. Clones
/// share what they remember.
///
/// ```
/// use meshwise_core::Env;
/// let env = Env::from_pairs([("MESHWISE_QUEUE", "ten"), ("OTEL_QUEUE", "ten"), ("OTEL_X", "1")]);
/// let error = env.parse::<usize>("MESHWISE_QUEUE", "a whole number").unwrap_err();
/// assert_eq!(error.to_string(), "MESHWISE_QUEUE is `ten`; allowed: a whole number");
///
/// // OpenTelemetry's are ignored instead, and told.
/// assert_eq!(env.parse::<usize>("OTEL_QUEUE", "a whole number"), Ok(None));
/// assert_eq!(env.findings()[0].to_string(), "OTEL_QUEUE is `ten`; allowed: a whole number");
/// assert_eq!(env.unused(), ["OTEL_X"]);
/// ```
#[derive(Clone)]
pub struct Env {
    inner: Arc<EnvInner>,
    /// With `MESHWISE_STRICT`, what would be an error is remembered all the same: its holder makes one
    /// error of all.
    gathers: bool,
}

struct EnvInner {
    variables: BTreeMap<String, Content>,
    strict: bool,
    disabled: bool,
    seen: Mutex<Seen>,
}

/// A variable's value, trimmed and not empty.
#[derive(Clone)]
struct Content {
    text: String,
    /// Whether `text` is the value as it was set, and not what could be saved of it.
    unicode: bool,
}

/// What was asked, and what came of it.
#[derive(Default)]
struct Seen {
    used: BTreeSet<String>,
    findings: Vec<EnvError>,
}

impl Env {
    /// Takes the process's environment as it is now.
    #[must_use]
    pub fn process() -> Self {
        Self::from_os(std::env::vars_os())
    }

    /// Has no variables at all.
    #[must_use]
    pub fn empty() -> Self {
        Self::from_pairs::<String, String>([])
    }

    /// Has just these variables; of two with the same name the last counts.
    pub fn from_pairs<K: Into<String>, V: Into<String>>(
        pairs: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        Self::from_os(pairs.into_iter().map(|(name, value)| (name.into(), value.into())))
    }

    /// Has just these variables, which need not be Unicode.
    #[doc(hidden)]
    pub fn from_os<K: AsRef<OsStr>, V: AsRef<OsStr>>(
        pairs: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        let mut variables = BTreeMap::new();
        for (name, value) in pairs {
            let (name, value) = (name.as_ref(), value.as_ref());
            // No name that is asked for is anything but ASCII.
            let Some(name) = name.to_str() else { continue };
            let text = value.to_string_lossy().trim().to_owned();
            if text.is_empty() {
                variables.remove(name);
            } else {
                let unicode = value.to_str().is_some();
                variables.insert(name.to_owned(), Content { text, unicode });
            }
        }
        let says_true = |name| {
            let value: Option<&Content> = variables.get(name);
            value.is_some_and(|value| value.text.eq_ignore_ascii_case("true"))
        };
        let (strict, disabled) = (says_true(MESHWISE_STRICT), says_true(OTEL_SDK_DISABLED));
        let inner = EnvInner { variables, strict, disabled, seen: Mutex::default() };
        Self { inner: Arc::new(inner), gathers: false }
    }

    /// Returns the same environment for one who makes one error of all [`findings`](Self::findings) where
    /// `MESHWISE_STRICT` demands it: [`refuse`](Self::refuse) then remembers, as without.
    #[doc(hidden)]
    #[must_use]
    pub fn gathering(&self) -> Self {
        Self { inner: Arc::clone(&self.inner), gathers: true }
    }

    /// Returns a variable's trimmed value, or `None` if it is unset or blank. What is not Unicode in
    /// it is replaced by U+FFFD, so that it is refused where it does not fit.
    #[must_use]
    #[doc(hidden)]
    pub fn get(&self, name: &str) -> Option<String> {
        Some(self.value(name)?.text.clone())
    }

    /// Tells whether a variable is set and not blank, without counting it as used.
    #[doc(hidden)]
    #[must_use]
    pub fn is_set(&self, name: &str) -> bool {
        self.inner.variables.contains_key(name) && self.is_heeded(name)
    }

    /// Returns a variable's trimmed value, or `None` if it is unset or blank.
    ///
    /// # Errors
    /// If it is not Unicode; see the [module](self) for `OTEL_*`.
    #[doc(hidden)]
    pub fn text(&self, name: &str) -> Result<Option<String>, EnvError> {
        let Some(value) = self.value(name) else { return Ok(None) };
        if value.unicode {
            return Ok(Some(value.text.clone()));
        }
        // Headers are credentials more often than not.
        let shown = if name.contains("HEADERS") { "(not Unicode)" } else { &value.text };
        self.refuse(EnvError::new(name, shown, UNICODE)).map(|()| None)
    }

    /// Returns the first of these variables that is set, and its name. All of them count as used:
    /// one beats the other.
    ///
    /// # Errors
    /// If one is not Unicode; see the [module](self) for `OTEL_*`.
    #[doc(hidden)]
    pub fn first(
        &self,
        names: &[&'static str],
    ) -> Result<Option<(&'static str, String)>, EnvError> {
        self.first_with(names, |_, text| Ok(Some(text.to_owned())))
    }

    /// Parses the first of these variables that is set to something allowed; see
    /// [`parse_with`](Self::parse_with). All of them count as used.
    ///
    /// # Errors
    /// If one is set and `parse` refuses it; see the [module](self) for `OTEL_*`.
    #[doc(hidden)]
    pub fn first_parsed<T>(
        &self,
        names: &[&'static str],
        allowed: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, EnvError> {
        let found = self.first_with(names, |name, text| match parse(text) {
            Some(value) => Ok(Some(value)),
            None => self.refuse(EnvError::new(name, text, allowed)).map(|()| None),
        })?;
        Ok(found.map(|(_, value)| value))
    }

    fn first_with<T>(
        &self,
        names: &[&'static str],
        parse: impl Fn(&'static str, &str) -> Result<Option<T>, EnvError>,
    ) -> Result<Option<(&'static str, T)>, EnvError> {
        for name in names {
            let _used = self.value(name);
        }
        for name in names {
            let Some(text) = self.text(name)? else { continue };
            if let Some(value) = parse(name, &text)? {
                return Ok(Some((name, value)));
            }
        }
        Ok(None)
    }

    /// Parses a variable; `allowed` says in words what may stand there.
    ///
    /// # Errors
    /// If the variable is set to something that does not parse; see the [module](self) for
    /// `OTEL_*`.
    #[doc(hidden)]
    pub fn parse<T: FromStr>(&self, name: &str, allowed: &str) -> Result<Option<T>, EnvError> {
        self.parse_with(name, allowed, |text| text.parse().ok())
    }

    /// Parses a variable with `parse`, which returns `None` for what is not allowed.
    ///
    /// # Errors
    /// If the variable is set and `parse` refuses it; see the [module](self) for `OTEL_*`.
    #[doc(hidden)]
    pub fn parse_with<T>(
        &self,
        name: &str,
        allowed: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, EnvError> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        match parse(&text) {
            Some(value) => Ok(Some(value)),
            None => self.refuse(EnvError::new(name, text, allowed)).map(|()| None),
        }
    }

    /// Parses `true` or `false`, in any case.
    ///
    /// # Errors
    /// If it is set to anything else. An `OTEL_*` variable that is counts as `false`, and is told
    /// (specification, "Boolean").
    #[doc(hidden)]
    pub fn bool(&self, name: &str) -> Result<Option<bool>, EnvError> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        if text.eq_ignore_ascii_case("true") {
            return Ok(Some(true));
        }
        if !text.eq_ignore_ascii_case("false") {
            self.refuse(EnvError::new(name, text, "true or false"))?;
        }
        Ok(Some(false))
    }

    /// Parses a whole number of milliseconds.
    ///
    /// # Errors
    /// If it is set to anything else; see the [module](self) for `OTEL_*`.
    #[doc(hidden)]
    pub fn millis(&self, name: &str) -> Result<Option<Duration>, EnvError> {
        self.parse_with(name, "a whole number of milliseconds", millis)
    }

    /// Parses the words of a comma-separated list with `parse`, which is given each in lower case;
    /// `None` if the variable is unset or no word of it is known. Words that are named twice count
    /// once; `none` stands for an empty list, and only alone.
    ///
    /// # Errors
    /// If a word is not known, or `none` is not alone; see the [module](self) for `OTEL_*`, where
    /// just that word is ignored.
    #[doc(hidden)]
    pub fn list<T: PartialEq>(
        &self,
        name: &str,
        allowed: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<Vec<T>>, EnvError> {
        const NONE: &str = "none";
        let Some(text) = self.text(name)? else { return Ok(None) };
        let words = || text.split(',').map(str::trim).filter(|word| !word.is_empty());
        if words().next().is_some() && words().all(|word| word.eq_ignore_ascii_case(NONE)) {
            return Ok(Some(Vec::new()));
        }
        let mut list = Vec::new();
        for word in words() {
            match parse(&word.to_ascii_lowercase()) {
                Some(value) if list.contains(&value) => {}
                Some(value) => list.push(value),
                None => {
                    let known = if word.eq_ignore_ascii_case(NONE) {
                        "is not alone"
                    } else {
                        "is not known"
                    };
                    let word: String = word.chars().take(40).collect();
                    let allowed = format!("{allowed} (`{word}` {known})");
                    self.refuse(EnvError::new(name, text.as_str(), allowed))?;
                }
            }
        }
        Ok((!list.is_empty()).then_some(list))
    }

    /// Deals with a value that is not allowed.
    ///
    /// # Errors
    /// Returns the error, unless the variable is one of `OTEL_*`: then it is remembered, and the
    /// caller goes on as if the variable were not set. With `MESHWISE_STRICT` it is returned,
    /// unless this environment gathers: then it is remembered, for one error of all.
    #[doc(hidden)]
    pub fn refuse(&self, error: EnvError) -> Result<(), EnvError> {
        if self.inner.strict && !self.gathers || !error.variable.starts_with(OTEL) {
            return Err(error);
        }
        let mut seen = self.seen();
        if !seen.findings.contains(&error) {
            seen.findings.push(error);
        }
        Ok(())
    }

    /// Tells what of `OTEL_*` was ignored up to now, in the order in which it was asked for.
    #[must_use]
    #[doc(hidden)]
    pub fn findings(&self) -> Vec<EnvError> {
        self.seen().findings.clone()
    }

    /// Lists the variables of `OTEL_*` and `MESHWISE_*` that are set and were not asked for up to
    /// now, sorted: misspelt, meant for another program, or not supported.
    #[must_use]
    #[doc(hidden)]
    pub fn unused(&self) -> Vec<String> {
        let seen = self.seen();
        let ours = |name: &String| {
            (name.starts_with(OTEL) && self.is_heeded(name)) || name.starts_with(MESHWISE)
        };
        let names =
            self.inner.variables.keys().filter(|name| ours(name) && !seen.used.contains(*name));
        names.cloned().collect()
    }

    /// Lists the variables that are set and not blank and whose names begin with `prefix`, sorted.
    #[doc(hidden)]
    pub fn names(&self, prefix: &str) -> impl Iterator<Item = String> {
        let names = self.inner.variables.keys().filter(|name| name.starts_with(prefix));
        names.cloned().collect::<Vec<_>>().into_iter()
    }

    /// Tells whether `OTEL_SDK_DISABLED` is `true`.
    ///
    /// # Errors
    /// With `MESHWISE_STRICT`, if it is neither `true` nor `false`.
    #[doc(hidden)]
    pub fn is_disabled(&self) -> Result<bool, EnvError> {
        Ok(self.bool(OTEL_SDK_DISABLED)?.unwrap_or(false))
    }

    /// Tells whether `MESHWISE_STRICT` is `true`.
    ///
    /// # Errors
    /// If it is neither `true` nor `false`.
    #[doc(hidden)]
    pub fn is_strict(&self) -> Result<bool, EnvError> {
        Ok(self.bool(MESHWISE_STRICT)?.unwrap_or(false))
    }

    /// Finds a value, and remembers that it was asked for.
    fn value(&self, name: &str) -> Option<&Content> {
        let value = self.inner.variables.get(name).filter(|_| self.is_heeded(name))?;
        self.seen().used.insert(name.to_owned());
        Some(value)
    }

    fn is_heeded(&self, name: &str) -> bool {
        !self.inner.disabled || !name.starts_with(OTEL) || ALWAYS.contains(&name)
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.inner.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Parses a whole number of milliseconds.
#[must_use]
pub fn millis(text: &str) -> Option<Duration> {
    text.parse().ok().map(Duration::from_millis)
}

/// Parses a timeout of OpenTelemetry's: a whole number of milliseconds, of which 0 is without limit
/// (`Duration::MAX`; specification, "Timeout").
#[must_use]
pub fn timeout(text: &str) -> Option<Duration> {
    millis(text).map(|timeout| if timeout.is_zero() { Duration::MAX } else { timeout })
}

impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Env(..)")
    }
}

/// Says on one line which variable (or setting) is wrong, what it holds, and what is allowed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{variable} {problem}")]
pub struct EnvError {
    variable: String,
    problem: String,
}

impl EnvError {
    /// Names a variable, its value (cut to 200 characters, control characters escaped, secrets hidden),
    /// and what is allowed there.
    #[doc(hidden)]
    #[must_use]
    pub fn new(
        variable: impl Into<String>,
        value: impl AsRef<str>,
        allowed: impl fmt::Display,
    ) -> Self {
        let problem = format!("is `{}`; allowed: {allowed}", printable(value.as_ref(), 200, "…"));
        Self { variable: variable.into(), problem }
    }

    /// Names a variable and says something else about it, as the rest of a sentence.
    #[doc(hidden)]
    #[must_use]
    pub fn other(variable: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { variable: variable.into(), problem: problem.into() }
    }

    /// Adds what comes of it.
    #[doc(hidden)]
    #[must_use]
    pub fn and(mut self, consequence: &str) -> Self {
        self.problem.push_str("; ");
        self.problem.push_str(consequence);
        self
    }

    /// Returns what is wrong, as the rest of a sentence.
    #[doc(hidden)]
    #[must_use]
    pub fn problem(&self) -> &str {
        &self.problem
    }

    /// Returns the variable's name.
    #[doc(hidden)]
    #[must_use]
    pub fn variable(&self) -> &str {
        &self.variable
    }
}

/// Makes a value fit on one line of a message: control characters are escaped, secrets hidden (a URL
/// may have a password), and what is longer than `most` characters ends with `more`.
pub(crate) fn printable(value: &str, most: usize, more: &str) -> String {
    // More is looked through than is shown: half of a secret would not be known for one.
    let value = &value[..value.floor_char_boundary(16 * most)];
    let value = Redaction::standard().text(value);
    let mut shown = String::with_capacity(value.len().min(256));
    for (i, c) in value.chars().enumerate() {
        match c {
            _ if i == most => {
                shown.push_str(more);
                break;
            }
            c if c.is_control() => shown.extend(c.escape_default()),
            c => shown.push(c),
        }
    }
    shown
}

#[cfg(test)]
mod tests;
