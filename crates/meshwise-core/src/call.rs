//! What is known about the incoming call that is being served right now.

use crate::{
    deadline::Deadline,
    internal::header_bytes,
    outcome::Protocol,
    trace::{TraceId, TraceState},
};
use http::{HeaderValue, Request};
use std::{
    borrow::Cow,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

/// The target of the `tracing` spans that stand for calls. Log lines do not list them: they name the
/// call by its ids.
pub const SPAN_TARGET: &str = "meshwise::call";

/// Carries the facts of the call being served, for everything that happens on its behalf.
///
/// `ServerLayer` puts it into the OpenTelemetry `Context` (`cx.get::<CallInfo>()`), where log
/// lines find the request id, and outgoing calls the deadline, the attempt and the caller's
/// `tracestate`.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct CallInfo {
    /// The request id, taken over from the caller or made here. `None` in the context that a handler runs in, if
    /// the trace's digits are the id: `CurrentCall::request_id` and `Processing::context` have it.
    pub request_id: Option<RequestId>,
    /// The name of the calling service, if it told.
    pub caller: Option<Arc<str>>,
    /// The version of this service's API that the caller asks for, if it told.
    pub api_version: Option<Arc<str>>,
    /// The deadline that was set on purpose, by the caller or by one before it (`grpc-timeout`): it
    /// holds for responses that stream, too, and goes on as a deadline.
    pub deadline: Option<Deadline>,
    /// How many times the caller had tried before this attempt; 0 for a first try.
    pub attempt: u32,
    /// Other participants' `tracestate` entries, to be handed on unchanged.
    #[doc(hidden)]
    pub trace_state: TraceState,
    limit: Option<Limit>,
    /// What stood in `grpc-timeout`.
    deadline_header: Option<Duration>,
    streams: Streams,
    /// Whether the trace's digits are the request id, if there is no other.
    named_by_trace: bool,
}

/// How long the caller waits for this attempt.
#[derive(Clone, Copy, Debug)]
struct Limit {
    ends: Deadline,
    /// What stood in `x-request-timeout-ms`.
    header: Duration,
}

/// Whether the call's response streams. Changes while the call is in flight, within a context that
/// is shared.
#[derive(Debug, Default)]
struct Streams(AtomicBool);

impl Clone for Streams {
    fn clone(&self) -> Self {
        Self(self.0.load(Relaxed).into())
    }
}

impl CallInfo {
    /// Sets the deadline (`grpc-timeout`, as it stood there).
    #[doc(hidden)]
    pub fn set_deadline(&mut self, now: std::time::Instant, header: Duration) {
        self.deadline = Some(Deadline::after(now, header));
        self.deadline_header = Some(header);
    }

    /// Tells whether a `grpc-timeout` is the one that came with this call, handed on as it stood.
    #[doc(hidden)]
    #[must_use]
    pub fn is_deadline_header(&self, value: Duration) -> bool {
        self.deadline_header == Some(value)
    }

    /// Sets how long the caller waits for this attempt (`x-request-timeout-ms`, as it stood there).
    #[doc(hidden)]
    pub fn set_limit(&mut self, now: std::time::Instant, header: Duration) {
        let ends = Deadline::after(now, header);
        self.limit = Some(Limit { ends, header });
    }

    /// Returns the moment past which the caller no longer waits for this attempt: the earliest of
    /// all that it has told, a deadline or the limit of its attempt. Once the response streams, only
    /// the deadline holds.
    #[must_use]
    #[doc(hidden)]
    pub fn limit(&self) -> Option<Deadline> {
        match self.limit {
            Some(limit) if !self.streams.0.load(Relaxed) => Some(limit.ends.earlier(self.deadline)),
            _ => self.deadline,
        }
    }

    /// Says that the trace's digits are the request id: then the facts of many messages are the same.
    #[doc(hidden)]
    #[must_use]
    pub fn named_by_trace(mut self) -> Self {
        self.named_by_trace = true;
        self
    }

    /// Tells whether the trace's digits are the request id, wherever there are valid ones.
    #[doc(hidden)]
    #[must_use]
    pub fn is_named_by_trace(&self) -> bool {
        self.request_id.is_none() && self.named_by_trace
    }

