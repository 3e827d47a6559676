//! Answering in the place of a peer that cannot.

use crate::{debug::debug, names};
use pin_project_lite::pin_project;
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tower_layer::Layer;
use tower_service::Service;

/// Asks a function for an answer where the service has none: a stored one, a default, another
/// service's. Put it around all other guards.
///
/// The function takes what the call came to (an error, or what [`FallbackLayer::when`] is told of) and
/// returns a future of what its caller gets.
///
/// ```
/// use meshwise_resilience::{FallbackLayer, Refused, Rule};
/// use tower::{Layer, ServiceExt, service_fn};
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let prices = service_fn(async |_: &str| Err::<u32, _>(Refused::new(Rule::BreakerOpen, "prices")));
/// let yesterday = FallbackLayer::new("prices", |_| std::future::ready(Ok(42)));
/// assert_eq!(yesterday.layer(prices).oneshot("tea").await, Ok(42));
/// # }
/// ```
#[derive(Clone)]
pub struct FallbackLayer<F, W> {
    peer: Arc<str>,
    fallback: F,
    when: W,
}

impl<F, Res, E> FallbackLayer<F, fn(&Result<Res, E>) -> bool> {
    /// Creates the layer; it replaces errors, refusals among them. Responses stay, whatever they say.
    #[must_use]
    pub fn new(peer: impl Into<Arc<str>>, fallback: F) -> Self {
        Self { peer: peer.into(), fallback, when: Result::is_err }
    }
}

impl<F, W> FallbackLayer<F, W> {
    /// Creates a layer that replaces the results that `when` says: a `Fn(&Result<Response, Error>) -> bool`.
    #[must_use]
    pub fn when(peer: impl Into<Arc<str>>, when: W, fallback: F) -> Self {
        Self { peer: peer.into(), fallback, when }
    }
}

impl<S, F: Clone, W: Clone> Layer<S> for FallbackLayer<F, W> {
    type Service = FallbackService<S, F, W>;

    fn layer(&self, inner: S) -> Self::Service {
        FallbackService { inner, layer: self.clone() }
    }
}

debug!("FallbackLayer", [F, W] FallbackLayer<F, W>, layer: "peer" = layer.peer);

/// Replaces what a call to `S` came to. Made by [`FallbackLayer`].
#[derive(Clone)]
pub struct FallbackService<S, F, W> {
    inner: S,
    layer: FallbackLayer<F, W>,
}

impl<S, Req, F, W, Fut> Service<Req> for FallbackService<S, F, W>
where
    S: Service<Req>,
    F: FnOnce(Result<S::Response, S::Error>) -> Fut + Clone,
    Fut: Future<Output = Result<S::Response, S::Error>>,
    W: Fn(&Result<S::Response, S::Error>) -> bool + Clone,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = FallbackFuture<S::Future, F, W, Fut>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        // Readiness is the inner service's. A service that fails for good has no call to replace.
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Req) -> Self::Future {
        let (calling, rest) = (Some(self.inner.call(request)), Some(self.layer.clone()));
        FallbackFuture { calling, rest, replacing: None }
    }
}

debug!(
    "FallbackService", [S: std::fmt::Debug, F, W] FallbackService<S, F, W>,
    service: "inner" = service.inner
);

pin_project! {
    /// Resolves to the service's answer, or to the one that takes its place.
    pub struct FallbackFuture<F, G, W, Fut> {
        #[pin]
        calling: Option<F>,
        rest: Option<FallbackLayer<G, W>>,
        #[pin]
        replacing: Option<Fut>,
    }
}

impl<F, G, W, Fut, Res, E> Future for FallbackFuture<F, G, W, Fut>
where
    F: Future<Output = Result<Res, E>>,
    G: FnOnce(Result<Res, E>) -> Fut,
    Fut: Future<Output = Result<Res, E>>,
    W: Fn(&Result<Res, E>) -> bool,
{
    type Output = Result<Res, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if let Some(future) = this.calling.as_mut().as_pin_mut() {
            let result = ready!(future.poll(cx));
            this.calling.set(None);
            match this.rest.take() {
                Some(FallbackLayer { peer, fallback, when }) if when(&result) => {
                    tracing::debug!(target: names::TARGET, peer = &*peer, "answering in its place");
                    this.replacing.set(Some(fallback(result)));
                }
                _ => return Poll::Ready(result),
            }
        }
        this.replacing.as_pin_mut().map_or(Poll::Pending, |future| future.poll(cx))
    }
}

debug!("FallbackFuture", [F, G, W, Fut] FallbackFuture<F, G, W, Fut>);

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::{pending, ready};
    use tokio_test::{assert_pending, task};
    use tower::{ServiceExt, service_fn};
    use tower_test::mock;

    #[tokio::test]
    async fn only_what_is_not_wanted_is_replaced() {
        let even = service_fn(|n: u32| ready(if n.is_multiple_of(2) { Ok(n) } else { Err("odd") }));
        let service = FallbackLayer::new("even", |_| ready(Ok(100))).layer(even);
        assert_eq!(service.clone().oneshot(2).await, Ok(2));
        assert_eq!(service.oneshot(3).await, Ok(100));
        let four = |result: &Result<u32, &str>| *result == Ok(4);
        let more = |result: Result<u32, &'static str>| ready(result.map(|n| n + 1000));
        let big = FallbackLayer::when("even", four, more).layer(even);
        assert_eq!(big.clone().oneshot(4).await, Ok(1004));
        assert_eq!(big.oneshot(3).await, Err("odd"));
    }

    #[tokio::test]
    async fn a_service_ready_only_once_per_clone_is_asked_and_dropping_drops_both() {
        let held = Arc::new(());
        let mine = Arc::clone(&held);
        let layer = FallbackLayer::new("x", move |_| {
            let held = Arc::clone(&mine);
            async move {
                pending::<()>().await;
                drop(held);
                Ok(())
            }
        });
        let (mut service, mut handle) =
            mock::spawn_with(|mock: mock::Mock<(), ()>| layer.layer(mock));
        handle.allow(1);
        tokio_test::assert_ready_ok!(service.poll_ready());
        let mut call = task::spawn(service.call(()));
        assert_pending!(service.poll_ready());
        assert_pending!(call.poll());
        handle.next_request().await.unwrap().1.send_error("no");
        let idle = Arc::strong_count(&held);
        assert_pending!(call.poll());
        assert!(Arc::strong_count(&held) >= idle, "the fallback is in flight");
        drop((call, service, layer));
        assert_eq!(Arc::strong_count(&held), 1);
    }
}
