//! What can be tried again, and when: the part of retrying that knows the request.

use super::{
    ReplayBody, RetryVerdict, Tries,
    replay::{BoxError, KeptBody},
};
use crate::{
    debug::debug,
    guard::{CallKind, Gate, GuardedBody, HttpPending, Plan, RequestKind, Resent, Ticket},
    timeout::Told,
};
use http::{
    Extensions, HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Uri, Version,
    uri::{self, Authority, PathAndQuery, Scheme},
};
use http_body::Body;
use meshwise_core::{Attempt, CallEnd, Protocol, outcome::Health};
use std::{mem, sync::Arc};

/// Tries requests of any kind again after each error, unless a guard refused; they must be [`Clone`],
/// and safe to repeat.
#[derive(Clone, Copy, Debug, Default)]
#[allow(clippy::exhaustive_structs, reason = "it has nothing to set")]
pub struct AnyRetries;

impl<Req: Clone> RequestKind<Req> for AnyRetries {
    type Request = Req;
    type Pending = (Option<Req>, Tries);

    #[inline(always)]
    fn keep(&self, request: &Req, _: &Gate, tries: Tries) -> Self::Pending {
        (tries.keep().map(|_| request.clone()), tries)
    }

    #[inline(always)]
    fn send(request: Req, _: &mut Self::Pending) -> Req {
        request
    }

    fn tries(kept: &mut Self::Pending) -> Option<&mut Tries> {
        Some(&mut kept.1)
    }

    fn again(kept: &mut Self::Pending, _: u32) -> Option<Req> {
        kept.0.clone()
    }

    fn harmless(kept: &Self::Pending) -> (bool, bool) {
        (true, kept.0.is_some())
    }

    fn after(end: &CallEnd, _: &Self::Pending) -> RetryVerdict {
        match RetryVerdict::of(end, true) {
            RetryVerdict::Final if end.health() != Health::NotAsked => RetryVerdict::Again(None),
            verdict => verdict,
        }
    }
}

impl<Req: Clone, Res, P: Plan> CallKind<Req, Res, P> for AnyRetries {
    type Response = Res;

    fn response(_: &Self::Pending, response: Res, _: &mut Option<Ticket<P>>) -> Res {
        response
    }
}

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
/// [`Classifier`](meshwise_core::Classifier) says on what. Responses are watched to the end of their bodies.
#[derive(Clone, Debug, Default, PartialEq)]
#[must_use]
pub struct HttpRetries {
    pub(crate) methods: Arc<[String]>,
}

impl HttpRetries {
    /// Retries requests that may be repeated.
    pub fn new() -> Self {
        Self::default()
    }

    /// Says that a gRPC method (`package.Service/Method`) may be repeated.
    pub fn with_idempotent_method(mut self, method: &str) -> Self {
        let method = method.trim_start_matches('/').into();
        self.methods = self.methods.iter().cloned().chain([method]).collect();
        self
    }

    fn lists<B>(&self, request: &Request<B>) -> bool {
        let path = request.uri().path().trim_start_matches('/');
        self.methods.iter().any(|method| *method == *path)
    }
}

/// Keeps a request while an attempt is in flight.
pub struct KeptRequest<B> {
    pub(crate) http: HttpPending,
    /// Whether it is a gRPC method that may be repeated.
    listed: bool,
    tries: Tries,
    /// Not all of it if it is made once.
    head: KeptHead,
    body: KeptBody<B>,
}

debug!("KeptRequest", [B] KeptRequest<B>, kept: "http" = kept.http);

impl<B: Body<Error: Into<BoxError>> + Unpin> RequestKind<Request<B>> for HttpRetries {
    type Request = Request<ReplayBody<B>>;
    type Pending = KeptRequest<B>;

    // Copies of heads are what a call through retries costs; calls in between would copy them again.
    #[inline(always)]
    fn keep(&self, request: &Request<B>, gate: &Gate, tries: Tries) -> KeptRequest<B> {
        let http = HttpPending::of(request, gate);
        let listed = http.protocol == Protocol::Grpc && self.lists(request);
        let (head, body) = (KeptHead::new(request), KeptBody::EMPTY);
        KeptRequest { http, listed, tries, head, body }
    }

