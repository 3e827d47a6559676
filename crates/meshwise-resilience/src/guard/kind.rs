//! Kinds of calls: what guards must know of a request, and when a call is over.

use super::{Gate, GuardedBody, Plan, Ticket};
use crate::{
    clock,
    rate::RateKey,
    retry::{RetryVerdict, Tries, Upload},
    timeout::Told,
};
use http::{HeaderMap, HeaderName, Request, Response, StatusCode, header::CONTENT_TYPE};
use http_body::Body;
use meshwise_core::{
    CallEnd, Deadline, Protocol,
    internal::{HeaderFilter, is_event_stream, read_timeouts},
};
use std::time::Duration;

/// Knows a kind of request: what it says, and how it is sent, again too.
///
/// Its methods belong to this crate, as those of [`CallKind`].
pub trait RequestKind<Req>: Clone {
    /// The request as the inner service takes it.
    type Request;
    /// What goes with the call until its response comes.
    type Pending;

    /// Takes note of what a request says.
    fn keep(&self, request: &Req, gate: &Gate, tries: Tries) -> Self::Pending;

    /// Keeps the rest of its head if it may have to be sent again: in its place, for what is returned is moved.
    fn fill(_request: &Req, _pending: &mut Self::Pending) {}

    /// Makes a request ready to be sent; keeps its body if it may have to be sent again.
    fn send(request: Req, pending: &mut Self::Pending) -> Self::Request;

    /// Returns how often the request was sent and may be, if it is ever sent again.
    fn tries(_pending: &mut Self::Pending) -> Option<&mut Tries> {
        None
    }

    /// Returns the deadlines that the request carries.
    fn told(&self, _request: &Req, _gate: &Gate) -> Option<Told> {
        None
    }

    /// Returns the hash of the key by which a rate limit counts.
    fn key(&self, _request: &Req) -> Option<u64> {
        None
    }

    /// Returns the request's method and path.
    fn route<'a>(&self, _request: &'a Req) -> (&'a str, &'a str) {
        ("", "")
    }

    /// Makes the request for another attempt, of number `attempt` (1 is the first retry). `None` if it
    /// was not kept, or its body is gone.
    fn again(_pending: &mut Self::Pending, _attempt: u32) -> Option<Self::Request> {
        None
    }

    /// Tells whether doing the request twice does no harm: one after the other, or at a time.
    fn harmless(_pending: &Self::Pending) -> (bool, bool) {
        (false, false)
    }

    /// Says whether to try again after an attempt that got no response.
    fn after(end: &CallEnd, pending: &Self::Pending) -> RetryVerdict {
        RetryVerdict::of(end, Self::harmless(pending).0)
    }

    /// Returns what an HTTP request said of itself.
    fn http(_pending: &Self::Pending) -> HttpPending {
        HttpPending::default()
    }

    /// Returns how far the request's body has got, if it did not lie ready as a whole.
    fn sent(_pending: &Self::Pending) -> Option<u64> {
        None
    }
}

/// Knows a kind of call: when it is over, and how it went.
///
/// Guards are generic over it, so that one breaker serves HTTP and gRPC ([`HttpCalls`]) and any other
/// tower service ([`AnyCalls`]), and retries too ([`HttpRetries`](crate::HttpRetries),
/// [`AnyRetries`](crate::AnyRetries)).
pub trait CallKind<Req, Res, P: Plan>: RequestKind<Req> {
    /// The response as it is handed on, carrying the ticket until its end.
    type Response;

    /// Takes note of a response, and says whether to try again. The ticket of a call that is over is ended, as
    /// here; otherwise the response will do it.
    #[inline(always)]
    fn answered(_: &Self::Pending, _: &Res, ticket: &mut Ticket<P>) -> RetryVerdict {
        ticket.well();
        RetryVerdict::Well
    }

    /// Hands the response on; takes the ticket if the response is to carry it.
    fn response(
        pending: &Self::Pending,
        response: Res,
        ticket: &mut Option<Ticket<P>>,
    ) -> Self::Response;
}

