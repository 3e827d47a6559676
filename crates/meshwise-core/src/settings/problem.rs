//! What is wrong with settings, said all at once.

use super::value::Source;
use crate::env::EnvError;
use std::{fmt, sync::Arc};

/// Says what is wrong with one setting.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[doc(hidden)]
pub struct Problem {
    /// Where it was said.
    pub source: Source,
    /// The setting, such as `log.format`; empty if a file cannot be read as a whole.
    pub key: String,
    /// What was found, what is allowed, what may have been meant.
    pub problem: String,
}

impl Problem {
    /// Says what is wrong with a setting, as the rest of a sentence.
    #[must_use]
    pub fn new(source: Source, key: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { source, key: key.into(), problem: problem.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.source, self.key.as_str()) {
            (source, "") => write!(f, "{source}: {}", self.problem),
            // A variable that is a setting by itself is named once.
            (Source::Variable(name), key) if **name == *key => write!(f, "{name} {}", self.problem),
            (source, key) => write!(f, "{source}: {key} {}", self.problem),
        }
    }
}

/// How many settings the first line of an error names.
const NAMED: usize = 5;

/// Lists all that is wrong with settings; none of them is in force then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsError {
    problems: Vec<Problem>,
}

impl SettingsError {
    /// Lists what is wrong.
    #[must_use]
    #[doc(hidden)]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// Returns what is wrong first, for those who tell one thing.
    #[must_use]
    #[doc(hidden)]
    pub fn first(&self) -> EnvError {
        let first = self.problems.first();
        first.map_or_else(
            || EnvError::other("settings", "are wrong"),
            |Problem { key, problem, .. }| EnvError::other(key.as_str(), problem.as_str()),
        )
    }

    /// Returns an error if there are problems.
    ///
    /// # Errors
    /// If there are.
    #[doc(hidden)]
    pub fn check(problems: Vec<Problem>) -> Result<(), Self> {
        if problems.is_empty() { Ok(()) } else { Err(Self { problems }) }
    }
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [problem] = self.problems.as_slice() {
            return write!(f, "{problem}");
        }
        // The first line is all that some tools show.
        write!(f, "{} settings are wrong: ", self.problems.len())?;
        for (n, problem) in self.problems.iter().take(NAMED).enumerate() {
            let between = if n == 0 { "" } else { ", " };
            match problem.key.as_str() {
                "" => write!(f, "{between}{}", problem.source)?,
                key => write!(f, "{between}{key}")?,
            }
        }
        if self.problems.len() > NAMED {
            write!(f, " and others")?;
        }
        self.problems.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

impl std::error::Error for SettingsError {}

impl From<EnvError> for SettingsError {
    fn from(error: EnvError) -> Self {
        let name: Arc<str> = error.variable().into();
        let key = name.to_string();
        Problem::new(Source::Variable(name), key, error.problem()).into()
    }
}

impl From<Problem> for SettingsError {
    fn from(problem: Problem) -> Self {
        Self { problems: vec![problem] }
    }
}

/// Names what may have been meant by `word`, as the rest of a sentence.
#[must_use]
pub fn did_you_mean<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    // Longer words are no slips of the fingers, and comparing takes their lengths' product.
    if word.len() > 80 {
        return None;
    }
    let close = |known: &&str| {
        let most = (word.chars().count().max(known.chars().count()) / 3).max(1);
        let distance = distance(word, known);
        // What is the same word is wrong elsewhere.
        (1..=most).contains(&distance).then_some(distance)
    };
    let known = known.into_iter().filter_map(|known| Some((close(&known)?, known)));
    known.min().map(|(_, known)| format!("; did you mean `{known}`?"))
}

/// Counts the letters that have to be put in, taken out, changed, or swapped with the next one
/// (optimal string alignment).
fn distance(one: &str, other: &str) -> usize {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in other.iter().enumerate() {
            let change = last[j] + usize::from(a != b);
            let mut least = change.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *a == other[j - 1] && one[i - 1] == *b {
                least = least.min(before[j - 1] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_recognised_and_other_words_are_not() {
        let known = ["format", "filter", "queue", "timeout"];
        for (word, meant) in [
            ("fromat", Some("format")),
            ("formats", Some("format")),
            ("quue", Some("queue")),
            ("time_out", Some("timeout")),
            ("colour", None),
            ("format", None),
            ("", None),
            (&"x".repeat(1 << 20), None),
        ] {
            let expected = meant.map(|meant| format!("; did you mean `{meant}`?"));
            assert_eq!(did_you_mean(word, known), expected, "{:.20}", word);
        }
    }
}