    #[inline(always)]
    fn fill(request: &Request<B>, kept: &mut KeptRequest<B>) {
        if kept.tries.keep().is_none() {
            return;
        }
        if !request.extensions().is_empty() {
            kept.head.extensions = request.extensions().clone();
            kept.http.resent = kept.head.extensions.get::<Resent>().is_some();
            kept.tries.were_before(kept.head.tried());
        }
        kept.head.fill(request);
    }

    #[inline(always)]
    fn send(request: Request<B>, kept: &mut KeptRequest<B>) -> Self::Request {
        request.map(|body| {
            let (sent, body) = ReplayBody::keep(body, kept.tries.keep());
            // What was there is nothing to be dropped.
            mem::forget(mem::replace(&mut kept.body, body));
            sent
        })
    }

    #[inline]
    fn tries(kept: &mut KeptRequest<B>) -> Option<&mut Tries> {
        Some(&mut kept.tries)
    }

    fn again(kept: &mut KeptRequest<B>, attempt: u32) -> Option<Self::Request> {
        kept.tries.keep()?;
        let mut request = kept.head.request(kept.body.again()?)?;
        let tried = kept.head.tried().saturating_add(attempt);
        request.extensions_mut().insert(Attempt(tried));
        if kept.tries.unsent > 0 {
            request.extensions_mut().insert(Resent);
        }
        Some(request)
    }

    fn harmless(kept: &KeptRequest<B>) -> (bool, bool) {
        let (repeatable, at_a_time) = match (kept.head.extensions.get(), kept.http.protocol) {
            _ if kept.tries.keep().is_none() => (false, false),
            (Some(Idempotent(marked)), _) => (*marked, *marked),
            (None, Protocol::Http) => kept.head.harmless(),
            (None, _) => (kept.listed, kept.listed),
        };
        // A stream has only one reader.
        (repeatable, at_a_time && matches!(kept.body, KeptBody::Whole(_)))
    }

    fn http(kept: &KeptRequest<B>) -> HttpPending {
        kept.http
    }

    fn sent(kept: &KeptRequest<B>) -> Option<u64> {
        kept.body.sent()
    }

    #[inline]
    fn told(&self, request: &Request<B>, gate: &Gate) -> Option<Told> {
        Told::by(request, gate)
    }

    fn route<'a>(&self, request: &'a Request<B>) -> (&'a str, &'a str) {
        (request.method().as_str(), request.uri().path())
    }
}

impl<B: Body<Error: Into<BoxError>> + Unpin, RB: Body, P: Plan>
    CallKind<Request<B>, Response<RB>, P> for HttpRetries
{
    type Response = Response<GuardedBody<RB, P>>;

    #[inline(always)]
    fn answered(
        kept: &KeptRequest<B>,
        response: &Response<RB>,
        ticket: &mut Ticket<P>,
    ) -> RetryVerdict {
        kept.http.answered(response, || Self::harmless(kept).0, ticket)
    }

    #[inline(always)]
    fn response(
        kept: &KeptRequest<B>,
        response: Response<RB>,
        ticket: &mut Option<Ticket<P>>,
    ) -> Self::Response {
        kept.http.response(response, ticket, kept.body.upload())
    }
}

/// Keeps a request's head in fewer bytes than itself has, for it moves with the call.
struct KeptHead {
    method: Method,
    scheme: Option<Scheme>,
    authority: Option<Authority>,
    path: KeptPath,
    version: Version,
    /// In one piece: a copy of the map would be three.
    headers: Option<Box<[(HeaderName, HeaderValue)]>>,
    extensions: Extensions,
}

/// A path and query, if there is one.
enum KeptPath {
    /// Copied: a second reference to bytes that had one so far costs an allocation.
    Short {
        length: u8,
        text: [u8; SHORT],
    },
    Shared(PathAndQuery),
}

/// With this length a path takes no more room than the other variant, and its length.
const SHORT: usize = 46;

