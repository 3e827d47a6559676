//! The future of a call to a version of an API.

use super::{
    admission::{Announcement, Pending, ServerShared},
    body::ApiBody,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use meshwise_api::names;
use meshwise_core::{GrpcCode, Protocol, internal::within::Within};
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
    #[doc(hidden)]
    pub struct ApiServerFuture<F> {
        #[pin]
        kind: ServerFutureKind<F>,
    }
}

pin_project! {
    #[project = KindProjection]
    enum ServerFutureKind<F> {
        Served {
            #[pin]
            future: F,
            shared: Arc<ServerShared>,
            within: Option<(&'static str, bool)>,
            notice: Option<Announcement>,
            // Counted as it is dropped.
            pending: Option<Pending>,
            undeclared: Option<&'static str>,
        },
        // Taken when it was given.
        Refused { refusal: Option<Refusal> },
    }
}

/// The reason a call is refused.
#[derive(Debug)]
pub(super) enum RefusedFor {
    /// The version is retired.
    Retired(Announcement),
    /// The caller has not declared that it calls this API.
    Undeclared(&'static str),
}

/// Tells a caller that it has declared nothing.
fn tell_undeclared(api: &str, headers: &mut HeaderMap) {
    if let Ok(value) = HeaderValue::from_str(api) {
        headers.insert(names::UNDECLARED, value);
    }
}

/// Holds what it takes to refuse a call.
pub(super) struct Refusal {
    pub(super) shared: Arc<ServerShared>,
    pub(super) reason: RefusedFor,
    pub(super) protocol: Protocol,
    pub(super) head_only: bool,
}

impl<F> ApiServerFuture<F> {
    pub(super) const fn serve(
        future: F,
        shared: Arc<ServerShared>,
        within: Option<(&'static str, bool)>,
        notice: Option<Announcement>,
        pending: Option<Pending>,
        undeclared: Option<&'static str>,
    ) -> Self {
        Self {
            kind: ServerFutureKind::Served { future, shared, within, notice, pending, undeclared },
        }
    }

    pub(super) const fn refuse(refusal: Refusal) -> Self {
        Self { kind: ServerFutureKind::Refused { refusal: Some(refusal) } }
    }
}

impl<F, B, E> Future for ApiServerFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = Result<Response<ApiBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().kind.project() {
            KindProjection::Served { future, shared, within, notice, pending, undeclared } => {
                let entered = within.map(|(service, own)| Within::enter(service, own));
                let polled = future.poll(cx);
                if entered.is_some_and(Within::leave)
                    && let Some(pending) = pending.as_mut()
                {
                    pending.leave_to_inner();
                }
                let mut response = match ready!(polled) {
                    Ok(response) => response,
                    Err(error) => {
                        drop(pending.take());
                        return Poll::Ready(Err(error));
                    }
                };
                let handled = pending.take().is_none_or(|pending| pending.answered(&response));
                if let Some(notice) = notice.take().filter(|_| handled) {
                    notice.add_to(shared, response.headers_mut());
                }
                if let Some(api) = undeclared.filter(|_| handled) {
                    tell_undeclared(api, response.headers_mut());
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

impl Refusal {
    fn answer<B>(self) -> Response<ApiBody<B>> {
        let (status, code, problem, message) = match &self.reason {
            RefusedFor::Retired(notice) => {
                let notice = self.shared.row(notice.row).map(|row| &row.notice);
                let problem = notice.map(|notice| notice.problem.clone()).unwrap_or_default();
                let message = notice.and_then(|notice| notice.message.clone());
                (StatusCode::GONE, GrpcCode::Unimplemented, problem, message)
            }
            RefusedFor::Undeclared(api) => {
                let detail = format!(
                    "only callers that have declared that they require {api} are served; publish it \
                     under [[requires]]"
                );
                let problem = serde_json::json!({
                    "type": "about:blank", "title": "Forbidden", "status": 403,
                    "detail": detail, "api": api,
                });
                let message = HeaderValue::from_str(&detail).ok();
                let problem = Bytes::from(problem.to_string());
                (StatusCode::FORBIDDEN, GrpcCode::PermissionDenied, problem, message)
            }
        };
        let (status, content_type, body) = match self.protocol {
            // Trailers only: the status stands in the head, and there is no body.
            Protocol::Grpc => (StatusCode::OK, "application/grpc", Bytes::new()),
            _ => (status, "application/problem+json", problem),
        };
        let length = body.len();
        let mut response =
            Response::new(ApiBody::own(if self.head_only { Bytes::new() } else { body }));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        if self.protocol == Protocol::Grpc {
            headers.insert("grpc-status", HeaderValue::from(code as u32));
            if let Some(message) = message {
                headers.insert("grpc-message", message);
            }
        } else {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
            // Caches keep a 410 as long as they like, but a sunset may be put off.
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        }
        match self.reason {
            RefusedFor::Retired(notice) => notice.add_to(&self.shared, headers),
            RefusedFor::Undeclared(api) => tell_undeclared(api, headers),
        }
        response
    }
}

impl<F> fmt::Debug for ApiServerFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            ServerFutureKind::Served { .. } => "ApiServerFuture::Served",
            ServerFutureKind::Refused { .. } => "ApiServerFuture::Refused",
        })
    }
}
