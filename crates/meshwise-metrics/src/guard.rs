//! Bounds for labels that come from outside.

use crate::{
    hub::Metrics,
    key::{METADATA, label},
    names,
    table::Table,
};
use metrics::{Counter, Key};
use std::{fmt, sync::Arc};

/// Longest label value that is told apart, in bytes.
const MAX_VALUE: usize = 256;

/// Lets a label take a bounded number of values; the rest share the value `_other`.
///
/// Use one for every label whose values come from outside: callers' names, hosts, API versions.
/// The first `limit` distinct values are kept for good; each use of a further one is counted in
/// `meshwise_label_overflow_total{metric,label}`. A value of more than 256 bytes counts as one
/// beyond the limit. Reading a known value takes no lock and allocates nothing.
///
/// ```
/// use meshwise_metrics::internal::LabelGuard;
/// let callers = LabelGuard::detached(2);
/// assert_eq!(&*callers.intern("orders"), "orders");
/// assert_eq!(&*callers.intern("stock"), "stock");
/// assert_eq!(&*callers.intern("who-is-this"), "_other");
/// assert_eq!(&*callers.intern("orders"), "orders");
/// ```
#[derive(Clone)]
pub struct LabelGuard(Arc<GuardInner>);

struct GuardInner {
    values: Table<Arc<str>>,
    other: Arc<str>,
    overflow: Counter,
}

impl LabelGuard {
    /// Bounds `label` of `metric` to `limit` values, and counts overflow in `metrics`.
    #[must_use]
    pub fn new(metrics: &Metrics, metric: &'static str, label: &'static str, limit: usize) -> Self {
        Self::with_counter(limit, overflow(metrics, metric, label))
    }

    /// Bounds a label whose overflow is not counted.
    #[must_use]
    pub fn detached(limit: usize) -> Self {
        Self::with_counter(limit, Counter::noop())
    }

    fn with_counter(limit: usize, overflow: Counter) -> Self {
        let other = Arc::from(names::OTHER);
        Self(Arc::new(GuardInner { values: Table::new(limit), other, overflow }))
    }

    /// Returns `value` if it is one of those that are told apart already.
    #[must_use]
    pub fn known(&self, value: &str) -> Option<Arc<str>> {
        self.known_bytes(value.as_bytes())
    }

    /// Returns the value that has these bytes if it is one of those that are told apart already: such bytes
    /// need not be looked through for what is no text.
    #[must_use]
    #[inline]
    pub fn known_bytes(&self, value: &[u8]) -> Option<Arc<str>> {
        let values = &self.0.values;
        values.get(values.hash(&value), |known| known.as_bytes() == value).map(Arc::clone)
    }

    /// Returns `value`, or `_other` if there are too many values or this one is too long.
    #[must_use]
    pub fn intern(&self, value: &str) -> Arc<str> {
        let inner = &*self.0;
        if value.len() <= MAX_VALUE {
            let hash = inner.values.hash(&value.as_bytes());
            let known =
                inner.values.get_or_insert(hash, |known| &**known == value, || Arc::from(value));
            if let Some(known) = known {
                return Arc::clone(known);
            }
        }
        inner.overflow.increment(1);
        Arc::clone(&inner.other)
    }
}

impl fmt::Debug for LabelGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LabelGuard").field(&self.0.values).finish()
    }
}

/// Resolves the counter of one label's overflow.
pub(crate) fn overflow(metrics: &Metrics, metric: &'static str, name: &'static str) -> Counter {
    let labels = vec![label(names::LABEL_METRIC, metric), label(names::LABEL_LABEL, name)];
    metrics.backend().register_counter(&Key::from_parts(names::LABEL_OVERFLOW, labels), &METADATA)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_too_long_to_keep_is_other() {
        let guard = LabelGuard::detached(10);
        assert_eq!(guard.intern(&"x".repeat(256)).len(), 256);
        assert_eq!(&*guard.intern(&"x".repeat(257)), names::OTHER);
    }

    #[test]
    fn known_values_share_one_allocation() {
        let guard = LabelGuard::detached(1);
        assert_eq!(guard.known("a"), None);
        let (first, second) = (guard.intern("a"), guard.clone().intern("a"));
        assert_eq!(guard.known("a").as_deref(), Some("a"));
        assert_eq!(guard.known_bytes(b"a").as_deref(), Some("a"));
        assert_eq!(guard.known_bytes(b"\xff"), None);
        assert!(Arc::ptr_eq(&first, &second));
        let outside = allocation_counter::measure(|| {
            let _ = (guard.intern("a"), guard.intern("b"));
        });
        assert_eq!(outside.count_total, 0);
    }
}
