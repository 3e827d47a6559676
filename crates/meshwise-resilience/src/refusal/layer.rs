//! The layer that answers with a response where a guard refused.

use super::{MaybeRefused, refusal_response};
use crate::debug::debug;
use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use meshwise_core::Protocol;
use pin_project_lite::pin_project;
use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};
use tower_layer::Layer;
use tower_service::Service;

/// Answers a caller with a response where a guard further in refused: put it around server-side
/// guards. Other errors pass through.
///
/// ```
/// use http::{Request, Response};
/// use http_body_util::Empty;
/// use meshwise_core::{Refused, outcome::Rule};
/// use meshwise_resilience::RefusalResponseLayer;
/// use tower::{Layer, ServiceExt, service_fn};
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let guarded = service_fn(async |_: Request<()>| -> Result<Response<Empty<bytes::Bytes>>, Refused> {
///     Err(Refused::new(Rule::RateLimited, "orders"))
/// });
/// let response = RefusalResponseLayer.layer(guarded).oneshot(Request::new(())).await.unwrap();
/// assert_eq!(response.status(), 429);
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[allow(clippy::exhaustive_structs, reason = "it has nothing to set")]
pub struct RefusalResponseLayer;

impl<S> Layer<S> for RefusalResponseLayer {
    type Service = RefusalResponse<S>;

    fn layer(&self, inner: S) -> RefusalResponse<S> {
        RefusalResponse { inner }
    }
}

/// Turns refusals into responses. Made by [`RefusalResponseLayer`].
#[derive(Clone, Debug)]
pub struct RefusalResponse<S> {
    inner: S,
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for RefusalResponse<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    S::Error: MaybeRefused,
    ResBody: Body<Data = Bytes>,
{
    type Response = Response<RefusalBody<ResBody>>;
    type Error = <S::Error as MaybeRefused>::Other;
    type Future = RefusalFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        // A refusal before there is a call (which no guard of this crate makes) has no request to
        // answer; the caller waits until the service is ready or truly broken.
        match ready!(self.inner.poll_ready(cx)) {
            Ok(()) => Poll::Ready(Ok(())),
            Err(error) => match error.into_refused() {
                Ok(_) => {
                    cx.waker().wake_by_ref();
                    Poll::Pending
                }
                Err(other) => Poll::Ready(Err(other)),
            },
        }
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let protocol = Protocol::of(request.headers());
        RefusalFuture { inner: self.inner.call(request), protocol }
    }
}

pin_project! {
    /// Resolves to the inner service's response, or to the one that tells of a refusal.
    pub struct RefusalFuture<F> {
        #[pin]
        inner: F,
        protocol: Protocol,
    }
}

impl<F, B, E> Future for RefusalFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    E: MaybeRefused,
{
    type Output = Result<Response<RefusalBody<B>>, E::Other>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        Poll::Ready(match ready!(this.inner.poll(cx)) {
            Ok(response) => {
                Ok(response.map(|inner| RefusalBody { inner: Some(inner), text: None }))
            }
            Err(error) => error.into_refused().map(|refused| {
                refusal_response(&refused, *this.protocol).map(RefusalBody::refused)
            }),
        })
    }
}

debug!("RefusalFuture", [F] RefusalFuture<F>, future: "protocol" = future.protocol);

pin_project! {
    /// The inner service's body, or that of a refusal.
    #[derive(Debug)]
    pub struct RefusalBody<B> {
        #[pin]
        inner: Option<B>,
        // What is still to be sent, if a guard refused.
        text: Option<Bytes>,
    }
}

impl<B> RefusalBody<B> {
    fn refused(text: Bytes) -> Self {
        Self { inner: None, text: (!text.is_empty()).then_some(text) }
    }
}

impl<B: Body<Data = Bytes>> Body for RefusalBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.project();
        match this.inner.as_pin_mut() {
            Some(inner) => inner.poll_frame(cx),
            None => Poll::Ready(this.text.take().map(Frame::data).map(Ok)),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().map_or(self.text.is_none(), B::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let refused =
            || SizeHint::with_exact(self.text.as_ref().map_or(0, |text| text.len() as u64));
        self.inner.as_ref().map_or_else(refused, B::size_hint)
    }
}

impl<B: Default> Default for RefusalBody<B> {
    fn default() -> Self {
        Self { inner: Some(B::default()), text: None }
    }
}
