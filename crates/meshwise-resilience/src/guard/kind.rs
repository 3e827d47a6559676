//! Kinds of calls: what guards must know of a request, and when a call is over.

use super::{GuardedBody, Ticket, stream};
use crate::{clock, timeout::Told};
use http::{HeaderMap, Request, Response};
use http_body::Body;
use meshwise_core::{CallEnd, Deadline, Limits, Outcome, Protocol, deadline};
use std::{fmt, time::Duration};

/// Knows a kind of call: what its request says, when it is over, and how it went.
///
/// Guards are generic over it, so that one breaker serves HTTP and gRPC ([`HttpCalls`]) and any other
/// tower service ([`AnyCalls`], [`JudgedCalls`]). Its methods belong to this crate.
pub trait CallKind<Req, Res, E>: Clone {
    /// The response as it is handed on, carrying the ticket until its end.
    type Response;
    /// What must be known of the request when the response comes.
    #[doc(hidden)]
    type Pending;

    /// Looks at a request before it is sent.
    #[doc(hidden)]
    fn begin(&self, request: &Req, ticket: &Ticket) -> Self::Pending;

    /// Returns the deadlines that the request carries.
    #[doc(hidden)]
    fn told(&self, _request: &Req) -> Told {
        Told::default()
    }

    /// Returns the hash of the key by which a rate limit counts.
    #[doc(hidden)]
    fn key(&self, _request: &Req) -> Option<u64> {
        None
    }

    /// Returns the request's method and path.
    #[doc(hidden)]
    fn route<'a>(&self, _request: &'a Req) -> (&'a str, &'a str) {
        ("", "")
    }

    /// Takes the service's answer; ends the ticket now, or lets the response do it at its end.
    ///
    /// # Errors
    ///
    /// Returns the service's own error.
    #[doc(hidden)]
    fn answer(
        &self,
        pending: &Self::Pending,
        result: Result<Res, E>,
        ticket: Ticket,
    ) -> Result<Self::Response, E>;
}

/// Watches HTTP and gRPC calls to the end of their bodies; [`Classifier`](meshwise_core::Classifier) says what counts.
#[derive(Clone, Copy, Debug, Default)]
pub struct HttpCalls {
    head_only: bool,
}

impl HttpCalls {
    /// Watches calls to the end of their bodies.
    #[must_use]
    pub const fn new() -> Self {
        Self { head_only: false }
    }

    /// Takes every response for one that streams: a call ends with its head.
    #[must_use]
    pub const fn until_head(mut self) -> Self {
        self.head_only = true;
        self
    }
}

/// What is known of an HTTP request.
#[derive(Clone, Copy, Debug)]
pub struct HttpPending {
    protocol: Protocol,
    streaming: bool,
}

impl Told {
    /// Reads the deadlines that a request carries: its extension, and the headers by which one is
    /// told.
    #[inline]
    pub(crate) fn by<B>(request: &Request<B>) -> Self {
        let deadline = request.extensions().get::<Deadline>().copied();
        let headers = request.headers();
        if headers.is_empty() {
            Self { deadline, header: None }
        } else {
            Self::read(deadline, headers)
        }
    }

    fn read(deadline: Option<Deadline>, headers: &HeaderMap) -> Self {
        let after = |timeout: Duration| Deadline::after(clock::now(), timeout);
        let millis = headers.get("x-request-timeout-ms");
        let header = millis.and_then(|millis| deadline::parse_millis(millis.as_bytes())).map(after);
        let grpc = headers.get("grpc-timeout").filter(|_| Protocol::of(headers) == Protocol::Grpc);
        let grpc = grpc.and_then(|value| deadline::parse_grpc_timeout(value.as_bytes()));
        let deadline = match grpc.map(after) {
            Some(grpc) => Some(grpc.earlier(deadline)),
            None => deadline,
        };
        Self { deadline, header }
    }
}

