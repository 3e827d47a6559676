//! A series' labels, made valid and written out once.

use super::name;
use crate::names;
use metrics::Label;
use std::{borrow::Cow, collections::BTreeMap};

/// Longest label value that is taken, in bytes; the rest is cut off.
const MAX_VALUE: usize = 1024;

/// Holds valid labels, in the order of their names.
#[derive(Debug)]
pub(crate) struct Labels {
    pairs: BTreeMap<String, String>,
}

impl Labels {
    pub(super) fn new<'a>(
        labels: impl Iterator<Item = &'a Label>,
        constant: &[(String, String)],
    ) -> Self {
        let constant = constant.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let own = labels.map(|label| (label.key(), label.value()));
        // Of two labels with one name the last stays; a series' own come after constant ones.
        let pairs = constant
            .chain(own)
            .map(|(name, value)| (name::label(name), cut(value).into_owned()))
            .collect();
        Self { pairs }
    }

    /// Holds any pairs.
    #[cfg(test)]
    pub(crate) fn of_test(pairs: &BTreeMap<String, String>) -> Self {
        Self { pairs: pairs.clone() }
    }

    /// Has the same names, and `_other` for every value.
    pub(super) fn other(&self) -> Self {
        let other = |name: &String| (name.clone(), names::OTHER.to_owned());
        Self { pairs: self.pairs.keys().map(other).collect() }
    }

    /// Tells whether this is the label set that stands for all others.
    pub(super) fn are_other(&self) -> bool {
        !self.pairs.is_empty() && self.pairs.values().all(|value| value == names::OTHER)
    }

    /// Lists names and values.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Writes `a="1",b="2"`, escaped.
    pub(crate) fn text(&self) -> Box<str> {
        write(self.pairs())
    }

    /// Returns what tells this series from others: an empty label is the same as none.
    pub(super) fn identity(&self) -> Box<str> {
        write(self.pairs().filter(|(_, value)| !value.is_empty()))
    }
}

fn write<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Box<str> {
    let mut text = String::new();
    for (name, value) in pairs {
        if !text.is_empty() {
            text.push(',');
        }
        text.push_str(name);
        text.push_str("=\"");
        for c in value.chars() {
            match c {
                '\\' => text.push_str("\\\\"),
                '"' => text.push_str("\\\""),
                '\n' => text.push_str("\\n"),
                c => text.push(c),
            }
        }
        text.push('"');
    }
    text.into_boxed_str()
}

/// Cuts a value that is too long, and marks that it was.
fn cut(value: &str) -> Cow<'_, str> {
    if value.len() <= MAX_VALUE {
        return Cow::Borrowed(value);
    }
    let end = (0..=MAX_VALUE).rev().find(|end| value.is_char_boundary(*end)).unwrap_or(0);
    Cow::Owned(format!("{}…", &value[..end]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&'static str, String)], constant: &[(&str, &str)]) -> Labels {
        let constant: Vec<(String, String)> =
            constant.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        let pairs: Vec<Label> = pairs.iter().map(|(n, v)| Label::new(*n, v.clone())).collect();
        Labels::new(pairs.iter(), &constant)
    }

    #[test]
    fn values_are_escaped_and_names_sorted() {
        let labels = labels(&[("b", "1\n2".into()), ("a", "\\\"".into())], &[]);
        assert_eq!(&*labels.text(), r#"a="\\\"",b="1\n2""#);
        assert_eq!(&*labels.other().text(), r#"a="_other",b="_other""#);
    }

    #[test]
    fn a_series_own_label_beats_a_constant_one() {
        let labels = labels(&[("zone", "a".into())], &[("zone", "b"), ("env", "test")]);
        assert_eq!(&*labels.text(), r#"env="test",zone="a""#);
    }

    #[test]
    fn an_empty_label_is_shown_but_tells_nothing_apart() {
        let labels = labels(&[("a", String::new()), ("b", "1".into())], &[]);
        assert_eq!(&*labels.text(), r#"a="",b="1""#);
        assert_eq!(&*labels.identity(), r#"b="1""#);
    }

    #[test]
    fn long_values_are_cut_between_characters() {
        let long = labels(&[("a", "ü".repeat(MAX_VALUE))], &[]);
        assert_eq!(&*long.text(), format!("a=\"{}…\"", "ü".repeat(MAX_VALUE / 2)));
    }
}
