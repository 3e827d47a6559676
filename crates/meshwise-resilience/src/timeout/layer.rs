//! The layer that limits each attempt.

use super::{
    CoverAny, Covers, TimeLimitHandle, TimeoutConfig, TimeoutFuture,
    limit::{Ends, Kind, Shared, TIMEOUT},
};
use crate::{ConfigError, spare};
use meshwise_core::Refused;
use std::{
    sync::Arc,
    task::{Context, Poll},
};
use tower_layer::Layer;
use tower_service::Service;

/// Limits the time that an attempt may take.
///
/// It covers the future that the service returns. For HTTP the body can be covered too:
/// `TimeoutLayer::new(..)?.covering(CoverHttp::whole())`.
#[derive(Clone, Debug)]
pub struct TimeoutLayer<C = CoverAny> {
    cover: C,
    shared: Arc<Shared>,
}

impl TimeoutLayer {
    /// Creates the layer for calls to a neighbour.
    ///
    /// # Errors
    ///
    /// Says what is allowed if the limit is shorter than 1 ms or longer than a year.
    pub fn new(peer: impl Into<Arc<str>>, config: TimeoutConfig) -> Result<Self, ConfigError> {
        let shared = Shared::new(peer.into(), Kind::Timeout, config.limit)?;
        Ok(Self { cover: CoverAny::new(), shared })
    }
}

impl<C> TimeoutLayer<C> {
    /// Chooses what is covered; its state stays shared.
    #[must_use]
    pub fn covering<D>(self, cover: D) -> TimeoutLayer<D> {
        TimeoutLayer { cover, shared: self.shared }
    }

    /// Returns the handle by which the limit is read and changed.
    #[must_use]
    pub fn handle(&self) -> TimeLimitHandle {
        TimeLimitHandle(Arc::clone(&self.shared))
    }
}

impl<S, C: Clone> Layer<S> for TimeoutLayer<C> {
    type Service = TimeoutService<S, C>;

    fn layer(&self, inner: S) -> TimeoutService<S, C> {
        TimeoutService { inner, cover: self.cover.clone(), shared: Arc::clone(&self.shared) }
    }
}

/// Limits the time that each call to `S` may take. Made by [`TimeoutLayer`].
#[derive(Clone, Debug)]
pub struct TimeoutService<S, C = CoverAny> {
    inner: S,
    cover: C,
    shared: Arc<Shared>,
}

impl<S, C, Req> Service<Req> for TimeoutService<S, C>
where
    S: Service<Req>,
    S::Error: From<Refused>,
    C: Covers<Req, S::Response>,
{
    type Response = C::Response;
    type Error = S::Error;
    type Future = TimeoutFuture<S::Future, C, Req>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        // Readiness is the inner service's; waiting for it is not limited, it is no attempt yet.
        self.inner.poll_ready(cx)
    }

    #[inline(always)]
    fn call(&mut self, request: Req) -> Self::Future {
        let limit = self.shared.limit();
        let ends = limit.filter(|_| self.cover.body()).map(Ends::from_now);
        let shared = spare::take(&TIMEOUT, &self.shared);
        let cover = self.cover.clone();
        // Called last, here as in the other guards: so its future is built where it stays. If it
        // waits on the stack while the rest is made, moving it costs more than the guard itself.
        TimeoutFuture::new(self.inner.call(request), cover, limit, ends, shared)
    }
}
