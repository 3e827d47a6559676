//! The layer that limits a call in all, its retries included.

use super::{
    CoverHttp, Covers, DeadlineConfig, TimeLimitHandle, Until, current_deadline,
    limit::{DEADLINE, Ends, Kind, Shared, has_passed},
    poll_sleep, scope,
};
use crate::{ConfigError, spare};
use meshwise_core::{Deadline, Refused};
use pin_project_lite::pin_project;
use std::{
    fmt,
    marker::PhantomData,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use tokio::time::Sleep;
use tower_layer::Layer;
use tower_service::Service;

/// Gives a call a deadline, and does not begin what is past it.
///
/// The earliest of these counts: the layer's own total, the [`Deadline`] in the request's
/// extensions, that of the incoming call ([`DeadlineConfig::with_incoming`]), and that of an
/// enclosing `DeadlineLayer`. Layers within (retries, timeouts) heed it.
#[derive(Clone, Debug)]
pub struct DeadlineLayer<C = CoverHttp> {
    cover: C,
    incoming: Option<fn() -> Option<Deadline>>,
    extension: bool,
    shared: Arc<Shared>,
}

impl DeadlineLayer {
    /// Creates the layer for calls to a neighbour.
    ///
    /// # Errors
    ///
    /// Says what is allowed if the total is shorter than 1 ms or longer than a year.
    pub fn new(peer: impl Into<Arc<str>>, config: DeadlineConfig) -> Result<Self, ConfigError> {
        let DeadlineConfig { total, incoming, extension, head_only } = config;
        let cover = if head_only { CoverHttp::head() } else { CoverHttp::whole() };
        let shared = Shared::new(peer.into(), Kind::Deadline, total)?;
        Ok(Self { cover, incoming, extension, shared })
    }
}

impl<C> DeadlineLayer<C> {
    /// Chooses what is covered, such as any service's calls ([`CoverAny`](super::CoverAny)).
    #[must_use]
    pub fn covering<D>(self, cover: D) -> DeadlineLayer<D> {
        let Self { incoming, extension, shared, .. } = self;
        DeadlineLayer { cover, incoming, extension, shared }
    }

    /// Returns the handle by which the total is read and changed.
    #[must_use]
    pub fn handle(&self) -> TimeLimitHandle {
        TimeLimitHandle(Arc::clone(&self.shared))
    }
}

impl<S, C: Clone> Layer<S> for DeadlineLayer<C> {
    type Service = DeadlineService<S, C>;

    fn layer(&self, inner: S) -> DeadlineService<S, C> {
        DeadlineService { inner, layer: self.clone() }
    }
}

/// Gives each call to `S` a deadline. Made by [`DeadlineLayer`].
#[derive(Clone, Debug)]
pub struct DeadlineService<S, C = CoverHttp> {
    inner: S,
    layer: DeadlineLayer<C>,
}

impl<S, C, Req> Service<Req> for DeadlineService<S, C>
where
    S: Service<Req>,
    S::Error: From<Refused>,
    C: Covers<Req, S::Response>,
{
    type Response = C::Response;
    type Error = S::Error;
    type Future = DeadlineFuture<S::Future, C, Req>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        // Readiness is the inner service's.
        self.inner.poll_ready(cx)
    }

    #[inline]
    fn call(&mut self, mut request: Req) -> Self::Future {
        let layer = &self.layer;
        let own = layer.shared.limit().map(Ends::from_now);
        let told = layer.cover.deadline(&request);
        let incoming = layer.incoming.and_then(|incoming| incoming());
        let foreign = earliest(earliest(told, incoming), current_deadline());
        // One's own total has only just begun; the others may have passed.
        let spent = foreign.is_some_and(has_passed);
        // One's own, if both end at the same time.
        let ends = match (own, foreign) {
            (Some(own), Some(foreign)) if foreign.moment() < own.moment => Some(Ends::at(foreign)),
            (own, foreign) => own.or(foreign.map(Ends::at)),
        };
        let deadline = ends.map(|ends| Deadline::at(ends.moment));
        let own = own.is_some_and(|own| Some(own.moment) == ends.map(|ends| ends.moment));
        let shared = spare::take(&DEADLINE, &layer.shared);
        let cover = layer.cover.clone();
        if spent {
            // The inner service stays ready for the next call, as tower allows.
            return DeadlineFuture::new(None, ends, own, cover, shared);
        }
        if let Some(deadline) = deadline
            && layer.extension
            && told != Some(deadline)
        {
            layer.cover.tell(&mut request, deadline);
        }
        let _entered = scope::enter(deadline);
        DeadlineFuture::new(Some(self.inner.call(request)), ends, own, cover, shared)
    }
}

