//! Exemplars: one real call behind a number.

use meshwise_core::{SpanId, TraceId};
use std::{cell::Cell, fmt, sync::Arc, time::SystemTime};

/// Names the trace, and the span in it, that a recorded value came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_structs, reason = "an exemplar is these three things")]
pub struct Exemplar {
    /// The trace; it should be a sampled one, or there will be nothing to look at.
    #[doc(hidden)]
    pub trace_id: TraceId,
    /// The span.
    #[doc(hidden)]
    pub span_id: SpanId,
    /// When the value came about, for those who know it; otherwise the clock is read.
    pub at: Option<SystemTime>,
}

impl Exemplar {
    /// Names a value's trace and span.
    #[must_use]
    pub const fn new(trace_id: TraceId, span_id: SpanId) -> Self {
        Self { trace_id, span_id, at: None }
    }
}

thread_local! {
    static CURRENT: Cell<Option<Exemplar>> = const { Cell::new(None) };
}

/// Records what `f` records with this exemplar. Without one, `f` records with what
/// [`MetricsConfig::with_exemplars`](crate::config::MetricsConfig::with_exemplars) says.
///
/// Only what is recorded on this thread before `f` returns takes it.
///
/// ```
/// use meshwise_core::{SpanId, TraceId};
/// use meshwise_metrics::{Exemplar, with_exemplar};
/// let exemplar = Exemplar::new(TraceId::from_int(1), SpanId::from_int(2));
/// with_exemplar(Some(exemplar), || metrics::histogram!("job_duration_seconds").record(0.2));
/// ```
pub fn with_exemplar<T>(exemplar: Option<Exemplar>, f: impl FnOnce() -> T) -> T {
    /// Puts back what was there, also if `f` panics.
    struct Restore(Option<Exemplar>);
    impl Drop for Restore {
        fn drop(&mut self) {
            let _ = CURRENT.try_with(|current| current.set(self.0));
        }
    }
    let Some(exemplar) = exemplar else { return f() };
    // While a thread ends its locals may be gone; then there is no exemplar.
    let before = CURRENT.try_with(|current| current.replace(Some(exemplar))).ok().flatten();
    let _restore = Restore(before);
    f()
}

/// Knows the exemplar of what is recorded now.
#[derive(Clone, Default)]
pub(crate) struct ExemplarSource(Option<Arc<dyn Fn() -> Option<Exemplar> + Send + Sync>>);

impl ExemplarSource {
    pub(crate) fn new(current: impl Fn() -> Option<Exemplar> + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(current)))
    }

    #[inline]
    pub(crate) fn current(&self) -> Option<Exemplar> {
        let given = CURRENT.try_with(Cell::get).ok().flatten();
        given.or_else(|| self.0.as_ref().and_then(|current| current()))
    }
}

impl fmt::Debug for ExemplarSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ExemplarSource").field(&self.0.is_some()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exemplar(id: u64) -> Exemplar {
        Exemplar::new(TraceId::from_int(u128::from(id)), SpanId::from_int(id))
    }

    #[test]
    fn the_one_given_beats_the_source_and_is_put_back() {
        let source = ExemplarSource::new(|| Some(exemplar(1)));
        assert_eq!(source.current(), Some(exemplar(1)));
        with_exemplar(Some(exemplar(2)), || {
            assert_eq!(source.current(), Some(exemplar(2)));
            with_exemplar(None, || assert_eq!(source.current(), Some(exemplar(2))));
            let panicked = std::panic::catch_unwind(|| {
                with_exemplar(Some(exemplar(3)), || panic!("on purpose"));
            });
            assert!(panicked.is_err());
            assert_eq!(source.current(), Some(exemplar(2)));
        });
        assert_eq!(source.current(), Some(exemplar(1)));
        assert_eq!(ExemplarSource::default().current(), None);
    }
}
