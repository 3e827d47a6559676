//! What a connection still has to do: calls, and bytes that its client has not taken yet.

use axum::body::Body;
use bytes::Bytes;
use http::Response;
use http_body::{Body as HttpBody, Frame, SizeHint};
use pin_project_lite::pin_project;
use std::{
    pin::Pin,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

/// How long a connection without a call is waited for once no other calls are taken. A client that is
/// there has closed it by then, or answered that it knows (HTTP/2); one that has vanished, or has stopped
/// in the midst of a head, never does.
const IDLE: Duration = Duration::from_secs(1);

/// Counts the calls of a connection: each holds a [`Call`].
#[derive(Debug, Default)]
pub(super) struct Calls(Call);

/// A call on a connection, from its head to the end of its answer.
#[derive(Clone, Debug, Default)]
pub(super) struct Call(Arc<()>);

/// What keeps a connection, though it has no call.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// The client does not take what is written to it.
    pub(super) writing: AtomicBool,
    /// A call has become a tunnel (RFC 8441), which ends with its connection.
    pub(super) tunnel: AtomicBool,
}

/// Tells when a connection has nothing to do.
#[derive(Debug)]
pub(super) struct Idle {
    calls: Weak<()>,
    kept: Arc<Kept>,
}

impl Calls {
    pub(super) fn begin(&self) -> Call {
        self.0.clone()
    }

    pub(super) fn idle(&self, kept: Arc<Kept>) -> Idle {
        Idle { calls: Arc::downgrade(&self.0.0), kept }
    }
}

impl Idle {
    fn is_now(&self) -> bool {
        // One is that of `Calls` itself.
        self.calls.strong_count() <= 1
            && !self.kept.writing.load(Relaxed)
            && !self.kept.tunnel.load(Relaxed)
    }

    /// Waits until there is nothing to do at the end of a while, and was nothing at its beginning.
    pub(super) async fn for_a_while(self) {
        let mut before = false;
        loop {
            let now = self.is_now();
            if now && before {
                return;
            }
            before = now;
            tokio::time::sleep(IDLE).await;
        }
    }
}

pin_project! {
    /// Resolves to an answer whose body is a part of the call.
    pub(super) struct CallFuture<F> {
        #[pin]
        inner: F,
        call: Option<Call>,
    }
}

impl<F> CallFuture<F> {
    pub(super) const fn new(inner: F, call: Call) -> Self {
        Self { inner, call: Some(call) }
    }
}

impl<F, E> Future for CallFuture<F>
where
    F: Future<Output = Result<Response<Body>, E>>,
{
    type Output = Result<Response<CallBody>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let answer = ready!(this.inner.poll(cx));
        let call = this.call.take();
        Poll::Ready(answer.map(|answer| answer.map(|inner| CallBody { inner, _call: call })))
    }
}

/// The body of an answer.
#[derive(Debug)]
pub(super) struct CallBody {
    inner: Body,
    _call: Option<Call>,
}

impl HttpBody for CallBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.inner).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
