//! Retries of HTTP and gRPC calls.

use super::{ReplayBody, RetryVerdict, Tries, kept::KeptHead, replay::KeptBody};
use crate::{
    debug::debug,
    guard::{
        CallKind, Gate, GuardedBody, HttpPending, OnFailure, RequestKind, Resent, Sent, Ticket,
    },
    timeout::Told,
};
use http::{Request, Response};
use http_body::Body;
use meshwise_core::{Attempt, Protocol};
use std::{error::Error, sync::Arc};

/// Marks a request, in its extensions, as safe to repeat or not, whatever its method says.
///
/// ```
/// use meshwise_resilience::Idempotent;
/// let mut request = http::Request::post("/search").body(()).unwrap();
/// request.extensions_mut().insert(Idempotent(true));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "a name for one value")]
pub struct Idempotent(pub bool);

/// Knows which HTTP and gRPC calls are tried again; see the table in the crate's documentation.
/// [`Classifier`](meshwise_core::Classifier) says on what.
///
/// `WATCHED` says whether responses are watched to the end of their bodies, too, as those of a
/// [`PeerLayer`](crate::PeerLayer) are; a layer that retries has no more to do with one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HttpRetries<const WATCHED: bool = false> {
    methods: Arc<[Box<str>]>,
}

impl HttpRetries {
    /// Retries requests that may be repeated.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Says that a gRPC method (`package.Service/Method`) may be repeated.
    #[must_use]
    pub fn with_idempotent_method(mut self, method: &str) -> Self {
        let method = method.trim_start_matches('/').into();
        self.methods = self.methods.iter().cloned().chain([method]).collect();
        self
    }

    /// Lists the gRPC methods that may be repeated.
    pub(crate) fn methods(&self) -> Vec<String> {
        self.methods.iter().map(ToString::to_string).collect()
    }
}

impl HttpRetries<true> {
    /// Retries requests to these gRPC methods too, and watches responses to the end of their bodies.
    pub(crate) fn watched(methods: &[String]) -> Self {
        Self {
            methods: methods.iter().map(|method| method.trim_start_matches('/').into()).collect(),
        }
    }
}

impl<const WATCHED: bool> HttpRetries<WATCHED> {
    /// Tells whether a request is one of the gRPC methods that may be repeated.
    fn lists<B>(&self, request: &Request<B>) -> bool {
        let path = request.uri().path().trim_start_matches('/');
        self.methods.iter().any(|method| **method == *path)
    }
}

/// Keeps a request while an attempt is in flight.
pub struct KeptRequest<B> {
    pub(crate) http: HttpPending,
    /// Whether it is a gRPC method that may be repeated.
    listed: bool,
    tries: Option<Tries>,
    /// `None` if it is made once.
    head: Option<KeptHead>,
    body: KeptBody<B>,
}

impl<B> KeptRequest<B> {
    /// Tells whether doing it twice does no harm: one after the other, or at a time.
    fn harmless(&self) -> (bool, bool) {
        let Some(head) = &self.head else { return (false, false) };
        match (head.extensions.get(), self.http.protocol) {
            (Some(Idempotent(marked)), _) => (*marked, *marked),
            (None, Protocol::Http) => head.harmless(),
            (None, _) => (self.listed, self.listed),
        }
    }
}

debug!("KeptRequest", [B] KeptRequest<B>, kept: "http" = kept.http);

