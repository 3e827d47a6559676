//! Retries of HTTP and gRPC calls.

use super::{ReplayBody, RetryVerdict, Tries, kept::KeptHead, replay::KeptBody};
use crate::{
    guard::{CallKind, Gate, HttpPending, RequestKind, Sent, Ticket},
    timeout::Told,
};
use http::{Request, Response};
use http_body::Body;
use meshwise_core::{Attempt, Protocol};
use std::{error::Error, fmt, sync::Arc};

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
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HttpRetries {
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
    pub(crate) fn idempotent_methods(&self) -> &[Box<str>] {
        &self.methods
    }

    /// Says which gRPC methods may be repeated, instead of those said before.
    pub(crate) fn with_idempotent_methods<'m>(
        mut self,
        methods: impl Iterator<Item = &'m str>,
    ) -> Self {
        self.methods = methods.map(|method| method.trim_start_matches('/').into()).collect();
        self
    }

    /// Tells whether doing a request twice does no harm: one after the other, or at a time.
    fn harmless<B>(&self, request: &Request<B>, protocol: Protocol) -> (bool, bool) {
        if let Some(Idempotent(marked)) = request.extensions().get() {
            return (*marked, *marked);
        }
        if protocol == Protocol::Grpc {
            let path = request.uri().path().trim_start_matches('/');
            let listed = self.methods.iter().any(|method| **method == *path);
            return (listed, listed);
        }
        // RFC 9110, sections 9.2.1 and 9.2.2. Two PUTs at a time can overtake each other. The
        // header is that of draft-ietf-httpapi-idempotency-key-header.
        let method = request.method();
        let repeatable =
            method.is_idempotent() || request.headers().contains_key("idempotency-key");
        (repeatable, method.is_safe())
    }
}

/// Keeps a request while an attempt is in flight.
pub struct KeptRequest<B> {
    pub(crate) http: HttpPending,
    /// Whether doing it twice does no harm: one after the other, or at a time.
    repeatable: bool,
    safe: bool,
    tries: Option<Tries>,
    /// `None` if it is made once.
    head: Option<KeptHead>,
    body: KeptBody<B>,
}

impl<B> fmt::Debug for KeptRequest<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptRequest")
            .field("http", &self.http)
            .field("repeatable", &self.repeatable)
            .finish_non_exhaustive()
    }
}

impl<B> RequestKind<Request<B>> for HttpRetries
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
        let (repeatable, safe) = self.harmless(request, http.protocol);
        let head = tries.and_then(|tries| tries.keep).map(|_| KeptHead::of(request));
        KeptRequest { http, repeatable, safe, tries, head, body: KeptBody::EMPTY }
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
        let mut request = head.request(kept.body.again(false)?)?;
        let Attempt(tried) = head.extensions.get().copied().unwrap_or(Attempt(0));
        request.extensions_mut().insert(Attempt(tried.saturating_add(attempt)));
        Some(request)
    }

    fn repeatable(kept: &KeptRequest<B>) -> bool {
        kept.repeatable
    }

    fn may_overlap(kept: &KeptRequest<B>) -> bool {
        // A stream has only one reader.
        kept.safe && kept.head.is_some() && matches!(kept.body, KeptBody::Whole(_))
    }

    fn sent(kept: &KeptRequest<B>) -> Option<Sent> {
        kept.body.sent()
    }

    fn tried(&self, request: &Request<B>) -> u32 {
        request.extensions().get().map_or(0, |attempt: &Attempt| attempt.0)
    }

    #[inline]
    fn told(&self, request: &Request<B>) -> Told {
        Told::by(request)
    }

    fn route<'a>(&self, request: &'a Request<B>) -> (&'a str, &'a str) {
        (request.method().as_str(), request.uri().path())
    }
}

impl<B, RB, E: 'static> CallKind<Request<B>, Response<RB>, E> for HttpRetries
where
    B: Body + Unpin,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Response = Response<RB>;

    #[inline]
    fn answered(
        kept: &KeptRequest<B>,
        result: &Result<Response<RB>, E>,
        ticket: &mut Ticket,
    ) -> RetryVerdict {
        kept.http.answered(kept.repeatable, result, ticket)
    }

    #[inline]
    fn response(_: &KeptRequest<B>, response: Response<RB>, _: &mut Ticket) -> Response<RB> {
        response
    }
}
