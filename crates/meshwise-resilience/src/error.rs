//! An error for guards around services whose own error is foreign.

use crate::debug::debug;
use meshwise_core::Refused;
use pin_project_lite::pin_project;
use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tower_layer::Layer;
use tower_service::Service;

/// Tells a guard's refusal from the guarded service's own error.
///
/// Guards wrap services whose error is `From<Refused>`. Boxed errors are; for the others put a
/// [`GuardErrorLayer`] between the service and its guards. However many guards are stacked, the
/// error stays this one. Tell [`HttpCalls`](crate::HttpCalls) of it
/// (`HttpCalls::new().with_error::<GuardError<YourError>>()`): that is how an outer guard sees that
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
        match self {
            Self::Refused(_) => None,
            Self::Inner(error) => Some(error),
        }
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
#[non_exhaustive]
pub struct GuardErrorLayer {}

impl GuardErrorLayer {
    /// Creates the layer.
    #[must_use]
    pub const fn new() -> Self {
        Self {}
    }
}

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

impl<S, Request> Service<Request> for GuardErrorService<S>
where
    S: Service<Request>,
{
    type Response = S::Response;
    type Error = GuardError<S::Error>;
    type Future = GuardErrorFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx).map_err(GuardError::Inner)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        GuardErrorFuture { inner: self.inner.call(request) }
    }
}

pin_project! {
    /// The response of a [`GuardErrorService`].
    pub struct GuardErrorFuture<F> {
        #[pin]
        inner: F,
    }
}

impl<F, Response, E> Future for GuardErrorFuture<F>
where
    F: Future<Output = Result<Response, E>>,
{
    type Output = Result<Response, GuardError<E>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(ready!(self.project().inner.poll(cx)).map_err(GuardError::Inner))
    }
}

debug!("GuardErrorFuture", [F] GuardErrorFuture<F>);
