//! Tasks that belong to the call that spawns them.

use crate::traces::enter_dispatch;
use opentelemetry::{Context as OtelContext, ContextGuard};
use pin_project_lite::pin_project;
use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};
use tokio::task::JoinHandle;
use tracing::{Dispatch, Span, dispatcher::DefaultGuard, span::Entered, subscriber::NoSubscriber};

/// Spawns a task that belongs to the call that this code serves: what [`tokio::spawn`] does, and the
/// call goes with it.
///
/// In the task, log lines have the call's ids, spans are in its trace, and outgoing calls are its
/// children; these carry its baggage and request id, and end at its deadline at the latest, as those
/// of the handler do. The task itself ends when it ends, with or without the call.
///
/// Carried are OpenTelemetry's `Context` (with the call's [`CallInfo`](crate::core::CallInfo)), the
/// `tracing` span, and the `tracing` subscriber if it is not the process's. What the macros of
/// `metrics` count in the task goes to the process's recorder, also below a mesh made by
/// [`build`](crate::MeshBuilder::build).
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// async fn order() -> &'static str {
///     meshwise::spawn(async { tracing::info!("this line has the call's trace_id") });
///     "thank you"
/// }
/// # order().await;
/// # }
/// ```
///
/// # Panics
/// If it is called outside of a tokio runtime, as `tokio::spawn` does.
#[track_caller]
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    tokio::spawn(InCall { inner: Some(future), call: CurrentCall::take() })
}

/// Runs a closure that blocks on tokio's threads for such, as a part of the call that this code
/// serves: what [`tokio::task::spawn_blocking`] does, and the call goes with it, as with [`spawn`].
///
/// # Panics
/// If it is called outside of a tokio runtime, as `tokio::task::spawn_blocking` does.
#[track_caller]
pub fn spawn_blocking<F, R>(work: F) -> JoinHandle<R>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    let call = CurrentCall::take();
    tokio::task::spawn_blocking(move || {
        let _entered = call.enter();
        work()
    })
}

/// Holds what makes code a part of a call.
struct CurrentCall {
    cx: OtelContext,
    span: Span,
    dispatch: Option<Dispatch>,
}

impl CurrentCall {
    fn take() -> Self {
        let dispatch = tracing::dispatcher::get_default(|dispatch| {
            (!dispatch.is::<NoSubscriber>()).then(|| dispatch.clone())
        });
        Self { cx: OtelContext::current(), span: Span::current(), dispatch }
    }

    fn enter(&self) -> InCallGuard<'_> {
        InCallGuard {
            // The span attaches its own context; what was current may say more.
            _dispatch: self.dispatch.as_ref().and_then(enter_dispatch),
            _span: self.span.enter(),
            _cx: self.cx.clone().attach(),
        }
    }
}

/// What was made last is dropped first.
struct InCallGuard<'a> {
    _cx: ContextGuard,
    _span: Entered<'a>,
    _dispatch: Option<DefaultGuard>,
}

pin_project! {
    /// Runs a future, and its destructors, as a part of a call.
    struct InCall<F> {
        // Always there until this is dropped.
        #[pin]
        inner: Option<F>,
        call: CurrentCall,
    }

    impl<F> PinnedDrop for InCall<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            let _entered = this.call.enter();
            this.inner.set(None);
        }
    }
}

impl<F: Future> Future for InCall<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let _entered = this.call.enter();
        match this.inner.as_pin_mut() {
            Some(inner) => inner.poll(cx),
            None => Poll::Pending,
        }
    }
}

impl<F> fmt::Debug for InCall<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InCall(..)")
    }
}
