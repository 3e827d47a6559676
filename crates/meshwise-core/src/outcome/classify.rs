//! The one place where it is decided how a call ended: from the head of a response, from its end,
//! from an error, from a drop, from a limit that passed.

mod tables;

pub use self::tables::Verdict;
use self::tables::{
    CLIENT_ERROR, FAILED, Flags, OVERLOAD, RETRY, RETRY_IF_ASKED, SERVER_ERROR, TIMEOUT, UNTOLD,
    VerdictTables, with_retry, with_verdict,
};
use super::{
    Blame, CallEnd, EndedBy, ErrorType, Fault, FaultKind, FaultRule, Faults, GrpcCode, Health,
    Outcome, Phase, Protocol, RetryAfter, Retryable, Rule, Side, retry_after,
};
use crate::limits::{Limits, Passed};
use http::{HeaderMap, StatusCode};
use std::{error::Error, fmt, sync::Arc, time::Instant};

/// Decides how calls end, for every layer: guards, telemetry, retries.
///
/// | what happens | client: `outcome` | blame | more |
/// |---|---|---|---|
/// | HTTP 5xx | failure | peer | 502, 503, 504 may be tried again; 503 is overload |
/// | HTTP 429 | failure | none | overload; tried again if `Retry-After` says when |
/// | other HTTP 4xx | failure | us | |
/// | gRPC `CANCELLED`, `UNKNOWN`, `DEADLINE_EXCEEDED`, `INTERNAL`, `UNAVAILABLE`, `DATA_LOSS`, unknown codes, an end without a status | failure | peer | `UNAVAILABLE` may be tried again |
/// | gRPC `RESOURCE_EXHAUSTED`, HTTP 429 to a gRPC call | failure | none | overload; tried again if `grpc-retry-pushback-ms` or `Retry-After` says when |
/// | other gRPC codes | failure | us | |
/// | an answer to a gRPC call that is not gRPC | failure (gRPC's code for its HTTP status) | by that code | |
/// | 504, `DEADLINE_EXCEEDED` or `CANCELLED`, where the peer was given less than 0.4 of the attempt's own limit | failure | caller | |
/// | no connection | failure | instance | any request may be tried again |
/// | a connection that broke | failure | instance | before the head: may be tried again |
/// | a request that could not be sent | failure | us | |
/// | this process shuts down and breaks the call off | failure (`shutdown`) | us | |
/// | a guard on this side refused | failure | none | the peer was not asked |
/// | a limit that passed, after at least 0.4 of the attempt's own limit | failure (`timeout`) | peer | overload |
/// | a limit that passed earlier, or while the response's reader was busy | failure (`timeout`) | what the head said; before it, caller | |
/// | a response dropped unread or half read | what the head says | | for gRPC without a status: cancelled; past its first message it went well to guards |
/// | the same, while its reader waited for the peer past a limit | as that limit | | |
/// | a call dropped before its head | cancelled | caller | |
///
/// On a server's side the same answer is judged by OpenTelemetry's conventions for servers: 5xx, and
/// the gRPC codes that are a server's own fault, are failures with [`Blame::Us`].
///
/// ```
/// use http::StatusCode;
/// use meshwise_core::{Classifier, GrpcCode, outcome::Verdict};
/// let classifier = Classifier::new()
///     .with_status(StatusCode::NOT_FOUND, Verdict::Success)
///     .with_status(StatusCode::TOO_MANY_REQUESTS, Verdict::Failure)
///     .with_code(GrpcCode::Aborted, Verdict::Failure)
///     .with_retried_code(GrpcCode::Aborted, true);
/// ```
#[derive(Clone, Default)]
#[must_use]
pub struct Classifier {
    /// `None`: the defaults.
    rules: Option<Arc<VerdictTables>>,
}

static DEFAULT: VerdictTables = VerdictTables::new();

/// Holds what is known of a response from its head on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[doc(hidden)]
#[non_exhaustive]
#[must_use]
pub struct Head {
    /// The HTTP status.
    pub status: StatusCode,
    /// The gRPC code, if the head carries one.
    pub code: Option<GrpcCode>,
    protocol: Protocol,
    flags: Flags,
    awaited: bool,
}

impl Head {
    /// Tells whether the head says how the call went: for HTTP it always does.
    #[must_use]
    pub const fn is_verdict(&self) -> bool {
        self.flags != UNTOLD
    }

    /// Returns the gRPC code that a complete response says: its head, or else its trailers.
    #[must_use]
    #[inline]
    pub fn said_code(&self, trailers: Option<&HeaderMap>) -> GrpcCode {
        let told = self.code.or_else(|| trailers.and_then(GrpcCode::from_headers));
        told.unwrap_or_else(|| GrpcCode::from_http(self.status))
    }

