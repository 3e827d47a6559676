//! A family's handles, one per label set, each resolved once.

use crate::{guard, hub::Metrics, names, shared::SharedRecorder, table::Table};
use metrics::{Counter, Label};
use std::{fmt, hash::Hash, sync::OnceLock};

/// Labels of a call, borrowed from it.
///
/// Their hash is of what tells most sets apart, the text that comes from outside and a [`mark`] of the
/// rest: each text that is hashed costs as much as a set that is compared.
pub(super) trait CallLabels: Hash + Copy {
    /// The same, kept.
    type Owned;

    /// Tells whether these are the ones that were kept.
    fn are(&self, kept: &Self::Owned) -> bool;

    /// Keeps them.
    fn keep(&self) -> Self::Owned;

    /// Lists them as the recorder wants them.
    fn list(&self) -> Vec<Label>;
}

/// Returns a number that tells texts apart which are few: by the first byte and the length.
#[inline]
pub(super) fn mark(text: &'static str) -> u64 {
    let first = text.as_bytes().first().copied().unwrap_or(0);
    text.len() as u64 | u64::from(first) << 8
}

/// Tells whether two texts are the same, which nearly always are in the same place, too.
#[inline]
pub(super) fn is_same(one: &'static str, other: &'static str) -> bool {
    std::ptr::eq(one, other) || one == other
}

type Resolve<H> = Box<dyn Fn(&SharedRecorder, Vec<Label>) -> H + Send + Sync>;

/// Keeps the handles `H` of at most a set number of label sets.
///
/// Label sets beyond share one, all of whose values are `_other`.
pub(super) struct CallFamily<K, H> {
    recorder: SharedRecorder,
    /// Names of all labels, for the set that stands for all others.
    label_names: &'static [&'static str],
    resolve: Resolve<H>,
    handles: Table<(K, H)>,
    other: OnceLock<H>,
    overflow: Counter,
}

impl<K, H> CallFamily<K, H> {
    pub(super) fn new(
        metrics: &Metrics,
        metric: &'static str,
        label_names: &'static [&'static str],
        resolve: impl Fn(&SharedRecorder, Vec<Label>) -> H + Send + Sync + 'static,
    ) -> Self {
        Self {
            recorder: metrics.recorder(),
            label_names,
            resolve: Box::new(resolve),
            handles: Table::new(metrics.max_label_sets()),
            other: OnceLock::new(),
            overflow: guard::overflow(metrics, metric, names::WHOLE_SET),
        }
    }

    /// Finds the handles of a label set that was seen before.
    #[inline]
    pub(super) fn known<L: CallLabels<Owned = K>>(&self, labels: &L) -> Option<&H> {
        let hash = self.handles.hash(labels);
        self.handles.get(hash, |(kept, _)| labels.are(kept)).map(|(_, handles)| handles)
    }

    /// Finds or resolves the handles of a label set whose values are bounded already.
    pub(super) fn resolve<L: CallLabels<Owned = K>>(&self, labels: &L) -> &H {
        let hash = self.handles.hash(labels);
        let make = || (labels.keep(), (self.resolve)(&self.recorder, labels.list()));
        match self.handles.get_or_insert(hash, |(kept, _)| labels.are(kept), make) {
            Some((_, handles)) => handles,
            None => {
                self.overflow.increment(1);
                self.other.get_or_init(|| {
                    let all = self.label_names.iter();
                    let other = all.map(|name| Label::from_static_parts(name, names::OTHER));
                    (self.resolve)(&self.recorder, other.collect())
                })
            }
        }
    }
}

impl<K, H> fmt::Debug for CallFamily<K, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CallFamily").field(&self.handles).finish()
    }
}