    /// Returns the request id of a call that goes by this trace.
    #[doc(hidden)]
    #[must_use]
    pub fn request_id_in(&self, trace: TraceId) -> Option<Cow<'_, RequestId>> {
        match &self.request_id {
            Some(id) => Some(Cow::Borrowed(id)),
            None if self.is_named_by_trace() && trace.is_valid() => {
                Some(Cow::Owned(RequestId::from_random(trace.to_int())))
            }
            None => None,
        }
    }

    /// Returns the request id of a call that goes by this trace as a header's value.
    #[doc(hidden)]
    #[must_use]
    pub fn request_id_header_in(&self, trace: TraceId) -> Option<HeaderValue> {
        match &self.request_id {
            Some(id) => Some(id.to_header()),
            None if self.is_named_by_trace() && trace.is_valid() => {
                header_bytes::value(&trace.to_hex())
            }
            None => None,
        }
    }

    /// Returns the facts with the request id that they have in this trace.
    #[doc(hidden)]
    #[must_use]
    pub fn in_trace(&self, trace: TraceId) -> Self {
        Self { request_id: self.request_id_in(trace).map(Cow::into_owned), ..self.clone() }
    }

    /// Tells whether there are no facts to be missed: a context that holds them costs allocations.
    #[must_use]
    #[doc(hidden)]
    #[inline]
    pub fn says_nothing(&self) -> bool {
        let Self { request_id, named_by_trace, caller, attempt, trace_state, .. } = self;
        request_id.is_none()
            && !named_by_trace
            && caller.is_none()
            && self.limit().is_none()
            && *attempt == 0
            && trace_state.is_empty()
    }

    /// Tells whether a timeout header is the one that came with this call, handed on as it stood.
    #[doc(hidden)]
    #[must_use]
    pub fn is_limit_header(&self, value: Duration) -> bool {
        self.limit.is_some_and(|limit| limit.header == value)
    }

    /// Lifts the limit of the caller's attempt: the response has begun to stream.
    #[doc(hidden)]
    pub fn begin_stream(&self) {
        self.streams.0.store(true, Relaxed);
    }
}

/// Holds a request id: 1 to 128 visible ASCII characters, cheap to clone.
///
/// ```
/// use meshwise_core::RequestId;
/// let id = RequestId::from_header(&http::HeaderValue::from_static("a-1")).unwrap();
/// assert_eq!(id.as_str(), "a-1");
/// assert!(RequestId::from_header(&http::HeaderValue::from_static("")).is_none());
/// assert!(RequestId::from_header(&http::HeaderValue::from_static("a b")).is_none());
/// ```
#[derive(Clone, Debug)]
pub struct RequestId(Id);

#[derive(Clone, Debug)]
enum Id {
    /// Kept as its bytes, which most ids are few enough for: no header need be made before there is a
    /// response to put it into.
    Short([u8; SHORT], u8),
    Taken(HeaderValue),
}

/// The longest id that needs no allocation, in bytes: a UUID has 36.
const SHORT: usize = 38;

impl RequestId {
    /// The longest id that is taken over, in bytes.
    #[doc(hidden)]
    pub const MAX_LEN: usize = 128;

    /// Takes over a caller's id, if it is one.
    #[doc(hidden)]
    #[must_use]
    pub fn from_header(value: &HeaderValue) -> Option<Self> {
        let bytes = value.as_bytes();
        let fits = (1..=Self::MAX_LEN).contains(&bytes.len());
        (fits && bytes.iter().all(u8::is_ascii_graphic)).then(|| Self(Id::Taken(value.clone())))
    }

    /// Takes over an id that stands in something that is no HTTP request, if it is one.
    #[doc(hidden)]
    #[must_use]
    pub fn from_text(bytes: &[u8]) -> Option<Self> {
        let fits = (1..=Self::MAX_LEN).contains(&bytes.len());
        if !fits || !bytes.iter().all(u8::is_ascii_graphic) {
            return None;
        }
        match bytes.len() {
            ..=SHORT => Some(Self::short(bytes)),
            _ => Some(Self(Id::Taken(HeaderValue::from_bytes(bytes).ok()?))),
        }
    }

    /// Keeps at most `SHORT` bytes.
    fn short(bytes: &[u8]) -> Self {
        let mut kept = [0; SHORT];
        let len = bytes.len().min(SHORT);
        kept[..len].copy_from_slice(&bytes[..len]);
        Self(Id::Short(kept, len as u8))
    }

    /// Makes an id out of 16 bytes: 32 lower-case hexadecimal digits.
    #[doc(hidden)]
    #[must_use]
    pub fn from_random(random: u128) -> Self {
        Self::short(&TraceId::from_int(random).to_hex())
    }

    /// Returns the id's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Id::Short(..) => str::from_utf8(self.as_bytes()).unwrap_or_default(),
            Id::Taken(value) => value.to_str().unwrap_or_default(),
        }
    }

    /// Returns the bytes of the id's text.
    #[doc(hidden)]
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Id::Short(bytes, len) => bytes.get(..usize::from(*len)).unwrap_or_default(),
            Id::Taken(value) => value.as_bytes(),
        }
    }

    /// Returns the id as a header's value, which takes no memory of its own.
    #[doc(hidden)]
    #[must_use]
    pub fn to_header(&self) -> HeaderValue {
        match &self.0 {
            Id::Short(..) => {
                header_bytes::value(self.as_bytes()).unwrap_or(HeaderValue::from_static("0"))
            }
            Id::Taken(value) => value.clone(),
        }
    }
}