    /// Takes over the code that the trailers of a complete response say, if it is gRPC and its head has none:
    /// then they are not looked at again.
    #[inline]
    pub fn with_trailers(mut self, trailers: Option<&HeaderMap>) -> Self {
        if self.protocol == Protocol::Grpc {
            self.code = Some(self.said_code(trailers));
        }
        self
    }

    /// Tells whether the head says that the call went well, or leaves it to the end.
    #[must_use]
    #[inline]
    pub const fn is_success(&self) -> bool {
        matches!(self.flags, 0 | UNTOLD)
    }

    /// Takes the call for one that went well, whatever its trailers will say: for a stream whose
    /// first message has come.
    pub const fn streaming(mut self) -> Self {
        self.flags &= !UNTOLD;
        self
    }

    /// Takes note whether the response's reader waits for more of its body.
    #[inline]
    pub const fn set_awaited(&mut self, awaited: bool) {
        self.awaited = awaited;
    }

    /// Tells whether the response's reader waits for more of its body.
    #[must_use]
    pub const fn is_awaited(&self) -> bool {
        self.awaited
    }

    fn error_type(&self) -> ErrorType {
        match self.code {
            Some(code) => ErrorType::new(code.as_str()),
            None => ErrorType::status(self.status.as_u16()),
        }
    }
}

impl Classifier {
    /// Starts from the table above.
    pub fn new() -> Self {
        Self::default()
    }

    #[inline]
    fn rules(&self) -> &VerdictTables {
        self.rules.as_deref().unwrap_or(&DEFAULT)
    }

    fn change(mut self, change: impl FnOnce(&mut VerdictTables)) -> Self {
        let rules = self.rules.get_or_insert_with(|| Arc::new(DEFAULT.clone()));
        change(Arc::make_mut(rules));
        self
    }

    fn change_status(self, status: StatusCode, change: impl FnOnce(Flags) -> Flags) -> Self {
        self.change(|rules| {
            if let Some(flags) = rules.statuses.get_mut(usize::from(status.as_u16()) - 100) {
                *flags = change(*flags);
            }
        })
    }

    fn change_code(self, code: GrpcCode, change: impl FnOnce(Flags) -> Flags) -> Self {
        self.change(|rules| {
            let flags = &mut rules.codes[code as usize];
            *flags = change(*flags);
        })
    }

    /// Sets what an HTTP status means.
    pub fn with_status(self, status: StatusCode, verdict: Verdict) -> Self {
        self.change_status(status, |flags| with_verdict(flags, verdict))
    }

    /// Sets what a gRPC code means.
    pub fn with_code(self, code: GrpcCode, verdict: Verdict) -> Self {
        self.change_code(code, |flags| with_verdict(flags, verdict))
    }

    /// Sets whether an HTTP status is tried again, for requests that may be repeated.
    pub fn with_retried_status(self, status: StatusCode, retried: bool) -> Self {
        self.change_status(status, |flags| with_retry(flags, retried))
    }

    /// Sets whether a gRPC code is tried again, for requests that may be repeated.
    pub fn with_retried_code(self, code: GrpcCode, retried: bool) -> Self {
        self.change_code(code, |flags| with_retry(flags, retried))
    }

    /// Counts what says that the peer is overloaded (429, `RESOURCE_EXHAUSTED`) against it, too, so
    /// that it opens a circuit breaker.
    pub fn with_overload_as_failure(self) -> Self {
        self.change(|rules| {
            for flags in rules.statuses.iter_mut().chain(&mut rules.codes) {
                if *flags & OVERLOAD != 0 {
                    *flags |= FAILED;
                }
            }
        })
    }

    /// Makes errors of type `E` transparent: their sources are looked into.
    pub fn with_error<E: Error + 'static>(self) -> Self {
        self.change(|rules| rules.faults.view::<E>())
    }

    /// Adds a translation of errors into faults; it is asked for an error and each of its sources.
    pub fn with_fault(self, rule: FaultRule) -> Self {
        self.change(|rules| rules.faults.rule(rule))
    }
}

#[doc(hidden)]
impl Classifier {
    /// Tells whether two judge answers alike; how errors are looked into is not compared.
    #[must_use]
    pub fn same_tables(&self, other: &Self) -> bool {
        let (one, other) = (self.rules(), other.rules());
        one.statuses == other.statuses && one.codes == other.codes
    }

    /// Adds the translations of another classifier, whose tables are not looked at: what an adapter
    /// knows of errors stays known when tables are set.
    pub fn with_faults_of(self, other: &Self) -> Self {
        let added = other.faults();
        if added.is_empty() { self } else { self.change(|rules| rules.faults.add(added)) }
    }

