//! Assertions on metrics.

use std::fmt;

/// A question about one metric; narrow it down by labels, then assert.
#[derive(Clone)]
pub struct Metric {
    name: String,
    labels: Vec<(String, String)>,
    text: String,
}

impl Metric {
    pub(crate) fn new(name: &str, text: String) -> Self {
        Self { name: name.to_owned(), labels: Vec::new(), text }
    }

    /// Keeps series with this label.
    pub fn label(mut self, name: &str, value: &str) -> Self {
        self.labels.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Returns the sum over the series that are left, `None` if there are none.
    #[must_use]
    pub fn value(&self) -> Option<f64> {
        let values: Vec<f64> = self.series().filter_map(|(_, value)| value.parse().ok()).collect();
        (!values.is_empty()).then(|| values.iter().sum())
    }

    /// Returns how many series are left.
    #[must_use]
    pub fn count(&self) -> usize {
        self.series().count()
    }

    /// Asserts that the series that are left sum up to `expected`.
    ///
    /// # Panics
    /// If they do not, or there are none.
    #[track_caller]
    pub fn assert_value(&self, expected: f64) -> &Self {
        let found = self.value();
        let equal = found.is_some_and(|found| (found - expected).abs() < 1e-9);
        assert!(
            equal,
            "{self:?}: expected {expected}, found {found:?}; there are:\n{}",
            self.near()
        );
        self
    }

    /// Asserts that there is no such series.
    ///
    /// # Panics
    /// If there is.
    #[track_caller]
    pub fn assert_none(&self) {
        assert!(self.count() == 0, "{self:?}: expected none; there are:\n{}", self.near());
    }

    /// Lists the series that fit: labels as they are written, and value.
    fn series(&self) -> impl Iterator<Item = (&str, &str)> {
        self.text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            let (name, labels) = series.split_once('{').unwrap_or((series, ""));
            let fits = name == self.name
                && self.labels.iter().all(|(name, value)| {
                    let wanted = format!("{name}=\"{}\"", escape(value));
                    split_labels(labels).any(|label| label == wanted)
                });
            fits.then_some((labels, value))
        })
    }

    /// Lists what stands under the metric's name, or all names if nothing does.
    fn near(&self) -> String {
        let lines = || self.text.lines().filter(|line| !line.starts_with('#'));
        let name = |line: &str| line.split(['{', ' ']).next().unwrap_or_default().to_owned();
        let same: Vec<_> = lines().filter(|line| name(line) == self.name).collect();
        if !same.is_empty() {
            return format!("  {}", same.join("\n  "));
        }
        let mut names: Vec<_> = lines().map(name).collect();
        names.dedup();
        format!("  (nothing of that name, but) {}", names.join(", "))
    }
}

impl fmt::Debug for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name)?;
        for (i, (name, value)) in self.labels.iter().enumerate() {
            write!(f, "{}{name}={value:?}", if i == 0 { "{" } else { "," })?;
        }
        if self.labels.is_empty() { Ok(()) } else { f.write_str("}") }
    }
}

/// Writes a label's value as the exposition does.
fn escape(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// Splits `a="1",b="2"}` at the commas that stand outside of quotes.
fn split_labels(labels: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    let mut escaped = false;
    labels.trim_end_matches('}').split(move |c| {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => quoted = !quoted,
            ',' => return !quoted,
            _ => {}
        }
        false
    })
}
