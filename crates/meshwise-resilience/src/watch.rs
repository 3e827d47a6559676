//! Seeing a call to its end: what guards count, and when.

mod body;

pub use body::WatchedBody;

use http::{Request, Response};
use http_body::Body;
use meshwise_core::{
    Classify, ErrorType, Outcome, Protocol, Refused,
    outcome::{ClassifyGrpc, ClassifyHttp, ErrorKinds, Rule},
};
use std::{
    error::Error,
    fmt,
    sync::{Arc, LazyLock},
};

/// Takes the end of a call, once: a permit, a trial slot, a count.
///
/// One that is dropped without [`Ticket::finish`] belongs to a call that its own caller gave up
/// ([`Outcome::Cancelled`]); its `Drop` gives back what it holds.
pub trait Ticket {
    /// Takes note of how the call went.
    fn finish(self, outcome: Outcome);

    /// Takes note that there was no call: a guard further in refused it. Unlike a call that was
    /// given up, its time says nothing of the neighbour.
    fn discard(self)
    where
        Self: Sized,
    {
        drop(self);
    }
}

/// Holds nothing, counts nothing.
impl Ticket for () {
    fn finish(self, _outcome: Outcome) {}
}

/// Knows a kind of call: when one is over, and how it went.
///
/// Guards are generic over it, so that one breaker serves HTTP, gRPC ([`HttpCalls`]) and any other
/// tower service ([`AnyCalls`]).
pub trait CallKind<Req, Res, E>: Clone {
    /// What must be known of the request when the response comes.
    type Pending;
    /// The response as it is handed on, carrying the ticket until its end.
    type Response<T: Ticket>;

    /// Looks at a request before it is sent.
    fn begin(&self, request: &Req) -> Self::Pending;

    /// Takes the service's answer; finishes the ticket now, or lets the response do it at its end.
    ///
    /// # Errors
    ///
    /// Returns the service's own error.
    fn answer<T: Ticket>(
        &self,
        pending: &Self::Pending,
        result: Result<Res, E>,
        ticket: T,
    ) -> Result<Self::Response<T>, E>;
}

/// Judges HTTP and gRPC calls, by their heads, trailers and bodies.
///
/// | what happens | counts as |
/// |---|---|
/// | HTTP 5xx, 429 | failure |
/// | gRPC `UNAVAILABLE`, `DEADLINE_EXCEEDED`, `INTERNAL`, `UNKNOWN`, `DATA_LOSS`, `RESOURCE_EXHAUSTED` | failure |
/// | gRPC answer that ends without a status | failure |
/// | body that breaks off, whatever its head said | failure |
/// | error of the service | failure |
/// | refusal by another guard further in | nothing: the neighbour was not asked (a timeout is a failure) |
/// | future or unfinished body dropped by the caller | nothing |
/// | all else | success |
///
/// Each call clones it, which costs an atomic or two only if it knows errors of its own
/// ([`HttpCalls::with_error`]); [`HttpCalls::with_errors`] avoids these.
#[derive(Clone, Debug, Default)]
pub struct HttpCalls {
    errors: Errors,
    head_only: bool,
}

/// The rules by which errors are looked into.
#[derive(Clone, Debug, Default)]
enum Errors {
    #[default]
    Plain,
    Static(&'static ErrorKinds),
    Shared(Arc<ErrorKinds>),
}

impl Errors {
    fn kinds(&self) -> &ErrorKinds {
        static PLAIN: LazyLock<ErrorKinds> = LazyLock::new(ErrorKinds::default);
        match self {
            Self::Plain => &PLAIN,
            Self::Static(kinds) => kinds,
            Self::Shared(kinds) => kinds,
        }
    }

    fn change(self, change: impl FnOnce(&mut ErrorKinds)) -> Self {
        let mut kinds = match self {
            Self::Plain | Self::Static(_) => Arc::new(self.kinds().clone()),
            Self::Shared(kinds) => kinds,
        };
        change(Arc::make_mut(&mut kinds));
        Self::Shared(kinds)
    }
}

impl HttpCalls {
    /// Watches calls to the end of their bodies.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Ends a call with its head where the head says how it went (for plain HTTP it always does).
    ///
    /// Use it for responses that stream for hours: a long read must not hold a permit or look slow.
    #[must_use]
    pub fn until_head(mut self) -> Self {
        self.head_only = true;
        self
    }

    /// Makes errors of type `E` transparent: their sources are looked into.
    #[must_use]
    pub fn with_error<E: Error + 'static>(mut self) -> Self {
        self.errors = self.errors.change(ErrorKinds::view::<E>);
        self
    }

    /// Looks into errors by these rules instead of those it has: for libraries that know their
    /// client's errors once and for all.
    #[must_use]
    pub fn with_errors(mut self, errors: &'static ErrorKinds) -> Self {
        self.errors = Errors::Static(errors);
        self
    }

