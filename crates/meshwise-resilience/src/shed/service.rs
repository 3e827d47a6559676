//! The service that refuses, and its future.

use crate::{
    BulkheadTicket, CallKind, GuardError, HttpCalls, Ticket, bulkhead::Guard, count::Rejected,
    timeout::has_passed,
};
use http::Request;
use meshwise_core::{Deadline, Outcome, Refused};
use pin_project_lite::pin_project;
use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tower_service::Service;

/// What the services of a layer share.
pub(super) struct Rules {
    pub(super) guard: Arc<Guard>,
    pub(super) expired: Rejected,
    pub(super) exempt: Box<[String]>,
}

impl Rules {
    /// Admits a request, or refuses it. One that is exempt may go without a permit.
    fn admit<B>(
        &self,
        request: &Request<B>,
        incoming: fn() -> Option<Deadline>,
    ) -> Result<Option<BulkheadTicket>, Refused> {
        let deadline = request.extensions().get::<Deadline>().copied().or_else(incoming);
        if deadline.is_some_and(has_passed) {
            return Err(self.expired.refuse(&self.guard.peer, None));
        }
        if let Some(ticket) = self.guard.take() {
            return Ok(Some(ticket));
        }
        if self.exempt.iter().any(|path| path == request.uri().path()) {
            return Ok(None);
        }
        Err(self.guard.refuse())
    }
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rules")
            .field("service", &self.guard.peer)
            .field("exempt", &self.exempt)
            .finish_non_exhaustive()
    }
}

/// Refuses requests that come too late, or when there are too many; made by
/// [`ShedLayer`](super::ShedLayer), which turns its refusals into responses.
///
/// `poll_ready` asks the inner service and nothing else; `call` refuses or calls at once. Clones
/// share the limit, and nothing of their readiness.
#[derive(Clone)]
pub struct Shed<S, K = HttpCalls> {
    inner: S,
    rules: Arc<Rules>,
    incoming: fn() -> Option<Deadline>,
    calls: K,
}

impl<S, K> Shed<S, K> {
    pub(super) fn new(
        inner: S,
        rules: Arc<Rules>,
        incoming: fn() -> Option<Deadline>,
        calls: K,
    ) -> Self {
        Self { inner, rules, incoming, calls }
    }
}

impl<S, K, B> Service<Request<B>> for Shed<S, K>
where
    S: Service<Request<B>>,
    K: CallKind<Request<B>, S::Response, S::Error>,
{
    type Response = K::Response<ShedTicket>;
    type Error = GuardError<S::Error>;
    type Future = ShedFuture<S, K, B>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx).map_err(GuardError::Inner)
    }

    #[inline]
    fn call(&mut self, request: Request<B>) -> Self::Future {
        let state = match self.rules.admit(&request, self.incoming) {
            Ok(permit) => {
                let ticket = ShedTicket { permit };
                let (calls, pending) = (self.calls.clone(), self.calls.begin(&request));
                let inner = self.inner.call(request);
                State::Calling { inner, calls, pending, ticket }
            }
            Err(refused) => State::Refused { refused: Some(refused) },
        };
        ShedFuture { state }
    }
}

impl<S, K> fmt::Debug for Shed<S, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shed").field("rules", &self.rules).finish_non_exhaustive()
    }
}

/// Holds the permit of a request that is being served, if it needed one.
#[derive(Debug)]
pub struct ShedTicket {
    permit: Option<BulkheadTicket>,
}

impl Ticket for ShedTicket {
    fn finish(self, outcome: Outcome) {
        if let Some(permit) = self.permit {
            permit.finish(outcome);
        }
    }
}

pin_project! {
    /// The response of a [`Shed`] service.
    pub struct ShedFuture<S, K, B>
    where
        S: Service<Request<B>>,
        K: CallKind<Request<B>, S::Response, S::Error>,
    {
        #[pin]
        state: State<S::Future, K, K::Pending>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<F, K, P> {
        Calling { #[pin] inner: F, calls: K, pending: P, ticket: ShedTicket },
        Refused { refused: Option<Refused> },
    }
}

impl<S, K, B> Future for ShedFuture<S, K, B>
where
    S: Service<Request<B>>,
    K: CallKind<Request<B>, S::Response, S::Error>,
{
    type Output = Result<K::Response<ShedTicket>, GuardError<S::Error>>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProj::Calling { inner, calls, pending, ticket } => {
                let result = ready!(inner.poll(cx));
                let ticket = ShedTicket { permit: ticket.permit.take() };
                Poll::Ready(calls.answer(pending, result, ticket).map_err(GuardError::Inner))
            }
            StateProj::Refused { refused } => match refused.take() {
                Some(refused) => Poll::Ready(Err(refused.into())),
                None => Poll::Pending,
            },
        }
    }
}

impl<S, K, B> fmt::Debug for ShedFuture<S, K, B>
where
    S: Service<Request<B>>,
    K: CallKind<Request<B>, S::Response, S::Error>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShedFuture").finish_non_exhaustive()
    }
}
