//! Refusals as proper responses: status, `Retry-After`, and a problem that machines can read.
//!
//! HTTP callers get an `application/problem+json` body (RFC 9457), gRPC callers a response of
//! trailers only. Neither names the peer: callers may be strangers, and the log knows it.

use crate::debug::debug;
use bytes::Bytes;
use http::{HeaderValue, Request, Response, header};
use http_body::{Body, Frame, SizeHint};
use meshwise_core::{GrpcCode, Protocol, Refused, outcome::Faults};
use pin_project_lite::pin_project;
use std::{
    error::Error,
    mem,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tower_layer::Layer;
use tower_service::Service;

/// Turns a refusal into the response that tells a caller of it, in the caller's protocol.
///
/// `Retry-After` counts whole seconds, rounded up: who heeds it does not come too early. For gRPC
/// the wait stands in `grpc-retry-pushback-ms` (gRPC proposal A6).
#[must_use]
pub fn refusal_response(refused: &Refused, protocol: Protocol) -> Response<Bytes> {
    if protocol == Protocol::Grpc { grpc(refused) } else { problem(refused) }
}

fn problem(refused: &Refused) -> Response<Bytes> {
    let rule = refused.rule();
    let status = rule.status();
    // All of it is ours and plain ASCII: nothing needs escaping.
    let body = format!(
        r#"{{"type":"about:blank","title":"{}","status":{},"detail":"{}","reason":"{}"}}"#,
        status.canonical_reason().unwrap_or("Refused"),
        status.as_u16(),
        rule.told(),
        rule.error_type(),
    );
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    if let Some(wait) = refused.retry_after() {
        // Rounded up, so that no one comes back before the wait is over.
        let seconds = wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0));
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

fn grpc(refused: &Refused) -> Response<Bytes> {
    let rule = refused.rule();
    let mut response = trailers_only(rule.grpc_code(), rule.told());
    if let Some(wait) = refused.retry_after() {
        let millis = u32::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(u32::MAX);
        // gRPC reads it as a signed 32-bit number.
        let millis = HeaderValue::from(millis.min(i32::MAX.unsigned_abs()));
        response.headers_mut().insert("grpc-retry-pushback-ms", millis);
    }
    response
}

/// Answers a gRPC call with a status and nothing else. The message is plain ASCII without a percent sign:
/// gRPC's encoding of it is itself.
pub(crate) fn trailers_only<B: Default>(code: GrpcCode, message: &'static str) -> Response<B> {
    let mut response = Response::new(B::default());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert("grpc-status", HeaderValue::from(code as u16));
    headers.insert("grpc-message", HeaderValue::from_static(message));
    response
}

/// Tells a refusal from a service's other errors.
pub trait MaybeRefused {
    /// What is left when it is no refusal.
    type Other;

    /// Returns the refusal, or else the other error.
    ///
    /// # Errors
    /// Returns the error that is no refusal.
    fn into_refused(self) -> Result<Refused, Self::Other>;
}

impl<E> MaybeRefused for GuardError<E> {
    type Other = E;

    fn into_refused(self) -> Result<Refused, E> {
        match self {
            Self::Refused(refused) => Ok(refused),
            Self::Inner(error) => Err(error),
        }
    }
}

/// Finds a refusal at any depth of the error's sources.
impl MaybeRefused for Box<dyn Error + Send + Sync> {
    type Other = Self;

    fn into_refused(self) -> Result<Refused, Self> {
        Faults::new().refused(&self).cloned().ok_or(self)
    }
}

/// Answers a caller with a response where a guard further in refused: put it around server-side
/// guards. Other errors pass through.
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
    type Future = AnsweredFuture<S::Future, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        // A refusal before there is a call (which no guard of this crate makes) has no request to
        // answer; the caller waits until the service is ready or truly broken.
        let Err(error) = ready!(self.inner.poll_ready(cx)) else { return Poll::Ready(Ok(())) };
        match error.into_refused() {
            Ok(_) => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Err(other) => Poll::Ready(Err(other)),
        }
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let answer: fn(_) -> _ = match Protocol::of(request.headers()) {
            Protocol::Grpc => |result| answered(result, grpc),
            _ => |result| answered(result, problem),
        };
        AnsweredFuture { inner: self.inner.call(request), answer }
    }
}

