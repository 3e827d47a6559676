//! The service that observes incoming calls.

use super::{ServerConfig, ServerMode};
use crate::{
    body::ObservedBody,
    call::{Call, Slot, is_serving, poll_in, remove_foreign, tell_route},
    future::ObservedFuture,
};
use http::{Request, Response};
use http_body::Body;
use std::{
    fmt::Display,
    sync::Arc,
    task::{Context, Poll},
};
use tower_service::Service;

/// Observes every call to `S`. Made by [`ServerLayer`](super::ServerLayer).
#[derive(Clone, Debug)]
pub struct ServerService<S> {
    inner: S,
    config: Arc<ServerConfig>,
}

impl<S> ServerService<S> {
    pub(crate) fn new(inner: S, config: Arc<ServerConfig>) -> Self {
        Self { inner, config }
    }

    /// Hands on a request whose call an outer layer observes already.
    #[cold]
    fn pass_through<B>(&mut self, mut request: Request<B>) -> ObservedFuture<S::Future>
    where
        S: Service<Request<B>>,
    {
        if self.config.mode == ServerMode::Edge {
            remove_foreign(&self.config, request.headers_mut());
        }
        if let Some(route) = (self.config.route)(request.extensions()) {
            tell_route(route);
        }
        ObservedFuture::new(self.inner.call(request), Slot::default())
    }
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for ServerService<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    S::Error: Display + 'static,
    ReqBody: 'static,
    ResBody: Body,
{
    type Response = Response<ObservedBody<ResBody>>;
    type Error = S::Error;
    type Future = ObservedFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        // Readiness is the inner service's; a call begins only in `call`.
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        if is_serving(&self.config.telemetry) {
            return self.pass_through(request);
        }
        let mut call = Slot::new(Call::server(&self.config, &mut request));
        let future = poll_in(&mut call, || self.inner.call(request));
        ObservedFuture::new(future, call)
    }
}