    /// Returns the translations of errors into faults.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.rules().faults
    }

    /// Takes note of a response's head.
    #[inline]
    pub fn head(&self, protocol: Protocol, status: StatusCode, headers: &HeaderMap) -> Head {
        let rules = self.rules();
        let (code, flags) = match protocol {
            Protocol::Http => (None, rules.status(status)),
            Protocol::Grpc => match GrpcCode::in_head(status, headers) {
                // No gRPC peer said so; a code for "too many requests" the mapping does not have.
                (Some(code), false) if status == StatusCode::TOO_MANY_REQUESTS => {
                    (Some(code), rules.status(status))
                }
                (code, _) => (code, code.map_or(UNTOLD, |code| rules.codes[code as usize])),
            },
        };
        Head { status, protocol, flags, code, awaited: false }
    }

    /// Judges by the head alone, with what its headers say about when to come back; `None` if the
    /// end of the body will tell.
    #[inline]
    #[must_use]
    pub fn answered(
        &self,
        side: Side,
        head: Head,
        headers: &HeaderMap,
        limits: &Limits,
    ) -> Option<CallEnd> {
        match head.flags {
            UNTOLD => None,
            0 => Some(CallEnd::SUCCESS),
            flags => {
                let retry_after = retry_after::read(head.protocol, head.status, headers);
                Some(said(side, head.error_type(), flags, limits, retry_after))
            }
        }
    }

    /// Judges a response that is complete.
    #[inline]
    #[must_use]
    pub fn complete(
        &self,
        side: Side,
        mut head: Head,
        trailers: Option<&HeaderMap>,
        limits: &Limits,
    ) -> CallEnd {
        if !head.is_verdict() {
            let code = head.said_code(trailers);
            head.code = Some(code);
            head.flags = self.rules().codes[code as usize];
        }
        if head.flags == 0 {
            return CallEnd::SUCCESS;
        }
        said(side, head.error_type(), head.flags, limits, None)
    }

    /// Judges a call that failed: the service returned an error, or the body broke off. `now` is read
    /// from the clock that the limits are held against.
    #[must_use]
    pub fn failed(
        &self,
        side: Side,
        head: Option<Head>,
        fault: Fault,
        limits: &Limits,
        now: Instant,
    ) -> CallEnd {
        let fault = fault.after_head(head.is_some());
        let phase = if head.is_some() { Phase::Body } else { fault.phase.unwrap_or(Phase::Head) };
        let outcome = Outcome::Failure(fault.error_type());
        let end = CallEnd { outcome, blame: Blame::Peer, phase: Some(phase), ..CallEnd::SUCCESS };
        let end = match fault.kind {
            FaultKind::Timeout | FaultKind::Refused(Rule::TimedOut) => {
                CallEnd { outcome, phase: Some(phase), ..self.expired(head, limits, now) }
            }
            // Two timers for one limit: whichever fires first, the answer is the same.
            FaultKind::Grpc(GrpcCode::DeadlineExceeded) if limits.passed(now) != Passed::No => {
                CallEnd { phase: Some(phase), ..self.expired(head, limits, now) }
            }
            FaultKind::Grpc(code) => {
                let name = fault.name.unwrap_or(ErrorType::new(code.as_str()));
                let flags = self.rules().codes[code as usize];
                return CallEnd { phase: Some(phase), ..said(side, name, flags, limits, None) };
            }
            FaultKind::Refused(rule) => return CallEnd { outcome, ..CallEnd::refused(rule) },
            FaultKind::Cancelled => return CallEnd::given_up(phase),
            FaultKind::Shutdown => CallEnd { blame: Blame::Us, ended_by: EndedBy::Shutdown, ..end },
            FaultKind::Connect | FaultKind::Reset => CallEnd { blame: Blame::Instance, ..end },
            FaultKind::Request | FaultKind::RequestBody => {
                CallEnd { blame: Blame::Us, phase: Some(Phase::Sending), ..end }
            }
            FaultKind::Body | FaultKind::Panic | FaultKind::Other => end,
        };
        let retryable = match (fault.kind, fault.sent) {
            // What its reader has seen is not asked for again.
            _ if head.is_some() => Retryable::Never,
            (FaultKind::Request | FaultKind::RequestBody, _) => Retryable::Never,
            (FaultKind::Connect, _) | (FaultKind::Reset, Some(false)) => Retryable::Always,
            (FaultKind::Reset, _) => Retryable::IfRepeatable,
            _ => end.retryable,
        };
        seen_from(side, CallEnd { retryable, ..end })
    }

    /// Judges a call that is dropped: its future, or its response's body. `whole` says that all of
    /// the response had come. What a reader had waited for when a limit passed was cut by that limit.
    #[must_use]
    pub fn dropped(
        &self,
        side: Side,
        head: Option<Head>,
        whole: bool,
        limits: &Limits,
        now: Instant,
    ) -> CallEnd {
        let busy = head.is_some_and(|head| !head.awaited) && !limits.is_cut();
        if let Some(head) = head
            && head.is_verdict()
            && (whole || busy || limits.passed(now) == Passed::No)
        {
            let end = said(side, head.error_type(), head.flags, limits, None);
            let ended_by = if whole { end.ended_by } else { EndedBy::Caller };
            return CallEnd { ended_by, ..end };
        }
        if let (Some(head), true) = (head, whole) {
            return self.complete(side, head, None, limits);
        }
        match limits.passed(now) {
            Passed::No => CallEnd::given_up(if head.is_some() { Phase::Body } else { Phase::Head }),
            _ if busy => CallEnd::given_up(Phase::Body),
            _ => seen_from(side, self.expired(head, limits, now)),
        }
    }

    /// Judges a call that is broken off at its limit: one that has not passed was a timer of the transport's own,
    /// or of a layer further in. The peer is late only if it was waited for, and not its reader.
    #[must_use]
    pub fn expired(&self, head: Option<Head>, limits: &Limits, now: Instant) -> CallEnd {
        let pending = head.is_none_or(|head| head.awaited);
        let passed = limits.passed(now);
        let own = matches!(passed, Passed::Own | Passed::No);
        let fair = pending && passed != Passed::TooShort;
        let judged = match head {
            _ if fair => CallEnd { blame: Blame::Peer, overload: true, ..CallEnd::SUCCESS },
            // Its reader was slow, or had little time: what the head said of the peer still holds.
            Some(head) if head.is_verdict() => {
                said(Side::Client, head.error_type(), head.flags, limits, None)
            }
            _ if pending => CallEnd { blame: Blame::Caller, ..CallEnd::SUCCESS },
            _ => CallEnd::SUCCESS,
        };
        CallEnd {
            outcome: Outcome::Failure(ErrorType::TIMEOUT),
            ended_by: if own { EndedBy::OwnLimit } else { EndedBy::deadline(limits) },
            phase: Some(if head.is_some() { Phase::Body } else { Phase::Head }),
            retryable: if own { Retryable::IfRepeatable } else { Retryable::Never },
            ..judged
        }
    }
}

