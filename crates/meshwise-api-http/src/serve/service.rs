//! The service that serves versions of APIs.

use super::{
    admission::{ServerShared, Verdict},
    body::ApiBody,
    future::{ApiServerFuture, Refusal, RefusedFor},
};
use http::{Method, Request, Response};
use meshwise_core::{Protocol, internal::within::Within};
use std::{
    sync::Arc,
    task::{Context, Poll},
};
use tower_service::Service;

/// Counts the calls to `S` and announces the end of versions. Made by
/// [`ApiServerLayer`](super::ApiServerLayer).
#[derive(Clone, Debug)]
pub struct ApiServerService<S> {
    inner: S,
    shared: Arc<ServerShared>,
}

impl<S> ApiServerService<S> {
    pub(super) fn new(inner: S, shared: Arc<ServerShared>) -> Self {
        Self { inner, shared }
    }
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for ApiServerService<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
{
    type Response = Response<ApiBody<ResBody>>;
    type Error = S::Error;
    type Future = ApiServerFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        // A refused call leaves the inner service ready and unused: whatever it has reserved serves
        // the next call, or goes with this clone.
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        match self.shared.admit(&request) {
            Verdict::Serve { within, notice, mut pending, undeclared } => {
                let shared = Arc::clone(&self.shared);
                let entered = within.map(|(service, own)| Within::enter(service, own));
                let future = self.inner.call(request);
                if entered.is_some_and(Within::leave)
                    && let Some(pending) = &mut pending
                {
                    pending.leave_to_inner();
                }
                ApiServerFuture::serve(future, shared, within, notice, pending, undeclared)
            }
            Verdict::RefuseUndeclared(api) => ApiServerFuture::refuse(Refusal {
                shared: Arc::clone(&self.shared),
                reason: RefusedFor::Undeclared(api),
                protocol: Protocol::of(request.headers()),
                head_only: *request.method() == Method::HEAD,
            }),
            Verdict::Refuse(notice) => ApiServerFuture::refuse(Refusal {
                shared: Arc::clone(&self.shared),
                reason: RefusedFor::Retired(notice),
                protocol: Protocol::of(request.headers()),
                head_only: *request.method() == Method::HEAD,
            }),
        }
    }
}
