//! How the name and labels of a metric become a series: found again by its key, or made valid, bounded and
//! written out once.

use super::{
    Family, Registry, Series, Storage, family::SeriesEntry, name, refused::Refused, storage::Pairs,
};
use crate::{
    key::label,
    kind::{Handle, Kind},
    names,
};
use metrics::{
    Counter, Gauge, Histogram, Key, KeyName, Label, Metadata, Recorder, SharedString, Unit,
};
use std::{
    borrow::Cow,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32},
    },
    time::SystemTime,
};

/// Longest label value that is taken, in bytes; the rest is cut off.
const MAX_VALUE: usize = 1024;

impl<S: Storage> Recorder for Registry<S> {
    fn describe_counter(&self, name: KeyName, unit: Option<Unit>, help: SharedString) {
        self.describe(Kind::Counter, &name, unit, help);
    }

    fn describe_gauge(&self, name: KeyName, unit: Option<Unit>, help: SharedString) {
        self.describe(Kind::Gauge, &name, unit, help);
    }

    fn describe_histogram(&self, name: KeyName, unit: Option<Unit>, help: SharedString) {
        self.describe(Kind::Histogram, &name, unit, help);
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        self.resolve(Kind::Counter, key).into_counter()
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        self.resolve(Kind::Gauge, key).into_gauge()
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        self.resolve(Kind::Histogram, key).into_histogram()
    }
}

impl<S: Storage> Registry<S> {
    /// Finds or begins a series.
    #[inline]
    pub(crate) fn resolve(&self, kind: Kind, key: &Key) -> Handle {
        self.known.get(kind, key).unwrap_or_else(|| self.begin(kind, key, false))
    }

    /// Finds or begins a counter that counts microseconds and shows seconds.
    pub(crate) fn resolve_seconds(&self, key: &Key) -> Handle {
        self.known.get(Kind::Counter, key).unwrap_or_else(|| self.begin(Kind::Counter, key, true))
    }

    pub(super) fn begin(&self, kind: Kind, key: &Key, microseconds: bool) -> Handle {
        let Some(family) = self.family(kind, key.name(), microseconds) else {
            return Refused::handle(kind, &self.losses);
        };
        let labels = Labels::new(key.labels(), &self.limits.constant_labels);
        match family.find(&self.storage, &labels, self.limits.label_sets(&family.name)) {
            Found::Series(series, handle) => {
                self.known.insert(kind, key, &handle, &series);
                handle
            }
            Found::Overflow(handle) => {
                self.count_overflow(&family);
                handle
            }
        }
    }

    fn count_overflow(&self, family: &Family<S::Cell>) {
        // The counter of overflows may itself overflow; that is not counted, or it would never end.
        if &*family.name == names::LABEL_OVERFLOW {
            return;
        }
        let counter = family.overflow_counter.get_or_init(|| {
            let key = Key::from_parts(
                names::LABEL_OVERFLOW,
                vec![
                    label(names::LABEL_METRIC, Arc::clone(&family.name)),
                    label(names::LABEL_LABEL, names::WHOLE_SET),
                ],
            );
            self.resolve(Kind::Counter, &key).into_counter()
        });
        counter.increment(1);
    }
}

/// Says where a label set leads.
enum Found<C> {
    Series(Arc<Series<C>>, Handle),
    Overflow(Handle),
}

impl<C: Send + Sync + 'static> Family<C> {
    /// Finds or begins a series; beyond `limit` it is the one of all others.
    fn find<S: Storage<Cell = C>>(&self, storage: &S, labels: &Labels, limit: usize) -> Found<C> {
        let make = |labels: &Labels| {
            let cell = storage.make(self, &labels.pairs);
            let aliases = AtomicU32::new(0);
            let (labels, since) = (labels.text(), SystemTime::now());
            Arc::new(Series { labels, since, cell, idle: AtomicBool::new(false), aliases })
        };
        if labels.are_other() {
            // An instrument that bounds its own labels calls the rest the same.
            let series = self.overflow.get_or_init(|| make(labels));
            return Found::Series(Arc::clone(series), storage.handle(&series.cell));
        }
        let identity = labels.identity();
        let mut all = self.lock();
        if !all.contains_key(&identity) && all.len() >= limit {
            drop(all);
            let series = self.overflow.get_or_init(|| make(&labels.other()));
            return Found::Overflow(storage.handle(&series.cell));
        }
        let entry = all
            .entry(identity)
            .or_insert_with(|| SeriesEntry { series: make(labels), quiet_since: None });
        // The handle is made under the lock, so that `reap` sees that it is held.
        let handle = storage.handle(&entry.series.cell);
        Found::Series(Arc::clone(&entry.series), handle)
    }
}

/// Holds valid labels, in the order of their names.
#[derive(Debug)]
pub(crate) struct Labels {
    pairs: Pairs,
}

impl Labels {
    fn new<'a>(labels: impl Iterator<Item = &'a Label>, constant: &[(String, String)]) -> Self {
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
    pub(crate) fn of_test(pairs: &Pairs) -> Self {
        Self { pairs: pairs.clone() }
    }

    /// Has the same names, and `_other` for every value.
    fn other(&self) -> Self {
        let other = |name: &String| (name.clone(), names::OTHER.to_owned());
        Self { pairs: self.pairs.keys().map(other).collect() }
    }

    /// Tells whether this is the label set that stands for all others.
    fn are_other(&self) -> bool {
        !self.pairs.is_empty() && self.pairs.values().all(|value| value == names::OTHER)
    }

    fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Writes `a="1",b="2"`, escaped.
    pub(crate) fn text(&self) -> Box<str> {
        write(self.pairs())
    }

    /// Returns what tells this series from others: an empty label is the same as none.
    fn identity(&self) -> Box<str> {
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