// A made id is the same one when it comes back as a header.
impl PartialEq for RequestId {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for RequestId {}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Tells, in a request's extensions, how many times this call was tried before: 0 for a first try.
///
/// Retry layers set it; the client layer writes it to the span (`http.request.resend_count`) and
/// to the wire.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[allow(clippy::exhaustive_structs, reason = "a name for one value")]
pub struct Attempt(pub u32);

/// Tells, in a request's extensions, which version of the callee's API it asks for.
///
/// The layer that knows the declaration sets it; the client layer writes it to the wire
/// ([`Caller::api_version`](crate::propagation::Caller::api_version)), so that the callee can count
/// who still needs what.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_structs, reason = "a name for one value")]
pub struct ApiVersion(pub Arc<str>);

/// Names the calling service, in a request's extensions, by what was proved: a client certificate, a
/// token whose signature was checked.
///
/// The layer that has proved it sets it, outside of the layers that count and guard. What a request
/// says of its caller in `tracestate` is a claim; where both are there, this one holds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_structs, reason = "a name for one value")]
pub struct VerifiedCaller(pub Arc<str>);

/// Marks a request, in its extensions, that says it is gRPC and is sent by a client of HTTP, which
/// hands on what came in: whether it is, only the answer tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "complete by nature")]
#[doc(hidden)]
pub struct AnswerTells;

impl AnswerTells {
    /// Marks a request, if it says that it is gRPC.
    pub fn mark<B>(request: &mut Request<B>) {
        if Protocol::of(request.headers()) == Protocol::Grpc {
            request.extensions_mut().insert(Self);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_that_are_named_by_their_trace_say_its_digits_unless_they_have_an_id() {
        let (trace, none) = (TraceId::from_int(0xff), TraceId::INVALID);
        let id = |info: &CallInfo, trace| info.in_trace(trace).request_id.map(|id| id.to_string());
        let mut info = CallInfo::default();
        assert_eq!((id(&info, trace), info.says_nothing()), (None, true));
        info = info.named_by_trace();
        assert_eq!(id(&info, trace).as_deref(), Some("000000000000000000000000000000ff"));
        assert_eq!((id(&info, none), info.says_nothing()), (None, false));
        info.request_id = RequestId::from_text(b"a-1");
        assert_eq!(id(&info, trace).as_deref(), Some("a-1"));
    }

    #[test]
    fn a_limit_holds_until_the_response_streams_and_a_deadline_beyond() {
        let now = std::time::Instant::now();
        let ms = |ms| Duration::from_millis(ms);
        let mut info = CallInfo::default();
        assert_eq!(info.limit(), None);
        info.set_limit(now, ms(50));
        assert_eq!(info.limit(), Some(Deadline::after(now, ms(50))));
        assert!(info.is_limit_header(ms(50)) && !info.is_limit_header(ms(49)));
        info.set_deadline(now, ms(80));
        assert!(info.is_deadline_header(ms(80)) && !info.is_deadline_header(ms(50)));
        assert_eq!(info.limit(), Some(Deadline::after(now, ms(50))));
        info.clone().begin_stream();
        assert_eq!(info.limit(), Some(Deadline::after(now, ms(50))), "a copy is another call's");
        info.begin_stream();
        assert_eq!(info.clone().limit(), info.deadline);
    }

    #[test]
    fn a_request_id_is_short_and_visible() {
        let read = |bytes: &[u8]| {
            let value = HeaderValue::from_bytes(bytes).unwrap();
            RequestId::from_header(&value).map(|id| id.to_string())
        };
        assert_eq!(read(b"!~").as_deref(), Some("!~"));
        assert_eq!(read(&[b'x'; RequestId::MAX_LEN]), Some("x".repeat(128)));
        assert_eq!(read(&[b'x'; RequestId::MAX_LEN + 1]), None);
        for len in 0..=RequestId::MAX_LEN + 1 {
            let text = vec![b'x'; len];
            let taken = RequestId::from_text(&text).map(|id| id.to_string());
            assert_eq!(taken, read(&text), "{len}");
        }
        for bad in [&b""[..], b" a", b"a b", b"a\tb", b"a\xc3\xa9", b"\xff"] {
            assert_eq!(read(bad), None, "{bad:?}");
            assert_eq!(RequestId::from_text(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_made_request_id_is_the_trace_s_digits_and_comes_back_as_it_went() {
        let id = RequestId::from_random(0xff);
        assert_eq!(RequestId::from_header(&id.to_header()), Some(id.clone()));
        assert_ne!(id, RequestId::from_random(0xfe));
        assert_eq!(id.as_str(), "000000000000000000000000000000ff");
        assert_eq!(id.to_header(), "000000000000000000000000000000ff");
    }
}
