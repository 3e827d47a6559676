//! A channel whose errors are statuses, and whose deadline covers the whole call.

use crate::error::{mend, to_status};
use http::{Request, Response, Uri};
use http_body::{Body, Frame, SizeHint};
use meshwise_core::{Deadline, internal::Limits};
use pin_project_lite::pin_project;
use std::{
    error::Error,
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::time::Sleep;
use tonic::{Status, transport::Channel};
use tower_service::Service;

type BoxError = Box<dyn Error + Send + Sync>;

/// Sends calls through a tonic [`Channel`], or through any other service of requests and responses with
/// tonic's [`Body`](tonic::body::Body).
///
/// The [`Deadline`] in a request's extensions covers the call to its last message, as gRPC has it
/// (tonic's own timeout ends with the head of the response); once it has passed, the caller gets
/// `DEADLINE_EXCEEDED` and the server a reset. A call whose deadline has passed already is not sent.
/// Where a guard around the call has set the deadline ([`Limits::current`]), that guard enforces it
/// and no timer is started here.
#[derive(Clone, Debug)]
pub struct Transport<S = Channel>(S);

impl<S> Transport<S> {
    /// Sends through a channel, or another service.
    #[must_use]
    pub const fn new(inner: S) -> Self {
        Self(inner)
    }
}

impl<S> Service<Request<tonic::body::Body>> for Transport<S>
where
    S: Service<Request<tonic::body::Body>, Response = Response<tonic::body::Body>>,
    S::Error: Into<BoxError>,
{
    type Response = Response<TransportBody>;
    type Error = Status;
    type Future = TransportFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Status>> {
        // The channel's own: it reserves a place in its queue, which `call` takes.
        self.0.poll_ready(cx).map_err(to_status)
    }

    fn call(&mut self, mut request: Request<tonic::body::Body>) -> TransportFuture<S::Future> {
        // What is handed on may name a host alone (`CONNECT`): tonic's channel panics, and is closed then.
        if request.uri().path_and_query().is_none() {
            *request.uri_mut() = Uri::from_static("/");
        }
        let deadline =
            request.extensions().get::<Deadline>().copied().filter(|deadline| {
                Limits::current().is_none_or(|limits| !limits.enforce(*deadline))
            });
        let spent = deadline.is_some_and(|deadline| {
            deadline.remaining(tokio::time::Instant::now().into_std()).is_none()
        });
        TransportFuture {
            inner: (!spent).then(|| self.0.call(request)),
            timer: Timer::new(deadline),
            deadline,
        }
    }
}

pin_project! {
    /// Resolves to the response of a [`Transport`].
    #[doc(hidden)]
    pub struct TransportFuture<F> {
        // None: the deadline had passed before the call began.
        #[pin]
        inner: Option<F>,
        #[pin]
        timer: Timer,
        deadline: Option<Deadline>,
    }
}

impl<F, E> Future for TransportFuture<F>
where
    F: Future<Output = Result<Response<tonic::body::Body>, E>>,
    E: Into<BoxError>,
{
    type Output = Result<Response<TransportBody>, Status>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Some(inner) = this.inner.as_pin_mut() else {
            return Poll::Ready(Err(spent("before the call began")));
        };
        if let Poll::Ready(result) = inner.poll(cx) {
            let timer = Timer::new(*this.deadline);
            return Poll::Ready(match result {
                Ok(response) => Ok(response.map(|inner| TransportBody { inner, timer })),
                Err(error) => Err(to_status(error)),
            });
        }
        ready!(this.timer.poll(cx));
        Poll::Ready(Err(spent("before the server answered")))
    }
}

impl<F> fmt::Debug for TransportFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransportFuture").field("deadline", &self.deadline).finish_non_exhaustive()
    }
}

pin_project! {
    /// The body of a response, which fails once the call's deadline has passed. By default empty, as
    /// interceptors want it for calls that they refuse.
    #[derive(Default)]
    pub struct TransportBody {
        // Replaced by an empty one when the deadline passes, which resets the stream.
        #[pin]
        inner: tonic::body::Body,
        #[pin]
        timer: Timer,
    }
}

impl Body for TransportBody {
    type Data = <tonic::body::Body as Body>::Data;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Status>>> {
        let mut this = self.project();
        if let Poll::Ready(frame) = this.inner.as_mut().poll_frame(cx) {
            return Poll::Ready(frame.map(|frame| frame.map_err(mend)));
        }
        ready!(this.timer.as_mut().poll(cx));
        this.inner.set(tonic::body::Body::empty());
        this.timer.set(Timer { sleep: None });
        Poll::Ready(Some(Err(spent("before the server's last message"))))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl fmt::Debug for TransportBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransportBody").finish_non_exhaustive()
    }
}

pin_project! {
    /// Waits for a deadline; for ever, if there is none.
    #[derive(Default)]
    struct Timer {
        #[pin]
        sleep: Option<Sleep>,
    }
}

impl Timer {
    fn new(deadline: Option<Deadline>) -> Self {
        let sleep = deadline.map(|deadline| tokio::time::sleep_until(deadline.moment().into()));
        Self { sleep }
    }
}

impl Future for Timer {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        match self.project().sleep.as_pin_mut() {
            Some(sleep) => sleep.poll(cx),
            None => Poll::Pending,
        }
    }
}

fn spent(when: &str) -> Status {
    Status::deadline_exceeded(format!("the deadline of the call passed {when}"))
}
