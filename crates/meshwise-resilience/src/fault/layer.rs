//! The layer that makes faults, and the switch.

use super::config::{Abort, FaultConfig};
use crate::{
    ConfigError, clock,
    debug::debug,
    guard::{Handle, poll_sleep},
    names,
    sync::{Mutex, lock},
};
use http::{HeaderValue, Request, Response, header};
use pin_project_lite::pin_project;
use std::{
    mem,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::Sleep;
use tower_layer::Layer;
use tower_service::Service;

/// Delays requests and answers them with errors, once its handle has switched it on.
///
/// Put it in the place of the peer, inside of all guards.
#[derive(Clone, Debug)]
pub struct FaultLayer {
    faults: Arc<Faults>,
}

#[derive(Debug)]
pub struct Faults {
    peer: Arc<str>,
    /// Read without the lock, so that a layer that is off costs next to nothing.
    on: AtomicBool,
    config: Mutex<FaultConfig>,
}

impl FaultLayer {
    /// Creates the layer, switched off.
    ///
    /// # Errors
    ///
    /// Returns what [`FaultConfig::check`] finds.
    pub fn new(peer: impl Into<Arc<str>>, config: FaultConfig) -> Result<Self, ConfigError> {
        config.check()?;
        let (on, config) = (AtomicBool::new(false), Mutex::new(config));
        Ok(Self { faults: Arc::new(Faults { peer: peer.into(), on, config }) })
    }

    /// Returns the handle by which faults are switched on and changed.
    #[must_use]
    pub fn handle(&self) -> FaultHandle {
        Handle::new(&self.faults, &self.faults.peer)
    }
}

impl<S> Layer<S> for FaultLayer {
    type Service = FaultService<S>;

    fn layer(&self, inner: S) -> FaultService<S> {
        FaultService { inner, faults: Arc::clone(&self.faults) }
    }
}

/// Switches faults on and off, and changes them.
pub type FaultHandle = Handle<Faults>;

impl FaultHandle {
    /// Tells whether faults are made.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.guard.on.load(Relaxed)
    }

    /// Switches faults on or off.
    pub fn switch(&self, on: bool) {
        if self.guard.on.swap(on, Relaxed) != on {
            let peer = self.peer();
            tracing::warn!(target: names::TARGET, peer, on, "faults on purpose were switched");
        }
    }

    /// Returns the settings.
    #[must_use]
    pub fn config(&self) -> FaultConfig {
        lock(&self.guard.config).clone()
    }

    /// Changes the settings.
    ///
    /// # Errors
    ///
    /// Returns what [`FaultConfig::check`] finds; nothing is changed then.
    pub fn set_config(&self, config: FaultConfig) -> Result<(), ConfigError> {
        config.check()?;
        *lock(&self.guard.config) = config;
        Ok(())
    }
}

/// Makes faults in calls to `S`. Made by [`FaultLayer`].
#[derive(Clone, Debug)]
pub struct FaultService<S> {
    inner: S,
    faults: Arc<Faults>,
}

impl<S> FaultService<S> {
    /// Draws what happens to a request.
    fn draw<B>(&self, request: &Request<B>) -> (Option<Duration>, Option<Abort>) {
        let config = lock(&self.faults.config);
        if !config.matches(request.headers()) {
            return (None, None);
        }
        // Of [0, 1): a share of 0 is never, and of 1 always.
        let hit = |share: f64| meshwise_core::internal::random::f64() < share;
        let (delay, abort) = (config.delay(), config.abort());
        (hit(delay.0).then_some(delay.1), hit(abort.0).then_some(abort.1))
    }
}

impl<S, B, RB> Service<Request<B>> for FaultService<S>
where
    S: Service<Request<B>, Response = Response<RB>> + Clone,
    RB: Default,
{
    type Response = Response<RB>;
    type Error = S::Error;
    type Future = FaultFuture<S, Request<B>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        // Readiness is the inner service's, also for what it will not be asked.
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (delay, abort) = match self.faults.on.load(Relaxed) {
            true => self.draw(&request),
            false => (None, None),
        };
        let state = match (delay, abort) {
            (None, None) => State::Calling { future: self.inner.call(request) },
            (None, Some(abort)) => State::Aborted { abort },
            (Some(delay), abort) => {
                let until = clock::exact().saturating_add(clock::to_nanos(delay));
                let then = match abort {
                    Some(abort) => Then::Abort(abort),
                    None => {
                        // The clone that is ready waits with the call; the one that takes its place
                        // has to become ready.
                        let fresh = self.inner.clone();
                        Then::Call(mem::replace(&mut self.inner, fresh), request)
                    }
                };
                State::Delayed { sleep: None, until, then: Some(Box::new(then)) }
            }
        };
        FaultFuture { state }
    }
}

/// What follows a delay.
enum Then<S, Req> {
    Call(S, Req),
    Abort(Abort),
}

pin_project! {
    /// Resolves to the inner service's answer, to a late one, or to an error made here.
    pub struct FaultFuture<S, Req>
    where
        S: Service<Req>,
    {
        #[pin]
        state: State<S, S::Future, Req>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<S, F, Req> {
        Calling { #[pin] future: F },
        // Boxed: it is seldom there, and would make every future larger.
        Delayed { #[pin] sleep: Option<Sleep>, until: u64, then: Option<Box<Then<S, Req>>> },
        Aborted { abort: Abort },
    }
}

impl<S, Req, RB> Future for FaultFuture<S, Req>
where
    S: Service<Req, Response = Response<RB>>,
    RB: Default,
{
    type Output = Result<Response<RB>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            let next = match state.as_mut().project() {
                StateProj::Calling { future } => return future.poll(cx),
                StateProj::Aborted { abort } => return Poll::Ready(Ok(response(*abort))),
                StateProj::Delayed { sleep, until, then } => {
                    ready!(poll_sleep(sleep, *until, cx));
                    match then.take().map(|then| *then) {
                        Some(Then::Call(mut service, request)) => {
                            State::Calling { future: service.call(request) }
                        }
                        Some(Then::Abort(abort)) => State::Aborted { abort },
                        // Left at once when it was taken.
                        None => return Poll::Pending,
                    }
                }
            };
            state.set(next);
        }
    }
}

fn response<B: Default>(abort: Abort) -> Response<B> {
    let mut response = Response::new(B::default());
    match abort {
        Abort::Status(status) => *response.status_mut() = status,
        Abort::Grpc(code) => {
            let headers = response.headers_mut();
            let grpc = HeaderValue::from_static("application/grpc");
            headers.insert(header::CONTENT_TYPE, grpc);
            headers.insert("grpc-status", HeaderValue::from(code as u16));
            headers.insert("grpc-message", HeaderValue::from_static("fault on purpose"));
        }
    }
    response
}

debug!("FaultFuture", [S: Service<Req>, Req] FaultFuture<S, Req>);

#[cfg(test)]
mod tests;
