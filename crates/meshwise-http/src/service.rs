//! The service that observes calls, of either side.

use crate::{
    body::ObservedBody,
    call::{Call, Entered, Running, Slot, tell_route},
    calls::serving::is_serving,
    client::config::ClientConfig,
    future::ObservedFuture,
    server::config::{ServerConfig, ServerMode},
};
use http::{Request, Response};
use http_body::Body;
use std::{
    any::type_name,
    fmt::Display,
    sync::Arc,
    task::{Context, Poll},
};
use tower_service::Service;

/// Observes every call to `S`. Made by [`ServerLayer`](crate::ServerLayer) and
/// [`ClientLayer`](crate::ClientLayer).
#[derive(Clone, Debug)]
pub struct ObservedService<S> {
    inner: S,
    side: SideConfig,
    /// The inner service's calls run no code of the application's.
    defers: bool,
}

#[derive(Clone, Debug)]
enum SideConfig {
    Client(Arc<ClientConfig>),
    Server(Arc<ServerConfig>),
}

impl<S> ObservedService<S> {
    pub(crate) fn client(inner: S, config: Arc<ClientConfig>) -> Self {
        let defers = config.deferring.contains(&type_name::<S>());
        Self { inner, side: SideConfig::Client(config), defers }
    }

    pub(crate) fn server(inner: S, config: Arc<ServerConfig>) -> Self {
        let defers = config.deferring.contains(&type_name::<S>());
        Self { inner, side: SideConfig::Server(config), defers }
    }
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for ObservedService<S>
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
        let mut call = match &self.side {
            SideConfig::Client(config) => {
                Slot::new(|place| Call::client(config, &mut request, place))
            }
            SideConfig::Server(config) if is_serving(&config.telemetry) => {
                pass_through(config, &mut request);
                Slot::default()
            }
            SideConfig::Server(config) => {
                Slot::new(|place| Call::server(config, &mut request, place))
            }
        };
        if self.defers {
            // To make the context current here would cost some 400 instructions, and serve no one.
            return ObservedFuture::new(self.inner.call(request), call);
        }
        let running = Running::begin(&mut call);
        let entered = running.enter();
        let future = self.inner.call(request);
        let cost = entered.and_then(Entered::leave);
        running.end(cost);
        ObservedFuture::new(future, call)
    }
}

/// Prepares a request whose call an outer layer observes already.
fn pass_through<B>(config: &ServerConfig, request: &mut Request<B>) {
    if config.mode == ServerMode::Edge {
        config.remove_foreign(request.headers_mut());
    }
    if let Some(route) = (config.route)(request.extensions()) {
        tell_route(route);
    }
}