impl<B, RB: Body, E: 'static> CallKind<Request<B>, Response<RB>, E> for HttpCalls {
    type Response = Response<GuardedBody<RB>>;
    type Pending = HttpPending;

    #[inline]
    fn begin(&self, request: &Request<B>, ticket: &Ticket) -> HttpPending {
        let protocol = Protocol::of(request.headers());
        let streaming = match ticket.gate() {
            _ if self.head_only => true,
            Some(gate) if gate.streaming.all => true,
            Some(gate) if !gate.streaming.methods.is_empty() => {
                protocol == Protocol::Grpc && gate.streaming.lists(request.uri().path())
            }
            _ => false,
        };
        HttpPending { protocol, streaming }
    }

    #[inline]
    fn told(&self, request: &Request<B>) -> Told {
        Told::by(request)
    }

    fn route<'a>(&self, request: &'a Request<B>) -> (&'a str, &'a str) {
        (request.method().as_str(), request.uri().path())
    }

    #[inline]
    fn answer(
        &self,
        pending: &HttpPending,
        result: Result<Response<RB>, E>,
        mut ticket: Ticket,
    ) -> Result<Self::Response, E> {
        let response = match result {
            Ok(response) => response,
            Err(error) => {
                failed(&error, ticket);
                return Err(error);
            }
        };
        let Some(gate) = ticket.gate() else { return Ok(response.map(GuardedBody::unguarded)) };
        let status = response.status();
        let head = gate.classifier.head(pending.protocol, status, response.headers());
        let streams =
            pending.streaming || stream::by_head(pending.protocol, status, response.headers());
        ticket.head = Some(head);
        ticket.change_limits(Limits::past_head);
        Ok(response.map(|body| GuardedBody::new(body, ticket, pending.protocol, streams)))
    }
}

/// Ends the ticket of a call that got no response.
#[cold]
fn failed<E: 'static>(error: &E, mut ticket: Ticket) {
    if let Some(gate) = ticket.gate() {
        let fault = gate.classifier.faults().of(error);
        let end = gate.classifier.failed(gate.side, None, fault, &ticket.limits_or_none());
        ticket.end(&end);
    }
}

/// Judges the calls of any service: each response is a success, each error a failure, unless it
/// tells that the call was refused on this side. A call ends when its future does.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct AnyCalls {}

impl AnyCalls {
    /// Creates it.
    #[must_use]
    pub const fn new() -> Self {
        Self {}
    }
}

impl<Req, Res, E: 'static> CallKind<Req, Res, E> for AnyCalls {
    type Response = Res;
    type Pending = ();

    #[inline]
    fn begin(&self, _request: &Req, _ticket: &Ticket) {}

    #[inline]
    fn answer(&self, (): &(), result: Result<Res, E>, mut ticket: Ticket) -> Result<Res, E> {
        match &result {
            Ok(_) => ticket.end(&CallEnd::SUCCESS),
            Err(error) => failed(error, ticket),
        }
        result
    }
}

/// Judges the calls of any service with a function; what it calls [`Outcome::Cancelled`] counts
/// neither way. A call ends when its future does.
pub struct JudgedCalls<Res, E> {
    judge: fn(&Result<Res, E>) -> Outcome,
}

impl<Res, E> JudgedCalls<Res, E> {
    /// Judges with a function.
    #[must_use]
    pub const fn new(judge: fn(&Result<Res, E>) -> Outcome) -> Self {
        Self { judge }
    }
}

// Not derived: what it judges need not be `Clone`.
impl<Res, E> Clone for JudgedCalls<Res, E> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<Res, E> Copy for JudgedCalls<Res, E> {}

impl<Res, E> fmt::Debug for JudgedCalls<Res, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JudgedCalls").finish_non_exhaustive()
    }
}

impl<Req, Res, E> CallKind<Req, Res, E> for JudgedCalls<Res, E> {
    type Response = Res;
    type Pending = ();

    #[inline]
    fn begin(&self, _request: &Req, _ticket: &Ticket) {}

    #[inline]
    fn answer(&self, (): &(), result: Result<Res, E>, mut ticket: Ticket) -> Result<Res, E> {
        ticket.end(&CallEnd::judged((self.judge)(&result)));
        result
    }
}
