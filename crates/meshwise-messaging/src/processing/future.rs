//! Running a handler inside of its message's context.

use super::message::Processing;
use pin_project_lite::pin_project;
use std::{
    fmt,
    pin::Pin,
    sync::atomic::Ordering::Relaxed,
    task::{Context, Poll},
};

pin_project! {
    /// Resolves to what its future does, polled with the message's context current.
    #[must_use = "futures do nothing unless polled"]
    pub struct Running<'p, F> {
        processing: &'p Processing,
        #[pin]
        future: Option<F>,
    }

    impl<F> PinnedDrop for Running<'_, F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if this.future.is_some() {
                // What a cancelled handler's destructors log is still part of the message.
                let _entered = this.processing.enter();
                this.future.set(None);
            }
        }
    }
}

impl Processing {
    /// Runs a future with the message's context current: what it calls, logs and sends is part of the
    /// message's trace.
    pub fn run<F: Future>(&self, future: F) -> Running<'_, F> {
        Running { processing: self, future: Some(future) }
    }
}

impl<F: Future> Future for Running<'_, F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        /// Notes a panic before it unwinds further, wherever it is caught.
        struct OnPanic<'p>(&'p Processing);
        impl Drop for OnPanic<'_> {
            fn drop(&mut self) {
                self.0.panicked.store(true, Relaxed);
            }
        }
        let mut this = self.project();
        let processing = *this.processing;
        let on_panic = OnPanic(processing);
        let _entered = processing.enter();
        let polled = match this.future.as_mut().as_pin_mut() {
            Some(future) => future.poll(cx),
            // Polled again after its end: never ready, as the contract allows.
            None => Poll::Pending,
        };
        if polled.is_ready() {
            this.future.set(None);
        }
        std::mem::forget(on_panic);
        polled
    }
}

impl<F> fmt::Debug for Running<'_, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running").field("processing", self.processing).finish_non_exhaustive()
    }
}