    /// Adds a rule that names kinds of error; it is asked for an error and each of its sources.
    #[must_use]
    pub fn with_error_kind(
        mut self,
        kind: fn(&(dyn Error + 'static)) -> Option<ErrorType>,
    ) -> Self {
        self.errors = self.errors.change(|errors| errors.kind(kind));
        self
    }

    /// Returns the rules by which errors are looked into.
    #[must_use]
    pub fn errors(&self) -> &ErrorKinds {
        self.errors.kinds()
    }
}

impl<B, RB: Body, E: 'static> CallKind<Request<B>, Response<RB>, E> for HttpCalls {
    type Pending = Protocol;
    type Response<T: Ticket> = Response<WatchedBody<RB, T>>;

    #[inline]
    fn begin(&self, request: &Request<B>) -> Protocol {
        Protocol::of(request.headers())
    }

    #[inline]
    fn answer<T: Ticket>(
        &self,
        &protocol: &Protocol,
        result: Result<Response<RB>, E>,
        ticket: T,
    ) -> Result<Self::Response<T>, E> {
        let response = match result {
            Ok(response) => response,
            Err(error) => {
                finish_failed(self.errors(), &error, ticket);
                return Err(error);
            }
        };
        let status = response.status();
        let verdict = classify(protocol).head(status, response.headers());
        Ok(response.map(|body| match verdict {
            Some(verdict) if self.head_only => {
                ticket.finish(verdict);
                WatchedBody::unwatched(body)
            }
            _ => WatchedBody::new(body, ticket, protocol, status, verdict),
        }))
    }
}

/// Judges the calls of any service by their results; a call ends when its future does.
///
/// [`AnyCalls::default`] takes each response for a success, and each error for a failure, unless
/// another guard refused the call (as far as [`ErrorKinds`] can see that: through boxed errors).
/// A function of one's own says [`Outcome::Cancelled`] of what should count neither way.
pub struct AnyCalls<Res, E> {
    judge: Judge<Res, E>,
}

/// How results are judged. Without a function of one's own a success costs no call.
enum Judge<Res, E> {
    Errors(fn(&E) -> Outcome),
    Own(fn(&Result<Res, E>) -> Outcome),
}

impl<Res, E> Judge<Res, E> {
    #[inline]
    fn judge(self, result: &Result<Res, E>) -> Outcome {
        match (self, result) {
            (Self::Errors(_), Ok(_)) => Outcome::Success,
            (Self::Errors(judge), Err(error)) => judge(error),
            (Self::Own(judge), result) => judge(result),
        }
    }
}

// Not derived: what it judges need not be `Copy`.
impl<Res, E> Clone for Judge<Res, E> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<Res, E> Copy for Judge<Res, E> {}

impl<Res, E> AnyCalls<Res, E> {
    /// Judges with a function.
    #[must_use]
    pub fn new(judge: fn(&Result<Res, E>) -> Outcome) -> Self {
        Self { judge: Judge::Own(judge) }
    }
}

impl<Res, E: 'static> Default for AnyCalls<Res, E> {
    fn default() -> Self {
        let judge = |error: &E| match ErrorKinds::default().refused(error).map(Refused::rule) {
            Some(Rule::TimedOut) => Outcome::Failure(ErrorType::TIMEOUT),
            Some(_) => Outcome::Cancelled,
            None => Outcome::Failure(ErrorType::OTHER),
        };
        Self { judge: Judge::Errors(judge) }
    }
}

// Not derived: what it judges need not be `Clone`.
impl<Res, E> Clone for AnyCalls<Res, E> {
    fn clone(&self) -> Self {
        Self { judge: self.judge }
    }
}

impl<Res, E> fmt::Debug for AnyCalls<Res, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnyCalls").finish_non_exhaustive()
    }
}

impl<Req, Res, E> CallKind<Req, Res, E> for AnyCalls<Res, E> {
    type Pending = ();
    type Response<T: Ticket> = Res;

    #[inline]
    fn begin(&self, _request: &Req) {}

    #[inline]
    fn answer<T: Ticket>(
        &self,
        (): &(),
        result: Result<Res, E>,
        ticket: T,
    ) -> Result<Self::Response<T>, E> {
        match self.judge.judge(&result) {
            Outcome::Cancelled => ticket.discard(),
            outcome => ticket.finish(outcome),
        }
        result
    }
}

#[inline]
fn classify(protocol: Protocol) -> &'static dyn Classify {
    static HTTP: ClassifyHttp = ClassifyHttp::for_guard();
    static GRPC: ClassifyGrpc = ClassifyGrpc::for_guard();
    if protocol == Protocol::Grpc { &GRPC } else { &HTTP }
}

/// Finishes the ticket of a call that got no response.
#[cold]
fn finish_failed<T: Ticket, E: 'static>(errors: &ErrorKinds, error: &E, ticket: T) {
    match errors.refused(error).map(Refused::rule) {
        // The neighbour took its time: that is its own doing.
        Some(Rule::TimedOut) => ticket.finish(Outcome::Failure(ErrorType::TIMEOUT)),
        Some(_) => ticket.discard(),
        None => {
            let error_type = errors.error_type(error).unwrap_or(ErrorType::OTHER);
            ticket.finish(Outcome::Failure(error_type));
        }
    }
}
