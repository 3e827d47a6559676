//! The future of a call to a version of an API.

use super::{
    ApiBody,
    layer::{Pending, Shared},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use meshwise_core::{GrpcCode, Protocol};
use pin_project_lite::pin_project;
use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

pin_project! {
    /// Resolves to the inner service's response, with notice of the version's end if that is near,
    /// or to a refusal.
    pub struct ApiServerFuture<F> {
        #[pin]
        kind: Kind<F>,
    }
}

pin_project! {
    #[project = KindProjection]
    enum Kind<F> {
        Served {
            #[pin]
            future: F,
            shared: Arc<Shared>,
            notice: Option<usize>,
            // Counted as it is dropped.
            pending: Option<Pending>,
        },
        // Taken when it was given.
        Refused { refusal: Option<Refusal> },
    }
}

/// Holds what it takes to refuse a call.
pub(super) struct Refusal {
    pub(super) shared: Arc<Shared>,
    pub(super) row: usize,
    pub(super) protocol: Protocol,
    pub(super) head_only: bool,
}

impl<F> ApiServerFuture<F> {
    pub(super) const fn serve(
        future: F,
        shared: Arc<Shared>,
        notice: Option<usize>,
        pending: Option<Pending>,
    ) -> Self {
        Self { kind: Kind::Served { future, shared, notice, pending } }
    }

    pub(super) const fn refuse(refusal: Refusal) -> Self {
        Self { kind: Kind::Refused { refusal: Some(refusal) } }
    }
}

impl<F, B, E> Future for ApiServerFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = Result<Response<ApiBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().kind.project() {
            KindProjection::Served { future, shared, notice, pending } => {
                let mut response = match ready!(future.poll(cx)) {
                    Ok(response) => response,
                    Err(error) => {
                        drop(pending.take());
                        return Poll::Ready(Err(error));
                    }
                };
                let handled = pending.take().is_none_or(|pending| pending.answered(&response));
                if let Some(row) = notice.filter(|_| handled) {
                    announce(shared, row, response.headers_mut());
                }
                Poll::Ready(Ok(response.map(ApiBody::inner)))
            }
            // A future is not polled again once it was ready; if it is, it never is.
            KindProjection::Refused { refusal } => match refusal.take() {
                Some(refusal) => Poll::Ready(Ok(refusal.answer())),
                None => Poll::Pending,
            },
        }
    }
}

fn announce(shared: &Shared, row: usize, headers: &mut HeaderMap) {
    if let Some(row) = shared.row(row) {
        row.notice.add_to(headers);
    }
}

impl Refusal {
    fn answer<B>(self) -> Response<ApiBody<B>> {
        let row = self.shared.row(self.row);
        let (status, content_type, body) = match self.protocol {
            // Trailers only: the status stands in the head, and there is no body.
            Protocol::Grpc => (StatusCode::OK, "application/grpc", Bytes::new()),
            _ => {
                let problem = row.map(|row| row.notice.problem.clone()).unwrap_or_default();
                (StatusCode::GONE, "application/problem+json", problem)
            }
        };
        let length = body.len();
        let mut response =
            Response::new(ApiBody::own(if self.head_only { Bytes::new() } else { body }));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        if self.protocol == Protocol::Grpc {
            let code = GrpcCode::Unimplemented as u32;
            headers.insert("grpc-status", HeaderValue::from(code));
            if let Some(message) = row.and_then(|row| row.notice.message.clone()) {
                headers.insert("grpc-message", message);
            }
        } else {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
            // Caches keep a 410 as long as they like, but a sunset may be put off.
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        }
        announce(&self.shared, self.row, headers);
        response
    }
}

impl<F> fmt::Debug for ApiServerFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            Kind::Served { .. } => "ApiServerFuture::Served",
            Kind::Refused { .. } => "ApiServerFuture::Refused",
        })
    }
}
