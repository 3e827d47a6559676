//! Faults on purpose: delays and aborts, to prove that the other guards do their work.
//!
//! As Envoy's and Istio's fault filters have it: a share of the requests, all of them or those with
//! certain headers, is delayed, answered with an error instead, or both. It is built in only with
//! the feature `fault`, and does nothing until it is switched on.

use crate::{
    clock,
    config::{self, ConfigError, setters},
    debug::debug,
    guard::{Gate, GuardLayer, Timer},
    handle::Handle,
    names,
    refusal::trailers_only,
    sync::{Mutex, lock},
};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use meshwise_core::{
    GrpcCode, Protocol,
    settings::{FaultAbortSettings, FaultSettings},
};
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
use tower_layer::Layer;
use tower_service::Service;

/// Says which share of the requests is delayed and which is answered with an error.
///
/// ```
/// use meshwise_resilience::{Abort, FaultConfig, FaultLayer};
/// use std::time::Duration;
/// let config = FaultConfig::new()
///     .with_delay(0.1, Duration::from_secs(2))
///     .with_abort(0.05, Abort::Status(http::StatusCode::SERVICE_UNAVAILABLE))
///     .with_header(http::HeaderName::from_static("x-chaos"), None);
/// let layer = FaultLayer::new("stock", config)?;
/// layer.handle().switch(true);
/// # Ok::<(), meshwise_resilience::ConfigError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub struct FaultConfig(FaultSettings);

/// What a request that is aborted gets for an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Abort {
    /// A response with this status and an empty body.
    Status(StatusCode),
    /// A gRPC response of trailers only with this code. To a request that is no gRPC call it would look like
    /// a success: that gets a 503.
    Grpc(GrpcCode),
}

setters! { FaultConfig.0 = Self(FaultSettings::default()); {
    /// Delays a share of the requests, 0 to 1, by so long.
    with_delay(share: f64, delay: Duration) => delay.share = share, delay.time = delay;
} }

impl FaultConfig {
    /// Makes the faults that are set; whether they are made is for the layer's handle to switch.
    pub fn from_settings(settings: &FaultSettings) -> Self {
        let mut config = Self(settings.clone());
        config.0.enabled.clear();
        config
    }

    /// Answers a share of the requests, 0 to 1, itself; drawn apart from the delay, so a request
    /// can meet both. [`GrpcCode::Ok`] aborts nothing as gRPC: such a request gets a 503.
    pub fn with_abort(mut self, share: f64, abort: Abort) -> Self {
        let said = &mut self.0.abort;
        *said = FaultAbortSettings::default();
        said.share.set(share);
        match abort {
            Abort::Status(status) => said.status.set(u32::from(status.as_u16())),
            Abort::Grpc(code) => said.grpc_code.set(code as u32),
        }
        self
    }

    /// Meddles only with requests that have this header, with this value if one is given and not
    /// `*`. Several headers must all be there; of one that is given twice the later value counts.
    #[allow(clippy::needless_pass_by_value, reason = "as all setters take theirs")]
    pub fn with_header(mut self, name: HeaderName, value: Option<HeaderValue>) -> Self {
        let value = value.as_ref().map_or(ANY.into(), |v| String::from_utf8_lossy(v.as_bytes()));
        self.0.headers.entry(name.as_str()).set(value.into_owned());
        self
    }

    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        for (name, _) in self.0.headers.iter() {
            if HeaderName::try_from(name).is_err() {
                return Err(ConfigError::new("fault.headers", name, "names of headers"));
            }
        }
        config::check("fault", self.0.wrong())
    }

    fn matches(&self, headers: &HeaderMap) -> bool {
        self.0.headers.iter().all(|(name, value)| match value.get().map(String::as_str) {
            Some(ANY) | None => headers.contains_key(name),
            Some(value) => headers.get_all(name).iter().any(|found| found == value),
        })
    }

    fn abort(&self, protocol: Protocol) -> Abort {
        let said = &self.0.abort;
        let status = u16::try_from(said.status.or_none()).ok();
        let status = status.and_then(|status| StatusCode::from_u16(status).ok());
        match said.grpc_code.or_none() {
            code @ 1.. if protocol == Protocol::Grpc => Abort::Grpc(GrpcCode::from_number(code)),
            _ => Abort::Status(status.unwrap_or(StatusCode::SERVICE_UNAVAILABLE)),
        }
    }
}

