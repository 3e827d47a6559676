//! The label sets of a family's calls, with the handles of each: made once, found again without a lock.

use crate::{backend::Backend, guard, hub::Metrics, names, recorder::SharedRecorder, table::Table};
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

/// Keeps the handles `H` of at most a set number of label sets.
///
/// Label sets beyond share one, all of whose values are `_other`.
pub(super) struct LabelSets<K, H> {
    /// Looked after as long as anything is recorded to it.
    recorder: SharedRecorder,
    /// Names of all labels, for the set that stands for all others.
    label_names: &'static [&'static str],
    sets: Table<(K, H)>,
    other: OnceLock<H>,
    overflow: Counter,
}

impl<K, H> LabelSets<K, H> {
    /// Keeps those of `metric`, and counts what is beyond their bound by its name.
    pub(super) fn new(
        metrics: &Metrics,
        metric: &'static str,
        label_names: &'static [&'static str],
    ) -> Self {
        Self {
            recorder: metrics.recorder(),
            label_names,
            sets: Table::new(metrics.max_label_sets()),
            other: OnceLock::new(),
            overflow: guard::overflow(metrics, metric, names::WHOLE_SET),
        }
    }

    /// Finds the handles of a label set that was seen before.
    #[inline]
    pub(super) fn get<L: CallLabels<Owned = K>>(&self, labels: &L) -> Option<&H> {
        let hash = self.sets.hash(labels);
        self.sets.get(hash, |(kept, _)| labels.are(kept)).map(|(_, handles)| handles)
    }

    /// Finds the handles of a label set whose values are bounded already, or has `make` register them.
    pub(super) fn get_or_make<L: CallLabels<Owned = K>>(
        &self,
        labels: &L,
        make: impl Fn(&dyn Backend, &[Label]) -> H,
    ) -> &H {
        let hash = self.sets.hash(labels);
        let kept = || (labels.keep(), make(&*self.recorder.backend, &labels.list()));
        match self.sets.get_or_insert(hash, |(known, _)| labels.are(known), kept) {
            Some((_, handles)) => handles,
            None => {
                self.overflow.increment(1);
                self.other.get_or_init(|| {
                    let all = self.label_names.iter();
                    let other = all.map(|name| Label::from_static_parts(name, names::OTHER));
                    make(&*self.recorder.backend, &other.collect::<Vec<_>>())
                })
            }
        }
    }
}

impl<K, H> fmt::Debug for LabelSets<K, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LabelSets").field(&self.sets).finish()
    }
}