impl KeptPath {
    #[inline(always)]
    fn fill(&mut self, path: &PathAndQuery) {
        let bytes = path.as_str().as_bytes();
        if let Self::Short { length, text } = self
            && let Some(place) = text.get_mut(..bytes.len())
        {
            place.copy_from_slice(bytes);
            *length = bytes.len() as u8;
        } else {
            *self = Self::Shared(path.clone());
        }
    }

    fn path(&self) -> Option<PathAndQuery> {
        match self {
            Self::Short { length: 0, .. } => None,
            Self::Short { length, text } => text.get(..usize::from(*length))?.try_into().ok(),
            Self::Shared(path) => Some(path.clone()),
        }
    }
}

impl KeptHead {
    #[inline]
    fn new<B>(request: &Request<B>) -> Self {
        Self {
            method: request.method().clone(),
            scheme: None,
            authority: None,
            path: KeptPath::Short { length: 0, text: [0; SHORT] },
            version: request.version(),
            headers: None,
            extensions: Extensions::new(),
        }
    }

    /// Keeps the rest in its place: what is returned is moved, there or not.
    #[inline(always)]
    fn fill<B>(&mut self, request: &Request<B>) {
        let (uri, headers) = (request.uri(), request.headers());
        if let Some(scheme) = uri.scheme() {
            self.scheme = Some(scheme.clone());
        }
        if let Some(authority) = uri.authority() {
            self.authority = Some(authority.clone());
        }
        if !headers.is_empty() {
            self.headers = Some(pairs(headers));
        }
        if let Some(path) = uri.path_and_query() {
            self.path.fill(path);
        }
    }

    /// Tells whether doing the request twice does no harm: one after the other, or at a time.
    fn harmless(&self) -> (bool, bool) {
        // RFC 9110, sections 9.2.1 and 9.2.2. Two PUTs at a time can overtake each other. The
        // header is that of draft-ietf-httpapi-idempotency-key-header.
        let mut headers = self.headers.iter().flatten();
        let repeatable =
            self.method.is_idempotent() || headers.any(|(name, _)| name == "idempotency-key");
        (repeatable, self.method.is_safe())
    }

    fn tried(&self) -> u32 {
        self.extensions.get().map_or(0, |attempt: &Attempt| attempt.0)
    }

    /// Makes a request of it; `None` cannot be: it was one.
    fn request<B>(&self, body: B) -> Option<Request<B>> {
        let mut parts = uri::Parts::default();
        (parts.scheme, parts.authority) = (self.scheme.clone(), self.authority.clone());
        parts.path_and_query = self.path.path();
        let mut request = Request::new(body);
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = Uri::from_parts(parts).ok()?;
        *request.version_mut() = self.version;
        let headers = request.headers_mut();
        headers.extend(self.headers.iter().flatten().cloned());
        *request.extensions_mut() = self.extensions.clone();
        Some(request)
    }
}

#[inline(never)]
fn pairs(headers: &HeaderMap) -> Box<[(HeaderName, HeaderValue)]> {
    headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect()
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_the_request_again() {
        let long = format!("/a/long/path/{}?with=a&query", "x".repeat(60));
        let uris =
            ["/", "/items/7?a=b", "http://stock", "https://stock:8443/a?b", "stock:443", "*"];
        for uri in uris.into_iter().chain([&*long]) {
            let mut request = Request::builder().method("PURGE").uri(uri).version(Version::HTTP_2);
            for (name, value) in [("x-a", "1"), ("x-b", "2"), ("x-a", "3")] {
                request = request.header(name, value);
            }
            let mut request = request.extension(7_u32).body(()).unwrap();
            request.headers_mut().get_mut("x-b").unwrap().set_sensitive(true);
            let mut kept = KeptHead::new(&request);
            kept.fill(&request);
            kept.extensions = request.extensions().clone();
            let again = kept.request(()).unwrap();
            assert_eq!(again.uri(), request.uri());
            assert_eq!(again.uri().to_string(), request.uri().to_string());
            assert_eq!(again.method(), request.method());
            assert_eq!(again.version(), request.version());
            assert_eq!(again.headers(), request.headers());
            assert!(again.headers()["x-b"].is_sensitive());
            assert_eq!(again.extensions().get(), Some(&7_u32));
        }
    }
}