/// Takes note of what the service came to, and says whether to try again.
#[inline]
pub(crate) fn ended<K: CallKind<Req, Res, P>, Req, Res, E: 'static, P: Plan>(
    pending: &K::Pending,
    result: &Result<Res, E>,
    ticket: &mut Ticket<P>,
) -> RetryVerdict {
    match result {
        Ok(response) => K::answered(pending, response, ticket),
        Err(error) => {
            let fault = ticket.gate.classifier.faults().of(error);
            K::after(&ticket.failed(fault, K::http(pending).resent), pending)
        }
    }
}

/// Watches HTTP and gRPC calls to the end of their bodies; [`Classifier`](meshwise_core::Classifier) says what counts.
#[derive(Clone, Copy, Debug, Default)]
#[allow(clippy::exhaustive_structs, reason = "it has nothing to set")]
pub struct HttpCalls;

/// What an HTTP request says of itself, and its settings of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct HttpPending {
    pub(crate) protocol: Protocol,
    answer_tells: bool,
    /// The response streams by the settings.
    pub(super) streaming: bool,
    /// It is made again further out, because the peer never saw it.
    pub(crate) resent: bool,
}

/// Marks a request, in its extensions, as one that is made again because the peer never saw it: what
/// was never sent counts once, also where the guards of attempts stand apart from the retries.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Resent;

impl HttpPending {
    #[inline]
    pub(crate) fn of<B>(request: &Request<B>, gate: &Gate) -> Self {
        let (protocol, answer_tells) = Protocol::of_sent(request);
        let streaming = gate.streaming.all
            || (protocol == Protocol::Grpc && gate.streaming.lists(request.uri().path()));
        Self { protocol, answer_tells, streaming, resent: false }
    }

    #[inline]
    fn settled(self, answer: &HeaderMap) -> Protocol {
        if self.answer_tells { Protocol::of(answer) } else { self.protocol }
    }

    #[inline(always)]
    pub(crate) fn answered<P: Plan, RB>(
        self,
        response: &Response<RB>,
        repeatable: impl FnOnce() -> bool,
        ticket: &mut Ticket<P>,
    ) -> RetryVerdict {
        let (status, headers) = (response.status(), response.headers());
        let head = ticket.gate.classifier.head(self.settled(headers), status, headers);
        ticket.head = Some(head);
        if head.is_success() { RetryVerdict::Well } else { unwell(headers, ticket, repeatable()) }
    }

    #[inline(always)]
    pub(crate) fn response<P: Plan, B: Body>(
        self,
        response: Response<B>,
        ticket: &mut Option<Ticket<P>>,
        upload: Option<Upload>,
    ) -> Response<GuardedBody<B, P>> {
        let (head, body) = response.into_parts();
        let protocol = self.settled(&head.headers);
        // Server-sent events, and connections that become another protocol's.
        let by_head = || {
            head.status == StatusCode::SWITCHING_PROTOCOLS
                || (!head.headers.is_empty() && is_event_stream(head.headers.get(CONTENT_TYPE)))
        };
        let streams = self.streaming || (protocol != Protocol::Grpc && by_head());
        if let Some(ticket) = ticket {
            ticket.limits = match upload {
                Some(_) => ticket.limits.for_exchange(),
                None => ticket.limits.past_head(),
            };
        }
        Response::from_parts(head, GuardedBody::new(body, ticket, protocol, streams, upload))
    }
}

/// Says whether to try again after an answer whose head says that it failed. What comes after data, in
/// trailers, is for the caller, who has seen the data.
#[cold]
fn unwell<P: Plan>(headers: &HeaderMap, ticket: &mut Ticket<P>, repeatable: bool) -> RetryVerdict {
    let (gate, Some(head)) = (&ticket.gate, ticket.head) else { return RetryVerdict::Well };
    let end = gate.classifier.answered(gate.side, head, headers, &ticket.limits);
    end.map_or(RetryVerdict::Well, |end| RetryVerdict::of(&end, repeatable))
}

