//! What an adapter knows of an error: one translation from a library's errors into facts.

use super::{ErrorType, GrpcCode, Phase, Refused, Rule};
use crate::internal::{error_chain, error_sources};
use std::{any::Any, error::Error, fmt::Display, io};

type BoxError = Box<dyn Error + Send + Sync>;

/// Says what kind of error it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum FaultKind {
    /// No connection could be made: refused, unreachable, name not found, TLS handshake failed.
    Connect,
    /// A connection broke, or the peer gave the stream up: RST, FIN before the end, GOAWAY,
    /// `RST_STREAM`.
    Reset,
    /// A timer of the transport ran out.
    Timeout,
    /// The response's body could not be read or decoded.
    Body,
    /// The request could not be sent as it is: a bad URI, a version that the transport does not
    /// speak.
    Request,
    /// The request's own body failed while it was sent.
    RequestBody,
    /// This side gave the call up.
    Cancelled,
    /// The code below panicked.
    Panic,
    /// This process is shutting down and broke the call off.
    Shutdown,
    /// The error carries a gRPC status.
    Grpc(GrpcCode),
    /// A guard on this side did not let the call through, or broke it off.
    Refused(Rule),
    /// Nothing is known of it.
    #[default]
    Other,
}

/// Holds the facts about an error, from which [`Classifier`](crate::outcome::classify::Classifier) decides how the call
/// ended.
///
/// ```
/// use meshwise_core::outcome::{Fault, FaultKind, Phase};
/// let fault = Fault::new(FaultKind::Reset).with_phase(Phase::Body);
/// assert_eq!(fault.error_type().as_str(), "reset");
/// assert_eq!(Fault::new(FaultKind::Connect).sent, Some(false));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
#[must_use]
pub struct Fault {
    /// The kind of error.
    #[doc(hidden)]
    pub kind: FaultKind,
    /// What the call was doing, if the error tells.
    #[doc(hidden)]
    pub phase: Option<Phase>,
    /// Whether the peer may have seen (part of) the request, if the error tells. What was never sent
    /// may always be sent again.
    #[doc(hidden)]
    pub sent: Option<bool>,
    /// What stands in `error.type` instead of the kind's word.
    #[doc(hidden)]
    pub name: Option<ErrorType>,
}

impl Fault {
    /// Creates a fault; what its kind implies about `sent` is filled in.
    pub const fn new(kind: FaultKind) -> Self {
        let (phase, sent) = match kind {
            FaultKind::Connect => (Some(Phase::Connecting), Some(false)),
            FaultKind::Refused(Rule::TimedOut) => (None, None),
            FaultKind::Request | FaultKind::Refused(_) => (None, Some(false)),
            _ => (None, None),
        };
        Self { kind, phase, sent, name: None }
    }

    /// Only gives an error its word in `error.type`; all else is left to the errors below it.
    #[doc(hidden)]
    pub const fn named(name: ErrorType) -> Self {
        Self { name: Some(name), ..Self::new(FaultKind::Other) }
    }

    /// Sets what the call was doing.
    pub const fn with_phase(mut self, phase: Phase) -> Self {
        self.phase = Some(phase);
        self
    }

    /// Sets whether the peer may have seen the request.
    pub const fn with_sent(mut self, sent: bool) -> Self {
        self.sent = Some(sent);
        self
    }

    /// Returns the word for `error.type`: `connect`, `reset`, `timeout`, ...; `_OTHER` if nothing is
    /// known.
    #[must_use]
    #[doc(hidden)]
    pub fn error_type(&self) -> ErrorType {
        self.name.unwrap_or(ErrorType::new(match self.kind {
            FaultKind::Connect => "connect",
            FaultKind::Reset => "reset",
            FaultKind::Timeout | FaultKind::Grpc(GrpcCode::DeadlineExceeded) => "timeout",
            FaultKind::Body => "body",
            FaultKind::Request | FaultKind::RequestBody => "request",
            FaultKind::Cancelled => "cancelled",
            FaultKind::Panic => "panic",
            FaultKind::Shutdown => "shutdown",
            FaultKind::Grpc(code) => code.as_str(),
            FaultKind::Refused(rule) => rule.error_type().as_str(),
            FaultKind::Other => "_OTHER",
        }))
    }

    /// Sees it as that of a call whose head is there, or not: what broke afterwards, in a way that no one knows
    /// more of, is the body.
    #[doc(hidden)]
    pub const fn after_head(mut self, head: bool) -> Self {
        if head && matches!(self.kind, FaultKind::Other) {
            self.kind = FaultKind::Body;
        }
        self
    }

