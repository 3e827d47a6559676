//! Changes that a builder is told before what they change is there.

/// Changes to a `T`, in the order in which they were told.
pub(crate) struct Changes<T>(Box<dyn FnOnce(T) -> T + Send>);

impl<T> Default for Changes<T> {
    fn default() -> Self {
        Self(Box::new(|value| value))
    }
}

impl<T: 'static> Changes<T> {
    /// Makes another change after those told before.
    pub(crate) fn add(&mut self, change: impl FnOnce(T) -> T + Send + 'static) {
        let before = std::mem::take(self);
        self.0 = Box::new(move |value| change(before.apply(value)));
    }

    /// Makes all changes.
    pub(crate) fn apply(self, value: T) -> T {
        (self.0)(value)
    }
}
