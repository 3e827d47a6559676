//! The service that serves versions of APIs.

use super::{
    ApiBody, ApiServerFuture,
    future::Refusal,
    layer::{Shared, Verdict},
};
use http::{Method, Request, Response};
use meshwise_core::Protocol;
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
    shared: Arc<Shared>,
}

impl<S> ApiServerService<S> {
    pub(super) fn new(inner: S, shared: Arc<Shared>) -> Self {
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
            Verdict::Serve { notice, pending } => {
                let shared = Arc::clone(&self.shared);
                ApiServerFuture::serve(self.inner.call(request), shared, notice, pending)
            }
            Verdict::Refuse(row) => ApiServerFuture::refuse(Refusal {
                shared: Arc::clone(&self.shared),
                row,
                protocol: Protocol::of(request.headers()),
                head_only: *request.method() == Method::HEAD,
            }),
        }
    }
}
