//! What the layers of both sides share.

pub(crate) mod clock;
pub(crate) mod recorder;
pub(crate) mod routes;
pub(crate) mod table;

/// Writes the methods of a builder that has a recorder and a clock.
macro_rules! counting_setters {
    () => {
        /// Counts to a recorder of one's own. Without it, the global one has to be installed before
        /// [`build`](Self::build).
        #[doc(hidden)]
        pub fn with_recorder(
            mut self,
            recorder: impl metrics::Recorder + Send + Sync + 'static,
        ) -> Self {
            self.recorder = $crate::runtime::recorder::Recorder::new(recorder);
            self
        }

        /// Sets the clock, for tests.
        #[doc(hidden)]
        pub fn with_clock(
            mut self,
            now: impl Fn() -> std::time::SystemTime + Send + Sync + 'static,
        ) -> Self {
            self.clock = $crate::runtime::clock::Clock::new(now);
            self
        }
    };
}

pub(crate) use counting_setters;