#[inline]
fn earliest(one: Option<Deadline>, other: Option<Deadline>) -> Option<Deadline> {
    match one {
        Some(one) => Some(one.earlier(other)),
        None => other,
    }
}

pin_project! {
    /// Resolves to the inner service's answer, or to a refusal once the deadline has passed.
    ///
    /// The inner future is dropped at that moment, so that what it holds is free at once.
    pub struct DeadlineFuture<F, C, Req> {
        // None if the deadline had passed before the call began, and once it was broken off.
        #[pin]
        inner: Option<F>,
        #[pin]
        sleep: Option<Sleep>,
        // Whether the deadline is the layer's own.
        own: bool,
        ends: Option<Ends>,
        cover: C,
        // Until the call is over.
        shared: Option<Arc<Shared>>,
        request: PhantomData<fn(Req)>,
    }
}

impl<F, C, Req> DeadlineFuture<F, C, Req> {
    #[inline]
    fn new(inner: Option<F>, ends: Option<Ends>, own: bool, cover: C, shared: Arc<Shared>) -> Self {
        let shared = Some(shared);
        Self { inner, sleep: None, own, ends, cover, shared, request: PhantomData }
    }
}

impl<F, C, Req, Res, E> Future for DeadlineFuture<F, C, Req>
where
    F: Future<Output = Result<Res, E>>,
    C: Covers<Req, Res>,
    E: From<Refused>,
{
    type Output = Result<C::Response, E>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let Some(inner) = this.inner.as_mut().as_pin_mut() else {
            return match this.shared.take() {
                Some(shared) => Poll::Ready(Err(shared.refuse_spent().into())),
                None => Poll::Pending,
            };
        };
        let polled = {
            let _entered = scope::enter(this.ends.map(|ends| Deadline::at(ends.moment)));
            inner.poll(cx)
        };
        if let Poll::Ready(result) = polled {
            let result = result.map(|response| {
                let until = match *this.ends {
                    // What the future shares goes on to the body.
                    Some(ends) if this.cover.body() => {
                        this.shared.take().map(|shared| Until { ends, own: *this.own, shared })
                    }
                    _ => None,
                };
                this.cover.cover(response, until)
            });
            if let Some(shared) = this.shared.take() {
                spare::keep(&DEADLINE, shared);
            }
            return Poll::Ready(result);
        }
        let Some(ends) = this.ends else { return Poll::Pending };
        if poll_sleep(this.sleep.as_mut(), ends.settle(), cx).is_pending() {
            return Poll::Pending;
        }
        // Its own total is the time that a neighbour should need; a deadline from elsewhere may have
        // left it next to none.
        let Some(shared) = this.shared.take() else { return Poll::Pending };
        match *this.own {
            true => scope::drop_as_timed_out(shared.peer(), || this.inner.set(None)),
            false => this.inner.set(None),
        }
        Poll::Ready(Err(shared.refuse_passed().into()))
    }
}

impl<F, C, Req> fmt::Debug for DeadlineFuture<F, C, Req> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeadlineFuture")
            .field("ends", &self.ends.map(|ends| ends.moment))
            .finish_non_exhaustive()
    }
}
