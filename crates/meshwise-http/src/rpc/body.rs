//! The body of a gRPC request, whose messages are counted as they flow.

use http_body::{Body, Frame, SizeHint};
use meshwise_core::internal::messages::Messages;
use pin_project_lite::pin_project;
use std::{
    any::Any,
    fmt,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
};

pin_project! {
    /// Passes a request's body through untouched, and counts its gRPC messages.
    pub struct CountedBody<B> {
        #[pin]
        inner: B,
        messages: Messages,
        seen: RequestMessages,
    }
}

impl<B: Body> Body for CountedBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.project();
        let frame = ready!(this.inner.poll_frame(cx));
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
        {
            this.messages.frame(data);
            this.seen.set(this.messages);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl<B> fmt::Debug for CountedBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CountedBody").field("messages", &self.messages).finish_non_exhaustive()
    }
}

/// Tells a call how many messages its request has carried so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct RequestMessages(Arc<[AtomicU64; 2]>);

impl RequestMessages {
    fn set(&self, messages: &Messages) {
        let [count, bytes] = &*self.0;
        count.store(messages.count, Relaxed);
        bytes.store(messages.bytes, Relaxed);
    }

    /// Returns the number of messages and of their bytes.
    pub(crate) fn get(&self) -> (u64, u64) {
        let [count, bytes] = &*self.0;
        (count.load(Relaxed), bytes.load(Relaxed))
    }
}

/// Knows how to count within the bodies of an adapter's type.
///
/// The layers pass requests on without changing their type, and only a body that can hold any other
/// (tonic's, axum's) can be wrapped and stay what it is.
#[derive(Clone)]
pub(crate) struct CountBody(Arc<Count>);

type Count = dyn Fn(&mut dyn Any, &RequestMessages) -> bool + Send + Sync;

impl CountBody {
    pub(crate) fn new<B: Default + 'static>(wrap: fn(CountedBody<B>) -> B) -> Self {
        Self(Arc::new(move |body, seen| {
            let Some(body) = body.downcast_mut::<B>() else { return false };
            let inner = std::mem::take(body);
            let counted = CountedBody { inner, messages: Messages::default(), seen: seen.clone() };
            *body = wrap(counted);
            true
        }))
    }

    /// Wraps the body if it is of this type.
    pub(crate) fn count(&self, body: &mut dyn Any, seen: &RequestMessages) -> bool {
        (self.0)(body, seen)
    }
}

impl fmt::Debug for CountBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CountBody").finish()
    }
}