impl fmt::Debug for Classifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Classifier").field("default", &self.rules.is_none()).finish_non_exhaustive()
    }
}

#[doc(hidden)]
impl CallEnd {
    /// Returns what the call says of the peer: what a circuit breaker counts.
    #[must_use]
    pub const fn health(&self) -> Health {
        match (self.blame, self.phase) {
            (Blame::Peer | Blame::Instance, _) => Health::Failed,
            (_, Some(Phase::Waiting | Phase::Connecting | Phase::Sending)) => Health::NotAsked,
            (Blame::Caller, _) => Health::Unknown,
            // The head had come, and was as it should be.
            (_, Some(Phase::Body)) if !matches!(self.outcome, Outcome::Cancelled) => Health::Well,
            (Blame::None | Blame::Us, _) => Health::Unknown,
        }
    }
}

/// Judges by what the peer said.
fn said(
    side: Side,
    error_type: ErrorType,
    flags: Flags,
    limits: &Limits,
    retry_after: Option<RetryAfter>,
) -> CallEnd {
    let is = |flag: Flags| flags & flag != 0;
    let failure = Outcome::Failure(error_type);
    if side == Side::Server {
        return match (is(SERVER_ERROR), is(CLIENT_ERROR)) {
            (true, _) => CallEnd { outcome: failure, blame: Blame::Us, ..CallEnd::SUCCESS },
            (_, true) => CallEnd { blame: Blame::Caller, ..CallEnd::SUCCESS },
            _ => CallEnd::SUCCESS,
        };
    }
    let hurried = is(TIMEOUT) && limits.too_short();
    let blame = match (is(FAILED), is(CLIENT_ERROR), is(OVERLOAD)) {
        (true, ..) if hurried => Blame::Caller,
        (true, ..) => Blame::Peer,
        (_, true, false) => Blame::Us,
        _ => Blame::None,
    };
    let again = is(RETRY) || (is(RETRY_IF_ASKED) && retry_after.is_some());
    CallEnd {
        outcome: if is(FAILED | CLIENT_ERROR) { failure } else { Outcome::Success },
        blame,
        ended_by: if hurried { EndedBy::deadline(limits) } else { EndedBy::Peer },
        overload: is(OVERLOAD),
        retryable: if again { Retryable::IfRepeatable } else { Retryable::Never },
        retry_after,
        ..CallEnd::SUCCESS
    }
}

/// What a server calls is its own business: a failure of its peers is its own.
fn seen_from(side: Side, end: CallEnd) -> CallEnd {
    let own = side == Side::Server && matches!(end.blame, Blame::Peer | Blame::Instance);
    if own { CallEnd { blame: Blame::Us, overload: false, ..end } } else { end }
}

#[cfg(test)]
mod tests;