    /// Takes from an error further down what is not known yet.
    fn or(mut self, below: Self) -> Self {
        // "The body failed" is true of a connection that broke, and says less.
        let vague = matches!(self.kind, FaultKind::Other | FaultKind::Body);
        if vague && !matches!(below.kind, FaultKind::Other | FaultKind::Body) {
            let phase = (self.kind == FaultKind::Body).then_some(Phase::Body);
            self = Self { name: self.name, phase: self.phase.or(phase).or(below.phase), ..below };
        } else if self.kind == FaultKind::Other {
            self.kind = below.kind;
        }
        self.phase = self.phase.or(below.phase);
        self.sent = self.sent.or(below.sent);
        self.name = self.name.or(below.name);
        self
    }
}

/// Says what one error of a chain is; `None` leaves it to the errors below.
pub type FaultRule = fn(&(dyn Error + 'static)) -> Option<Fault>;

/// Turns errors into [`Fault`]s.
///
/// A service's error type is only known to be `Display`, because the two kinds in use share no more:
/// concrete errors, and boxed ones (which do not implement `Error`). So errors are viewed through
/// `Any`, by the types that adapters have registered. [`Refused`], [`BrokenOff`],
/// [`io::Error`] and boxed errors are known from the start.
///
/// Each error of the chain is asked for; a catch-all further out never hides what stands below it.
///
/// ```
/// use meshwise_core::outcome::{FaultKind, Faults};
/// let error: Box<dyn std::error::Error + Send + Sync> =
///     Box::new(std::io::Error::from(std::io::ErrorKind::ConnectionRefused));
/// assert_eq!(Faults::default().of(&error).kind, FaultKind::Connect);
/// ```
#[derive(Clone, Debug, Default)]
#[doc(hidden)]
pub struct Faults {
    views: Vec<View>,
    rules: Vec<FaultRule>,
}

type View = fn(&dyn Any) -> Option<&(dyn Error + 'static)>;

impl Faults {
    /// Knows what every layer knows, and no adapter's errors.
    #[must_use]
    pub const fn new() -> Self {
        Self { views: Vec::new(), rules: Vec::new() }
    }

    /// Registers an error type, so that its sources can be seen.
    pub fn view<E: Error + 'static>(&mut self) {
        self.views.push(view::<E>);
    }

    /// Registers an adapter's translation; it is asked for an error and each of its sources.
    pub fn rule(&mut self, rule: FaultRule) {
        self.rules.push(rule);
    }

    /// Adds what another one knows.
    pub fn add(&mut self, other: &Self) {
        self.views.extend_from_slice(&other.views);
        self.rules.extend_from_slice(&other.rules);
    }

    /// Tells whether no adapter has registered anything.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.views.is_empty() && self.rules.is_empty()
    }

    /// Returns what is known of an error.
    pub fn of<E: 'static>(&self, error: &E) -> Fault {
        self.look(error).map_or_else(Fault::default, |error| self.of_chain(error))
    }

    /// Returns what is known of an error and its sources.
    pub fn of_chain(&self, error: &(dyn Error + 'static)) -> Fault {
        let known = error_sources(error).flat_map(|error| {
            let rules = self.rules.iter().filter_map(move |rule| rule(error));
            rules.chain(own_rule(error))
        });
        known.fold(Fault::default(), Fault::or)
    }

    /// Finds out whether a guard refused the call instead of making it, however deep that lies.
    pub fn refused<'a, E: 'static>(&self, error: &'a E) -> Option<&'a Refused> {
        error_sources(self.look(error)?).find_map(|error| error.downcast_ref())
    }

    /// Returns what an error and its sources say, in one line.
    pub fn message<E: Display + 'static>(&self, error: &E) -> String {
        self.look(error).map_or_else(|| error.to_string(), error_chain)
    }

    /// Sees an error as one, if its type is registered.
    fn look<'a, E: 'static>(&self, error: &'a E) -> Option<&'a (dyn Error + 'static)> {
        let any: &'a dyn Any = error;
        let boxed = any.downcast_ref::<BoxError>().map(|boxed| &**boxed as &(dyn Error + 'static));
        const OWN: [View; 3] = [view::<io::Error>, view::<Refused>, view::<BrokenOff>];
        boxed.or_else(|| OWN.iter().chain(&self.views).find_map(|view| view(any)))
    }
}

fn view<E: Error + 'static>(any: &dyn Any) -> Option<&(dyn Error + 'static)> {
    any.downcast_ref::<E>().map(|error| error as _)
}

/// Says that this process broke a call off: the error of a body that does not go on, and, in a
/// response's extensions, how the call ends that the response answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[doc(hidden)]
pub enum BrokenOff {
    /// The handler panicked.
    #[error("the handler panicked")]
    Panic,
    /// The process is shutting down, and the time for calls in flight is up.
    #[error("the process is shutting down")]
    Shutdown,
}

fn own_rule(error: &(dyn Error + 'static)) -> Option<Fault> {
    let of_io = |error: &io::Error| match error.kind() {
        io::ErrorKind::TimedOut => Some(FaultKind::Timeout),
        io::ErrorKind::ConnectionRefused
        | io::ErrorKind::HostUnreachable
        | io::ErrorKind::NetworkUnreachable
        | io::ErrorKind::AddrNotAvailable => Some(FaultKind::Connect),
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::NotConnected
        | io::ErrorKind::UnexpectedEof => Some(FaultKind::Reset),
        _ => None,
    };
    let of_broken = |broken: &BrokenOff| match broken {
        BrokenOff::Panic => FaultKind::Panic,
        BrokenOff::Shutdown => FaultKind::Shutdown,
    };
    let refused = error.downcast_ref().map(|refused: &Refused| FaultKind::Refused(refused.rule()));
    let known = refused.or_else(|| error.downcast_ref().map(of_broken));
    known.or_else(|| error.downcast_ref().and_then(of_io)).map(Fault::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("could not send")]
    struct Outer(#[source] io::Error);

    fn outer(kind: io::ErrorKind) -> Outer {
        Outer(io::Error::new(kind, "why"))
    }

    #[test]
    fn faults_are_found_through_boxes_and_sources() {
        let faults = Faults::default();
        let boxed: BoxError = Box::new(outer(io::ErrorKind::ConnectionRefused));
        assert_eq!(faults.of(&boxed), Fault::new(FaultKind::Connect));
        assert_eq!(faults.message(&boxed), "could not send: why");
    }

    #[test]
    fn a_refusal_is_found_wherever_it_lies() {
        #[derive(Debug, thiserror::Error)]
        #[error("call failed")]
        struct Wrapped(#[source] Refused);

        let refused = || Refused::new(Rule::BulkheadFull, "stock");
        let mut faults = Faults::default();
        let boxed: BoxError = Box::new(Wrapped(refused()));
        let expected = Fault::new(FaultKind::Refused(Rule::BulkheadFull));
        assert_eq!((faults.of(&refused()), faults.of(&boxed)), (expected, expected));
        assert_eq!(faults.refused(&boxed).map(Refused::rule), Some(Rule::BulkheadFull));
        assert!(faults.refused(&Wrapped(refused())).is_none(), "not registered");
        faults.view::<Wrapped>();
        assert!(faults.refused(&Wrapped(refused())).is_some());
        assert!(faults.refused(&io::Error::other("no")).is_none());
    }

    #[test]
    fn what_this_process_broke_off_is_known_plain_and_boxed() {
        for (broken, kind) in
            [(BrokenOff::Panic, FaultKind::Panic), (BrokenOff::Shutdown, FaultKind::Shutdown)]
        {
            let boxed: BoxError = Box::new(broken);
            let faults = Faults::default();
            assert_eq!((faults.of(&broken).kind, faults.of(&boxed).kind), (kind, kind));
        }
    }

    #[test]
    fn a_catch_all_further_out_hides_nothing() {
        let mut faults = Faults::default();
        assert_eq!(faults.of(&outer(io::ErrorKind::ConnectionReset)), Fault::default());
        faults.view::<Outer>();
        for catch_all in [
            (|error| error.is::<Outer>().then(Fault::default)) as FaultRule,
            |error| error.is::<Outer>().then(|| Fault::named(ErrorType::new("own"))),
            |error| error.is::<Outer>().then(|| Fault::new(FaultKind::Body)),
        ] {
            let mut faults = faults.clone();
            faults.rule(catch_all);
            let fault = faults.of(&outer(io::ErrorKind::ConnectionReset));
            assert_eq!(fault.kind, FaultKind::Reset, "{fault:?}");
        }
        faults.rule(|error| error.is::<Outer>().then(|| Fault::named(ErrorType::new("own"))));
        let fault = faults.of(&outer(io::ErrorKind::ConnectionRefused));
        assert_eq!((fault.error_type().as_str(), fault.sent), ("own", Some(false)));
    }

    #[test]
    fn a_chain_that_leads_back_into_itself_ends() {
        #[derive(Debug)]
        struct Own;
        impl Display for Own {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("own")
            }
        }
        impl Error for Own {
            fn source(&self) -> Option<&(dyn Error + 'static)> {
                Some(self)
            }
        }
        let boxed: BoxError = Box::new(Own);
        assert_eq!(Faults::default().of(&boxed), Fault::default());
        assert!(Faults::default().refused(&boxed).is_none());
    }
}
