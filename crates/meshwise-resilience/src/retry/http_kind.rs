//! Retries of HTTP and gRPC calls.

use super::{ReplayBody, RetryJudge, RetryKind, RetryVerdict, replay::KeptBody};
use crate::{clock, timeout::Told};
use http::{Extensions, HeaderMap, Method, Request, Response, Uri, Version};
use http_body::Body;
use meshwise_core::{Classifier, Limits, Protocol, call::Attempt, outcome::Side};
use std::{error::Error, fmt, sync::Arc};

/// Marks a request, in its extensions, as safe to repeat or not, whatever its method says.
///
/// ```
/// use meshwise_resilience::Idempotent;
/// let mut request = http::Request::post("/search").body(()).unwrap();
/// request.extensions_mut().insert(Idempotent(true));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Idempotent(pub bool);

/// Knows which HTTP and gRPC calls are tried again; see the table in the crate's documentation.
/// [`Classifier`] says on what.
#[derive(Clone, Debug, Default)]
pub struct HttpRetries {
    pub(crate) classifier: Classifier,
    methods: Arc<[Box<str>]>,
}

impl HttpRetries {
    /// Retries what [`Classifier::new`] says, for requests that may be repeated.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets how answers and errors are judged.
    #[must_use]
    pub fn with_classifier(mut self, classifier: Classifier) -> Self {
        self.classifier = classifier;
        self
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

    pub(crate) fn same_settings(&self, other: &Self) -> bool {
        self.methods == other.methods
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
    head: Option<Head>,
    body: KeptBody<B>,
    protocol: Protocol,
    /// Whether doing it twice does no harm: one after the other, or at a time.
    repeatable: bool,
    safe: bool,
    /// How many times it was tried before it came here.
    tried: u32,
}

/// Keeps a request's head.
#[derive(Clone)]
struct Head {
    method: Method,
    uri: Uri,
    version: Version,
    headers: HeaderMap,
    extensions: Extensions,
}

impl Head {
    /// Copies it field by field: a `Parts` would have to be taken out and put back.
    #[inline(always)]
    fn of<B>(request: &Request<B>) -> Self {
        Self {
            method: request.method().clone(),
            uri: request.uri().clone(),
            version: request.version(),
            headers: request.headers().clone(),
            extensions: request.extensions().clone(),
        }
    }

    fn with<B>(self, body: B) -> Request<B> {
        let mut request = Request::new(body);
        *request.method_mut() = self.method;
        *request.uri_mut() = self.uri;
        *request.version_mut() = self.version;
        *request.headers_mut() = self.headers;
        *request.extensions_mut() = self.extensions;
        request
    }
}

impl<B> fmt::Debug for KeptRequest<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptRequest")
            .field("protocol", &self.protocol)
            .field("repeatable", &self.repeatable)
            .finish_non_exhaustive()
    }
}

impl<B> RetryKind<Request<B>> for HttpRetries
where
    B: Body + Unpin,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Request = Request<ReplayBody<B>>;
    type Kept = KeptRequest<B>;

    fn once(&self, request: Request<B>) -> Self::Request {
        request.map(ReplayBody::once)
    }

    // Copies of heads are what a call through retries costs; calls in between would copy them again.
    #[inline(always)]
    fn keep(&self, request: Request<B>, limit: usize) -> (Self::Request, KeptRequest<B>) {
        let protocol = Protocol::of(request.headers());
        let (repeatable, safe) = self.harmless(&request, protocol);
        let tried = <Self as RetryKind<Request<B>>>::tried(self, &request);
        let head = Some(Head::of(&request));
        let mut kept = KeptBody::Whole(None);
        let request = request.map(|body| {
            let (body, again) = ReplayBody::keep(body, limit);
            kept = again;
            body
        });
        (request, KeptRequest { head, body: kept, protocol, repeatable, safe, tried })
    }

    fn again(&self, kept: &mut KeptRequest<B>, attempt: u32, last: bool) -> Option<Self::Request> {
        let body = kept.body.again(last)?;
        let mut head = if last { kept.head.take()? } else { kept.head.clone()? };
        head.extensions.insert(Attempt(kept.tried.saturating_add(attempt)));
        Some(head.with(body))
    }

    fn may_overlap(&self, kept: &KeptRequest<B>) -> bool {
        // A stream has only one reader.
        kept.safe && matches!(kept.body, KeptBody::Whole(_))
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

impl<B, RB, E: 'static> RetryJudge<KeptRequest<B>, Response<RB>, E> for HttpRetries {
    #[inline]
    fn judge(
        &self,
        kept: Option<&KeptRequest<B>>,
        result: &Result<Response<RB>, E>,
        limits: Option<&Limits>,
    ) -> RetryVerdict {
        let repeatable = kept.is_some_and(|kept| kept.repeatable);
        let none = || Limits::new(clock::now(), clock::now);
        match result {
            Ok(response) => {
                let headers = response.headers();
                let protocol = kept.map_or_else(|| Protocol::of(headers), |kept| kept.protocol);
                let head = self.classifier.head(protocol, response.status(), headers);
                if head.is_success() {
                    return RetryVerdict::Well;
                }
                let limits = limits.copied().unwrap_or_else(none);
                // What comes after data, in trailers, is for the caller, who has seen the data.
                match self.classifier.answered(Side::Client, head, headers, &limits) {
                    Some(end) => RetryVerdict::of(&end, repeatable),
                    None => RetryVerdict::Well,
                }
            }
            Err(error) => {
                let fault = self.classifier.faults().of(error);
                let limits = limits.copied().unwrap_or_else(none);
                let end = self.classifier.failed(Side::Client, None, fault, &limits);
                RetryVerdict::of(&end, repeatable)
            }
        }
    }
}
