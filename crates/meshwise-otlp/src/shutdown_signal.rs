//! Telling an exporter that shutdown has begun.

use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::Notify;

/// Tells an exporter that waits before it tries again that there is no time left for that.
#[derive(Debug, Default)]
pub struct ShutdownSignal {
    begun: AtomicBool,
    notify: Notify,
}

impl ShutdownSignal {
    pub(crate) fn begin(&self) {
        self.begun.store(true, Ordering::Release);
        self.notify.notify_waiters();
    }

    /// Tells whether shutdown has begun.
    pub(crate) fn has_begun(&self) -> bool {
        self.begun.load(Ordering::Acquire)
    }

    /// Waits for shutdown to begin.
    #[cfg_attr(not(feature = "_otlp"), expect(dead_code, reason = "only OTLP tries again"))]
    pub(crate) async fn begun(&self) {
        // The order matters: a `Notified` hears of all that comes after its creation.
        let notified = self.notify.notified();
        if !self.has_begun() {
            notified.await;
        }
    }
}
