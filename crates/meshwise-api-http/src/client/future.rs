//! The future of a call to a peer's API.

use super::{notices::NoticePlace, shared::ClientShared, undeclared::UndeclaredCall};
use http::Response;
use pin_project_lite::pin_project;
use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

pin_project! {
    /// Resolves to the peer's answer, unchanged, or to the error that refuses the call.
    #[doc(hidden)]
    pub struct ApiClientFuture<F> {
        #[pin]
        kind: ClientFutureKind<F>,
    }
}

pin_project! {
    #[project = KindProjection]
    enum ClientFutureKind<F> {
        Called {
            #[pin]
            future: F,
            shared: Arc<ClientShared>,
            place: NoticePlace,
        },
        // Taken when it was given.
        Refused { error: Option<UndeclaredCall> },
    }
}

impl<F> ApiClientFuture<F> {
    pub(super) const fn call(future: F, shared: Arc<ClientShared>, place: NoticePlace) -> Self {
        Self { kind: ClientFutureKind::Called { future, shared, place } }
    }

    pub(super) const fn refuse(error: UndeclaredCall) -> Self {
        Self { kind: ClientFutureKind::Refused { error: Some(error) } }
    }
}

impl<F, B, E> Future for ApiClientFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    E: From<UndeclaredCall>,
{
    type Output = Result<Response<B>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().kind.project() {
            KindProjection::Called { future, shared, place } => {
                let response = ready!(future.poll(cx))?;
                let ClientShared { notices, clock, .. } = &**shared;
                notices.response(notices.entry(*place), response.headers(), || clock.seconds());
                Poll::Ready(Ok(response))
            }
            // A future is not polled again once it was ready; if it is, it never is.
            KindProjection::Refused { error } => match error.take() {
                Some(error) => Poll::Ready(Err(error.into())),
                None => Poll::Pending,
            },
        }
    }
}

impl<F> fmt::Debug for ApiClientFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            ClientFutureKind::Called { .. } => "ApiClientFuture::Called",
            ClientFutureKind::Refused { .. } => "ApiClientFuture::Refused",
        })
    }
}
