//! The body of a gRPC request, whose messages are counted as they flow, and of which it is noted if its
//! caller leaves in the midst of it.

use http::Request;
use http_body::{Body, Frame, SizeHint};
use meshwise_core::{
    Classifier, GrpcCode,
    internal::messages::Messages,
    outcome::{Fault, FaultKind},
};
use pin_project_lite::pin_project;
use std::{
    any::Any,
    fmt,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll},
};

pin_project! {
    /// Passes a request's body through untouched, and counts its gRPC messages.
    pub struct CountedBody<B> {
        #[pin]
        inner: B,
        messages: Messages,
        seen: RequestMessages,
        classifier: Classifier,
    }
}

impl<B: Body<Error: 'static>> Body for CountedBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.project();
        let polled = this.inner.poll_frame(cx);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(data) = frame.data_ref() {
                    this.messages.frame(data);
                    this.seen.set(this.messages);
                }
            }
            Poll::Ready(Some(Err(error)))
                if says_that_caller_left(this.classifier.faults().of(error)) =>
            {
                this.seen.0.caller_left.store(true, Relaxed);
            }
            _ => {}
        }
        polled
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

/// Tells of a request's body that its connection broke, or its caller gave the stream up: not that it is too
/// large, or no text that can be read.
fn says_that_caller_left(fault: Fault) -> bool {
    matches!(
        fault.kind,
        FaultKind::Reset | FaultKind::Cancelled | FaultKind::Grpc(GrpcCode::Cancelled)
    )
}

/// Tells a call how many messages its request has carried so far, and whether its caller left.
#[derive(Clone, Debug, Default)]
pub(crate) struct RequestMessages(Arc<Seen>);

#[derive(Debug, Default)]
struct Seen {
    count: AtomicU64,
    bytes: AtomicU64,
    caller_left: AtomicBool,
}

impl RequestMessages {
    /// Counts the messages of a request from now on, if its body is of a type that can be wrapped.
    pub(crate) fn of<B: 'static>(
        count: &[CountBody],
        classifier: &Classifier,
        request: &mut Request<B>,
    ) -> Option<Self> {
        let seen = Self::default();
        let body = request.body_mut();
        count.iter().any(|count| count.count(body, &seen, classifier)).then_some(seen)
    }

    fn set(&self, messages: &Messages) {
        self.0.count.store(messages.count, Relaxed);
        self.0.bytes.store(messages.bytes, Relaxed);
    }

    /// Returns the number of messages and of their bytes.
    pub(crate) fn get(&self) -> (u64, u64) {
        (self.0.count.load(Relaxed), self.0.bytes.load(Relaxed))
    }

    /// Tells whether the body broke off because its caller left.
    pub(crate) fn caller_left(&self) -> bool {
        self.0.caller_left.load(Relaxed)
    }
}

/// Knows how to count within the bodies of an adapter's type.
///
/// The layers pass requests on without changing their type, and only a body that can hold any other
/// (tonic's, axum's) can be wrapped and stay what it is.
#[derive(Clone)]
pub(crate) struct CountBody(Arc<Count>);

type Count = dyn Fn(&mut dyn Any, &RequestMessages, &Classifier) -> bool + Send + Sync;

impl CountBody {
    pub(crate) fn new<B: Default + 'static>(wrap: fn(CountedBody<B>) -> B) -> Self {
        Self(Arc::new(move |body, seen, classifier| {
            let Some(body) = body.downcast_mut::<B>() else { return false };
            let inner = std::mem::take(body);
            let (seen, classifier) = (seen.clone(), classifier.clone());
            let counted = CountedBody { inner, messages: Messages::default(), seen, classifier };
            *body = wrap(counted);
            true
        }))
    }

    /// Wraps the body if it is of this type. The classifier knows what its errors mean.
    pub(crate) fn count(
        &self,
        body: &mut dyn Any,
        seen: &RequestMessages,
        classifier: &Classifier,
    ) -> bool {
        (self.0)(body, seen, classifier)
    }
}

impl fmt::Debug for CountBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CountBody").finish()
    }
}