static TIMEOUT: HeaderName = HeaderName::from_static("x-request-timeout-ms");

impl Told {
    /// Reads the deadlines that a request carries: its extension, and the headers by which one is
    /// told.
    #[inline]
    pub(crate) fn by<B>(request: &Request<B>, gate: &Gate) -> Option<Self> {
        let (extensions, headers) = (request.extensions(), request.headers());
        let deadline = extensions.get::<Deadline>().copied();
        if headers.is_empty() {
            return deadline.map(|_| Self { deadline, header: None });
        }
        Some(Self::read(deadline, headers, gate))
    }

    fn read(deadline: Option<Deadline>, headers: &HeaderMap, gate: &Gate) -> Self {
        let after = |timeout: Duration| Deadline::after(clock::now(), timeout);
        let name = gate.timeout_header.as_ref().unwrap_or(&TIMEOUT);
        let (grpc, header) = read_timeouts(headers, HeaderFilter::of(headers), name);
        let grpc = grpc.filter(|_| Protocol::of(headers) == Protocol::Grpc).map(after);
        Self { deadline: grpc.into_iter().chain(deadline).min(), header: header.map(after) }
    }
}

impl<B> RequestKind<Request<B>> for HttpCalls {
    type Request = Request<B>;
    type Pending = HttpPending;

    fn keep(&self, request: &Request<B>, gate: &Gate, _: Tries) -> HttpPending {
        let resent = request.extensions().get::<Resent>().is_some();
        HttpPending { resent, ..HttpPending::of(request, gate) }
    }

    #[inline(always)]
    fn send(request: Request<B>, _: &mut HttpPending) -> Request<B> {
        request
    }

    fn http(pending: &HttpPending) -> HttpPending {
        *pending
    }

    fn told(&self, request: &Request<B>, gate: &Gate) -> Option<Told> {
        Told::by(request, gate)
    }

    fn route<'a>(&self, request: &'a Request<B>) -> (&'a str, &'a str) {
        (request.method().as_str(), request.uri().path())
    }
}

impl<B, RB: Body, P: Plan> CallKind<Request<B>, Response<RB>, P> for HttpCalls {
    type Response = Response<GuardedBody<RB, P>>;

    #[inline]
    fn answered(
        pending: &HttpPending,
        response: &Response<RB>,
        ticket: &mut Ticket<P>,
    ) -> RetryVerdict {
        pending.answered(response, || false, ticket)
    }

    fn response(
        pending: &HttpPending,
        response: Response<RB>,
        ticket: &mut Option<Ticket<P>>,
    ) -> Self::Response {
        pending.response(response, ticket, None)
    }
}

/// Judges the calls of any service: each response is a success, each error a failure, unless it
/// tells that the call was refused on this side. A call ends when its future does.
///
/// A rate limit may tell them apart by a key `K` ([`RateLimitLayer::per_key`](crate::RateLimitLayer::per_key)).
#[derive(Clone, Copy, Debug, Default)]
pub struct AnyCalls<K = ()> {
    key: K,
}

impl AnyCalls {
    /// Creates it.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl<K> AnyCalls<K> {
    pub(crate) const fn by(key: K) -> Self {
        Self { key }
    }
}

impl<K: RateKey<Req> + Clone, Req> RequestKind<Req> for AnyCalls<K> {
    type Request = Req;
    type Pending = ();

    #[inline(always)]
    fn keep(&self, _: &Req, _: &Gate, _: Tries) {}

    #[inline(always)]
    fn send(request: Req, (): &mut ()) -> Req {
        request
    }

    fn key(&self, request: &Req) -> Option<u64> {
        self.key.hash(request)
    }
}

impl<K: RateKey<Req> + Clone, Req, Res, P: Plan> CallKind<Req, Res, P> for AnyCalls<K> {
    type Response = Res;

    fn response((): &(), response: Res, _: &mut Option<Ticket<P>>) -> Res {
        response
    }
}
