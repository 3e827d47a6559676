//! A guard that may be left out, without a change of types.

use crate::{Ticket, WatchedBody};
use http::{Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use std::{
    fmt,
    marker::PhantomData,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tower_layer::Layer;
use tower_service::Service;

/// Guards a service, or hands it on as it is.
#[derive(Clone, Debug)]
pub(super) struct Optional<L>(pub(super) Option<L>);

impl<L: Layer<S>, S> Layer<S> for Optional<L> {
    type Service = OptionalService<L::Service, S>;

    fn layer(&self, inner: S) -> Self::Service {
        match &self.0 {
            Some(layer) => OptionalService::On(layer.layer(inner)),
            None => OptionalService::Off(inner),
        }
    }
}

/// A service with its guard, or without.
#[derive(Clone, Debug)]
pub enum OptionalService<G, S> {
    /// With it.
    On(G),
    /// Without.
    Off(S),
}

impl<G, S> OptionalService<G, S> {
    /// Out of line: that a guard is missing is seldom, and must not make its presence slower.
    #[inline(never)]
    fn call_bare<B, GF, T>(bare: &mut S, request: Request<B>) -> OptionalFuture<GF, S::Future, T>
    where
        S: Service<Request<B>>,
    {
        OptionalFuture { state: State::Off { future: bare.call(request) }, ticket: PhantomData }
    }
}

impl<G, S, B, RB, T> Service<Request<B>> for OptionalService<G, S>
where
    S: Service<Request<B>, Response = Response<RB>>,
    G: Service<Request<B>, Response = Response<WatchedBody<RB, T>>, Error = S::Error>,
    RB: Body,
    T: Ticket,
{
    type Response = Response<WatchedBody<RB, T>>;
    type Error = S::Error;
    type Future = OptionalFuture<G::Future, S::Future, T>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        // Readiness is that of the one service there is.
        match self {
            Self::On(guarded) => guarded.poll_ready(cx),
            Self::Off(bare) => bare.poll_ready(cx),
        }
    }

    #[inline]
    fn call(&mut self, request: Request<B>) -> Self::Future {
        match self {
            Self::On(guarded) => {
                let state = State::On { future: guarded.call(request) };
                OptionalFuture { state, ticket: PhantomData }
            }
            Self::Off(bare) => Self::call_bare(bare, request),
        }
    }
}

pin_project! {
    /// Resolves to the answer of a service with its guard, or without.
    pub struct OptionalFuture<G, S, T> {
        #[pin]
        state: State<G, S>,
        ticket: PhantomData<fn() -> T>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<G, S> {
        On { #[pin] future: G },
        Off { #[pin] future: S },
    }
}

impl<G, S, RB, T, E> Future for OptionalFuture<G, S, T>
where
    G: Future<Output = Result<Response<WatchedBody<RB, T>>, E>>,
    S: Future<Output = Result<Response<RB>, E>>,
    RB: Body,
    T: Ticket,
{
    type Output = Result<Response<WatchedBody<RB, T>>, E>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProj::On { future } => future.poll(cx),
            StateProj::Off { future } => poll_bare(future, cx),
        }
    }
}

#[inline(never)]
fn poll_bare<F, RB, T, E>(
    future: Pin<&mut F>,
    cx: &mut Context<'_>,
) -> Poll<Result<Response<WatchedBody<RB, T>>, E>>
where
    F: Future<Output = Result<Response<RB>, E>>,
{
    let result = ready!(future.poll(cx));
    Poll::Ready(result.map(|response| response.map(WatchedBody::unwatched)))
}

impl<G, S, T> fmt::Debug for OptionalFuture<G, S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OptionalFuture").finish_non_exhaustive()
    }
}