const ANY: &str = "*";

/// Delays requests and answers them with errors, once its handle has switched it on.
///
/// Put it in the place of the peer, inside of all guards.
pub type FaultLayer = GuardLayer<Faults, ()>;

#[derive(Debug)]
pub struct Faults {
    /// Read without the lock, so that a layer that is off costs next to nothing.
    on: AtomicBool,
    config: Mutex<FaultConfig>,
}

impl FaultLayer {
    /// Creates the layer, switched off.
    ///
    /// # Errors
    /// Says what is allowed if a setting makes no sense.
    pub fn new(peer: impl Into<Arc<str>>, config: FaultConfig) -> Result<Self, ConfigError> {
        config.check()?;
        let faults = Faults { on: AtomicBool::new(false), config: Mutex::new(config) };
        Ok(Self::front(Gate::new(peer.into()), Arc::new(faults), ()))
    }
}

impl<S> Layer<S> for FaultLayer {
    type Service = FaultService<S>;

    fn layer(&self, inner: S) -> FaultService<S> {
        FaultService { inner, faults: Arc::clone(&self.guard) }
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
    pub fn config(&self) -> FaultConfig {
        lock(&self.guard.config).clone()
    }

    /// Changes the settings.
    ///
    /// # Errors
    /// Says what is allowed if a setting makes no sense; nothing is changed then.
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
    fn draw<B>(&self, request: &Request<B>) -> (Option<Duration>, Option<Abort>) {
        let config = lock(&self.faults.config);
        if !config.matches(request.headers()) {
            return (None, None);
        }
        // Of [0, 1): a share of 0 is never, and of 1 always.
        let hit = |share: f64| meshwise_core::internal::random::f64() < share;
        let FaultSettings { delay, abort, .. } = &config.0;
        let delay = hit(delay.share.or_none()).then(|| delay.time.or_none());
        (delay, hit(abort.share.or_none()).then(|| config.abort(Protocol::of(request.headers()))))
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
        let on = self.faults.on.load(Relaxed);
        let (delay, abort) = if on { self.draw(&request) } else { (None, None) };
        let until = delay.map_or(0, |delay| clock::exact().saturating_add(clock::to_nanos(delay)));
        let (mut waiting, mut future) = (None, None);
        if abort.is_none() && until == 0 {
            future = Some(self.inner.call(request));
        } else if abort.is_none() {
            // The clone that is ready waits with the call; the one that takes its place has to become ready.
            let fresh = self.inner.clone();
            waiting = Some(Box::new((mem::replace(&mut self.inner, fresh), request)));
        }
        FaultFuture { timer: Timer::default(), until, abort, waiting, future }
    }
}

pin_project! {
    /// Resolves to the inner service's answer, to a late one, or to an error made here.
    pub struct FaultFuture<S: Service<Req>, Req> {
        timer: Timer,
        // When the delay is over; 0 if there is none.
        until: u64,
        abort: Option<Abort>,
        // What is called after the delay. Boxed: it is seldom there, and would make every future larger.
        waiting: Option<Box<(S, Req)>>,
        #[pin]
        future: Option<S::Future>,
    }
}

impl<S: Service<Req, Response = Response<RB>>, Req, RB: Default> Future for FaultFuture<S, Req> {
    type Output = Result<Response<RB>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if *this.until > 0 {
            ready!(this.timer.poll(*this.until, cx));
            *this.until = 0;
        }
        if let Some(abort) = this.abort {
            return Poll::Ready(Ok(response(*abort)));
        }
        if let Some(waiting) = this.waiting.take() {
            let (mut service, request) = *waiting;
            this.future.set(Some(service.call(request)));
        }
        this.future.as_pin_mut().map_or(Poll::Pending, |future| future.poll(cx))
    }
}

fn response<B: Default>(abort: Abort) -> Response<B> {
    match abort {
        Abort::Grpc(code) => trailers_only(code, "fault on purpose"),
        Abort::Status(status) => {
            let mut response = Response::new(B::default());
            *response.status_mut() = status;
            response
        }
    }
}

debug!("FaultFuture", [S: Service<Req>, Req] FaultFuture<S, Req>);

#[cfg(test)]
mod tests;