fn answered<B, E: MaybeRefused>(
    result: Result<Response<B>, E>,
    told: fn(&Refused) -> Response<Bytes>,
) -> Result<Response<RefusalBody<B>>, E::Other> {
    let body = |inner, text| RefusalBody { inner, text };
    match result {
        Ok(response) => Ok(response.map(|inner| body(Some(inner), Bytes::new()))),
        Err(error) => {
            error.into_refused().map(|refused| told(&refused).map(|text| body(None, text)))
        }
    }
}

pin_project! {
    /// Resolves to what a service makes of what the one within it came to.
    pub struct AnsweredFuture<F: Future, T> {
        #[pin]
        inner: F,
        answer: fn(F::Output) -> T,
    }
}

impl<F: Future, T> Future for AnsweredFuture<F, T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let this = self.project();
        this.inner.poll(cx).map(this.answer)
    }
}

debug!("AnsweredFuture", [F: Future, T] AnsweredFuture<F, T>);

pin_project! {
    /// The inner service's body, or that of a refusal.
    #[derive(Debug, Default)]
    pub struct RefusalBody<B> {
        #[pin]
        inner: Option<B>,
        // What is still to be sent, if a guard refused.
        text: Bytes,
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
            None if this.text.is_empty() => Poll::Ready(None),
            None => Poll::Ready(Some(Ok(Frame::data(mem::take(this.text))))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().map_or(self.text.is_empty(), B::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let refused = || SizeHint::with_exact(self.text.len() as u64);
        self.inner.as_ref().map_or_else(refused, B::size_hint)
    }
}

/// Tells a guard's refusal from the guarded service's own error.
///
/// Guards wrap services whose error is `From<Refused>`. Boxed errors are; for the others put a
/// [`GuardErrorLayer`] between the service and its guards. However many guards are stacked, the
/// error stays this one. Tell the guards' [`Classifier`](meshwise_core::Classifier) of it
/// (`Classifier::new().with_error::<GuardError<YourError>>()`): that is how an outer guard sees that
/// it was an inner one, and not the peer, that said no.
///
/// ```
/// use meshwise_resilience::{GuardError, Refused, Rule};
/// let error: GuardError<std::io::Error> = Refused::new(Rule::BreakerOpen, "stock").into();
/// assert_eq!(error.refused().map(Refused::rule), Some(Rule::BreakerOpen));
/// assert!(error.into_inner().is_none());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(clippy::exhaustive_enums, reason = "complete by nature")]
pub enum GuardError<E> {
    /// A guard did not let the call through, or broke it off.
    // Not transparent: code that follows the sources must meet the refusal itself.
    #[error("{0}")]
    Refused(#[source] Refused),
    /// The service failed.
    #[error("{0}")]
    Inner(#[source] E),
}

impl<E> GuardError<E> {
    /// Returns the service's own error, if it was it.
    #[must_use]
    pub fn into_inner(self) -> Option<E> {
        self.into_refused().err()
    }

    /// Returns the refusal, if it was one.
    #[must_use]
    pub const fn refused(&self) -> Option<&Refused> {
        match self {
            Self::Refused(refused) => Some(refused),
            Self::Inner(_) => None,
        }
    }
}

// Not `#[from]`: that would ask of every `E` to be an error.
impl<E> From<Refused> for GuardError<E> {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

/// Makes any service guardable: turns its errors into [`GuardError::Inner`].
#[derive(Clone, Copy, Debug, Default)]
#[allow(clippy::exhaustive_structs, reason = "it has nothing to set")]
pub struct GuardErrorLayer;

impl<S> Layer<S> for GuardErrorLayer {
    type Service = GuardErrorService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        GuardErrorService { inner }
    }
}

/// Turns the errors of a service into [`GuardError::Inner`]; made by [`GuardErrorLayer`].
#[derive(Clone, Copy, Debug)]
pub struct GuardErrorService<S> {
    inner: S,
}

impl<S: Service<Request>, Request> Service<Request> for GuardErrorService<S> {
    type Response = S::Response;
    type Error = GuardError<S::Error>;
    type Future = AnsweredFuture<S::Future, Result<S::Response, Self::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx).map_err(GuardError::Inner)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let answer: fn(_) -> _ = |result: Result<_, _>| result.map_err(GuardError::Inner);
        AnsweredFuture { inner: self.inner.call(request), answer }
    }
}

#[cfg(test)]
mod tests;