impl<const WATCHED: bool, B> RequestKind<Request<B>> for HttpRetries<WATCHED>
where
    B: Body + Unpin,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Request = Request<ReplayBody<B>>;
    type Pending = KeptRequest<B>;

    // Copies of heads are what a call through retries costs; calls in between would copy them again.
    #[inline(always)]
    fn keep(&self, request: &Request<B>, gate: &Gate, tries: Option<Tries>) -> KeptRequest<B> {
        let http = HttpPending::of(request, gate);
        let listed = http.protocol == Protocol::Grpc && self.lists(request);
        let head = tries.and_then(|tries| tries.keep).map(|_| KeptHead::of(request));
        KeptRequest { http, listed, tries, head, body: KeptBody::EMPTY }
    }

    #[inline(always)]
    fn send(request: Request<B>, kept: &mut KeptRequest<B>) -> Self::Request {
        let (parts, body) = request.into_parts();
        let (sent, body) = ReplayBody::keep(body, kept.tries.and_then(|tries| tries.keep));
        kept.body = body;
        Request::from_parts(parts, sent)
    }

    #[inline]
    fn tries(kept: &mut KeptRequest<B>) -> Option<&mut Tries> {
        kept.tries.as_mut()
    }

    fn again(kept: &mut KeptRequest<B>, attempt: u32) -> Option<Self::Request> {
        let head = kept.head.as_ref()?;
        let mut request = head.request(kept.body.again()?)?;
        let tried = head.tried().saturating_add(attempt);
        request.extensions_mut().insert(Attempt(tried));
        if kept.tries.is_some_and(|tries| tries.is_unsent()) {
            request.extensions_mut().insert(Resent);
        }
        Some(request)
    }

    fn repeatable(kept: &KeptRequest<B>) -> bool {
        kept.harmless().0
    }

    fn may_overlap(kept: &KeptRequest<B>) -> bool {
        // A stream has only one reader.
        kept.harmless().1 && matches!(kept.body, KeptBody::Whole(_))
    }

    fn sent(kept: &KeptRequest<B>) -> Option<Sent> {
        kept.body.sent()
    }

    fn tried(kept: &KeptRequest<B>) -> u32 {
        kept.head.as_ref().map_or(0, KeptHead::tried)
    }

    #[inline]
    fn told(&self, request: &Request<B>) -> Told {
        Told::by(request)
    }

    fn route<'a>(&self, request: &'a Request<B>) -> (&'a str, &'a str) {
        (request.method().as_str(), request.uri().path())
    }
}

impl<B> KeptRequest<B> {
    #[inline(always)]
    fn answered<RB, E: 'static>(
        &self,
        result: &Result<Response<RB>, E>,
        ticket: &mut Ticket,
    ) -> RetryVerdict {
        let resent = |head: &KeptHead| head.extensions.get::<Resent>().is_some();
        let on_failure = || OnFailure {
            repeatable: self.harmless().0,
            resent: self.head.as_ref().is_some_and(resent),
        };
        self.http.answered(on_failure, result, ticket)
    }
}

impl<B, RB, E> CallKind<Request<B>, Response<RB>, E> for HttpRetries
where
    B: Body + Unpin,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Response = Response<RB>;

    #[inline(always)]
    fn answered(
        kept: &KeptRequest<B>,
        result: &Result<Response<RB>, E>,
        ticket: &mut Ticket,
    ) -> RetryVerdict
    where
        E: 'static,
    {
        kept.answered(result, ticket)
    }

    #[inline]
    fn response(
        _: &KeptRequest<B>,
        response: Response<RB>,
        _: &mut Option<Ticket>,
    ) -> Response<RB> {
        response
    }
}

impl<B, RB: Body, E> CallKind<Request<B>, Response<RB>, E> for HttpRetries<true>
where
    B: Body + Unpin,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Response = Response<GuardedBody<RB>>;

    #[inline(always)]
    fn answered(
        kept: &KeptRequest<B>,
        result: &Result<Response<RB>, E>,
        ticket: &mut Ticket,
    ) -> RetryVerdict
    where
        E: 'static,
    {
        kept.answered(result, ticket)
    }

    #[inline(always)]
    fn response(
        kept: &KeptRequest<B>,
        response: Response<RB>,
        ticket: &mut Option<Ticket>,
    ) -> Self::Response {
        kept.http.response(response, ticket, kept.body.sent())
    }
}
