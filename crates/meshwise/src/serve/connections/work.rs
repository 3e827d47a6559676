//! What a connection still has to do: calls, and bytes that its client has not taken yet.

use axum::body::Body;
use bytes::{Buf, Bytes};
use http::Response;
use http_body::{Body as HttpBody, Frame, SizeHint};
use pin_project_lite::pin_project;
use std::{
    io::IoSlice,
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

/// A call on a connection, from its head until all of its answer is written.
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
        Poll::Ready(answer.map(|answer| answer.map(|inner| CallBody { inner, call })))
    }
}

/// The body of an answer.
#[derive(Debug)]
pub(super) struct CallBody {
    inner: Body,
    call: Option<Call>,
}

/// A piece of an answer, which belongs to the call until it is written: over HTTP/2 it may lie in wait for a
/// client that is slow, though the body has ended.
#[derive(Debug)]
pub(super) struct CallData {
    bytes: Bytes,
    _call: Option<Call>,
}

impl Buf for CallData {
    fn remaining(&self) -> usize {
        self.bytes.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.bytes.chunk()
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        self.bytes.chunks_vectored(slices)
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
    }

    fn copy_to_bytes(&mut self, count: usize) -> Bytes {
        self.bytes.copy_to_bytes(count)
    }
}

impl HttpBody for CallBody {
    type Data = CallData;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<CallData>, axum::Error>>> {
        let polled = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        let data = |bytes| CallData { bytes, _call: self.call.clone() };
        Poll::Ready(polled.map(|frame| frame.map(|frame| frame.map_data(data))))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
