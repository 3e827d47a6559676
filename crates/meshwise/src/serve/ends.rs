//! Ends that are better than a connection that breaks: a panic is answered, and what the end of a
//! drain breaks off is told so.
//!
//! The layer stands just inside the one that observes calls, so that its answers are seen like any
//! other, with their request id.

use axum::{body::Body, response::IntoResponse};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header::CONTENT_TYPE};
use http_body::{Frame, SizeHint};
use meshwise_core::{GrpcCode, Protocol, outcome::BrokenOff};
use meshwise_http::break_off;
use pin_project_lite::pin_project;
use std::{
    convert::Infallible,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
};
use tower::{Layer, Service};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Breaks off the calls in flight at the end of a drain, and counts them.
///
/// A flag instead of a notification: a call costs nothing then, and the tasks that poll the calls are
/// woken anyhow (`connections`).
#[derive(Clone, Debug, Default)]
pub(super) struct Cut(Arc<CutState>);

#[derive(Debug, Default)]
struct CutState {
    now: AtomicBool,
    calls: AtomicU64,
}

impl Cut {
    /// Ends each call the next time that it is polled, or when it is dropped.
    pub(super) fn now(&self) {
        self.0.now.store(true, Relaxed);
    }

    /// Returns how many calls were broken off.
    pub(super) fn calls(&self) -> u64 {
        self.0.calls.load(Relaxed)
    }

    fn is_now(&self) -> bool {
        self.0.now.load(Relaxed)
    }

    pub(super) fn count(&self) {
        self.0.calls.fetch_add(1, Relaxed);
    }

    /// Takes note of a call that is dropped before its end: the end of the drain does that to one whose
    /// client does not read, for nothing polls what no one takes.
    fn dropped(&self) {
        if self.is_now() {
            self.count();
            break_off(BrokenOff::Shutdown);
        }
    }
}

/// Answers for handlers that panic, and for calls that are broken off.
#[derive(Clone, Debug)]
pub(super) struct EndLayer {
    pub(super) cut: Cut,
}

impl<S> Layer<S> for EndLayer {
    type Service = EndService<S>;

    fn layer(&self, inner: S) -> EndService<S> {
        EndService { inner, cut: self.cut.clone() }
    }
}

#[derive(Clone, Debug)]
pub(super) struct EndService<S> {
    inner: S,
    cut: Cut,
}

impl<S> Service<Request<Body>> for EndService<S>
where
    S: Service<Request<Body>, Error = Infallible>,
    S::Response: IntoResponse,
{
    type Response = Response<EndBody>;
    type Error = Infallible;
    type Future = EndFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let protocol = Protocol::of(request.headers());
        // A service that panicked may be left half changed; axum clones it anew for every call.
        let future = catch_unwind(AssertUnwindSafe(|| self.inner.call(request))).ok();
        EndFuture { inner: future, protocol, cut: self.cut.clone(), answered: false }
    }
}

pin_project! {
    /// Resolves to the handler's answer, or to one in its place.
    pub(super) struct EndFuture<F> {
        // `None`: it panicked before there was a future.
        #[pin]
        inner: Option<F>,
        protocol: Protocol,
        cut: Cut,
        answered: bool,
    }

    impl<F> PinnedDrop for EndFuture<F> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            if !*this.answered {
                this.cut.dropped();
            }
        }
    }
}

impl<F, R> Future for EndFuture<F>
where
    F: Future<Output = Result<R, Infallible>>,
    R: IntoResponse,
{
    type Output = Result<Response<EndBody>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if this.cut.is_now() {
            // The handler's destructors run now, as part of its call. The calls that it makes end with it.
            break_off(BrokenOff::Shutdown);
            this.inner.set(None);
            this.cut.count();
            *this.answered = true;
            return Poll::Ready(Ok(answer(*this.protocol, BrokenOff::Shutdown)));
        }
        let polled = match this.inner.as_mut().as_pin_mut() {
            Some(inner) => catch_unwind(AssertUnwindSafe(|| {
                let response = ready!(inner.poll(cx));
                Poll::Ready(response.map(IntoResponse::into_response))
            })),
            None => {
                *this.answered = true;
                return Poll::Ready(Ok(answer(*this.protocol, BrokenOff::Panic)));
            }
        };
        let Ok(polled) = polled else {
            *this.answered = true;
            // Dropping what panicked may panic again.
            let _ = catch_unwind(AssertUnwindSafe(|| this.inner.set(None)));
            return Poll::Ready(Ok(answer(*this.protocol, BrokenOff::Panic)));
        };
        let Ok(response) = ready!(polled);
        *this.answered = true;
        let protocol = Protocol::of(response.headers());
        let cut = this.cut.clone();
        Poll::Ready(Ok(response.map(|inner| EndBody { inner: Some(inner), protocol, cut })))
    }
}

/// Answers in the handler's place: 500 or 503 for HTTP, `UNKNOWN` or `UNAVAILABLE` for gRPC.
fn answer(protocol: Protocol, why: BrokenOff) -> Response<EndBody> {
    let (status, code, text) = match why {
        BrokenOff::Panic => {
            (StatusCode::INTERNAL_SERVER_ERROR, GrpcCode::Unknown, "the handler panicked\n")
        }
        _ => (StatusCode::SERVICE_UNAVAILABLE, GrpcCode::Unavailable, "shutting down\n"),
    };
    let grpc = protocol == Protocol::Grpc;
    let body = if grpc { Body::empty() } else { Body::from(text) };
    let mut response = Response::new(EndBody::new(body));
    let headers = response.headers_mut();
    if grpc {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        grpc_status(headers, code, text.trim_end());
    } else {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        *response.status_mut() = status;
    }
    response.extensions_mut().insert(why);
    response
}

fn grpc_status(headers: &mut HeaderMap, code: GrpcCode, message: &'static str) {
    headers.insert("grpc-status", HeaderValue::from(code as u16));
    headers.insert("grpc-message", HeaderValue::from_static(message));
}

/// The handler's body, until it is broken off.
#[derive(Debug)]
pub(super) struct EndBody {
    // `None`: it has ended.
    inner: Option<Body>,
    protocol: Protocol,
    cut: Cut,
}

impl EndBody {
    /// A body that is not worth breaking off.
    fn new(inner: Body) -> Self {
        Self { inner: Some(inner), protocol: Protocol::Http, cut: Cut::default() }
    }
}

impl http_body::Body for EndBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        let Some(inner) = &mut this.inner else { return Poll::Ready(None) };
        if this.cut.is_now() && !inner.is_end_stream() {
            // The trailers say it to the caller, and this to the layer that observes, and to what observes
            // the calls that this body is made of.
            break_off(BrokenOff::Shutdown);
            this.inner = None;
            this.cut.count();
            return Poll::Ready(Some(match this.protocol {
                Protocol::Grpc => {
                    let mut trailers = HeaderMap::new();
                    grpc_status(&mut trailers, GrpcCode::Unavailable, "shutting down");
                    Ok(Frame::trailers(trailers))
                }
                _ => Err(BrokenOff::Shutdown.into()),
            }));
        }
        let frame = ready!(Pin::new(inner).poll_frame(cx));
        if frame.as_ref().is_none_or(Result::is_err) {
            this.inner = None;
        }
        Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(http_body::Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map_or_else(|| SizeHint::with_exact(0), http_body::Body::size_hint)
    }
}

impl Drop for EndBody {
    fn drop(&mut self) {
        if !http_body::Body::is_end_stream(self) {
            self.cut.dropped();
        }
    }
}
