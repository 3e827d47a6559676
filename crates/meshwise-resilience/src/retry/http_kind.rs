//! Retries of HTTP and gRPC calls.

use super::{
    ReplayBody, RetryJudge, RetryKind, RetryVerdict, RetryWait,
    after::{Pushback, pushback, retry_after},
    replay::KeptBody,
};
use http::{Extensions, HeaderMap, Method, Request, Response, StatusCode, Uri, Version};
use http_body::Body;
use meshwise_core::{
    Deadline, ErrorType, GrpcCode, Protocol, Refused,
    call::Attempt,
    outcome::{ErrorKinds, Rule},
};
use std::{error::Error, fmt, io, sync::Arc, time::SystemTime};

/// The name of a connection that broke while the call was under way.
const RESET: ErrorType = ErrorType::new("reset");

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
#[derive(Clone, Debug)]
pub struct HttpRetries {
    errors: Arc<ErrorKinds>,
    statuses: Vec<StatusCode>,
    codes: Vec<GrpcCode>,
    methods: Vec<Box<str>>,
}

impl HttpRetries {
    /// Retries 502, 503, 504, 429 with `Retry-After`, and gRPC's `UNAVAILABLE`; connection
    /// failures, and for what may be repeated timeouts and broken connections.
    #[must_use]
    pub fn new() -> Self {
        let mut errors = ErrorKinds::default();
        errors.kind(broken_connection);
        Self {
            errors: Arc::new(errors),
            statuses: vec![
                StatusCode::BAD_GATEWAY,
                StatusCode::SERVICE_UNAVAILABLE,
                StatusCode::GATEWAY_TIMEOUT,
            ],
            codes: vec![GrpcCode::Unavailable],
            methods: Vec::new(),
        }
    }

    /// Makes errors of type `E` transparent: their sources are looked into.
    #[must_use]
    pub fn with_error<E: Error + 'static>(mut self) -> Self {
        Arc::make_mut(&mut self.errors).view::<E>();
        self
    }

    /// Adds a rule that names kinds of error; it is asked for an error and each of its sources.
    ///
    /// Errors named `connect` are retried for any request, `timeout` and `reset` for what may be
    /// repeated.
    #[must_use]
    pub fn with_error_kind(
        mut self,
        kind: fn(&(dyn Error + 'static)) -> Option<ErrorType>,
    ) -> Self {
        Arc::make_mut(&mut self.errors).kind(kind);
        self
    }

    /// Retries another status code, for what may be repeated.
    #[must_use]
    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.statuses.push(status);
        self
    }

    /// Retries another gRPC code, for what may be repeated.
    #[must_use]
    pub fn with_grpc_code(mut self, code: GrpcCode) -> Self {
        self.codes.push(code);
        self
    }

    /// Says that a gRPC method (`package.Service/Method`) may be repeated.
    #[must_use]
    pub fn with_idempotent_method(mut self, method: &str) -> Self {
        self.methods.push(method.trim_start_matches('/').into());
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

    fn judge_head(
        &self,
        protocol: Protocol,
        status: StatusCode,
        headers: &HeaderMap,
    ) -> RetryVerdict {
        if protocol == Protocol::Grpc {
            return self.judge_grpc(status, headers);
        }
        let asked = || match retry_after(headers, SystemTime::now()) {
            Some(wait) => RetryWait::Asked(wait),
            None => RetryWait::Backoff,
        };
        if self.statuses.contains(&status) {
            return RetryVerdict::Again(asked());
        }
        match status {
            // One's own share is spent: only the neighbour knows until when.
            StatusCode::TOO_MANY_REQUESTS => match asked() {
                RetryWait::Backoff => RetryVerdict::Final,
                asked => RetryVerdict::Again(asked),
            },
            status if status.is_server_error() => RetryVerdict::Final,
            _ => RetryVerdict::Well,
        }
    }

    /// Judges gRPC by the head alone: it holds a status only if nothing else was sent. What comes
    /// after data, in trailers, is for the caller, who has seen the data by then.
    fn judge_grpc(&self, status: StatusCode, headers: &HeaderMap) -> RetryVerdict {
        let code = match GrpcCode::from_headers(headers) {
            Some(code) => code,
            None if status == StatusCode::OK => return RetryVerdict::Well,
            None => GrpcCode::from_http(status),
        };
        let wait = match pushback(headers) {
            Pushback::Stop => return RetryVerdict::Final,
            Pushback::Wait(wait) => RetryWait::Asked(wait),
            Pushback::None => RetryWait::Backoff,
        };
        match code {
            code if self.codes.contains(&code) => RetryVerdict::Again(wait),
            code if code.is_server_error() || code == GrpcCode::ResourceExhausted => {
                RetryVerdict::Final
            }
            _ => RetryVerdict::Well,
        }
    }

    fn judge_error<E: 'static>(&self, error: &E) -> ErrorVerdict {
        match self.errors.refused(error).map(Refused::rule) {
            // This attempt took too long; there may be time for another.
            Some(Rule::TimedOut) => return ErrorVerdict::Unclear,
            // A guard on this side spared the neighbour: asking it again at once would not.
            Some(_) => return ErrorVerdict::Final,
            None => {}
        }
        match self.errors.error_type(error) {
            Some(ErrorType::CONNECT) => ErrorVerdict::NothingSent,
            Some(ErrorType::TIMEOUT | RESET) => ErrorVerdict::Unclear,
            _ => ErrorVerdict::Final,
        }
    }
}

/// What an error says about the neighbour.
enum ErrorVerdict {
    /// It never saw the request.
    NothingSent,
    /// It may have done what it was asked for.
    Unclear,
    /// Another try would not help.
    Final,
}

impl Default for HttpRetries {
    fn default() -> Self {
        Self::new()
    }
}

fn broken_connection(error: &(dyn Error + 'static)) -> Option<ErrorType> {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    let kind = error.downcast_ref::<io::Error>()?.kind();
    matches!(kind, ConnectionReset | ConnectionAborted | BrokenPipe | UnexpectedEof)
        .then_some(RESET)
}

/// Keeps a request while an attempt is under way.
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
            let (body, again) = ReplayBody::keep(body, limit, repeatable);
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

    fn deadline(&self, request: &Request<B>) -> Option<Deadline> {
        request.extensions().get().copied()
    }
}

impl<B, RB, E: 'static> RetryJudge<KeptRequest<B>, Response<RB>, E> for HttpRetries {
    fn judge(&self, kept: &KeptRequest<B>, result: &Result<Response<RB>, E>) -> RetryVerdict {
        let verdict = match result {
            Ok(response) => self.judge_head(kept.protocol, response.status(), response.headers()),
            Err(error) => match self.judge_error(error) {
                ErrorVerdict::NothingSent => return RetryVerdict::Again(RetryWait::Backoff),
                ErrorVerdict::Unclear => RetryVerdict::Again(RetryWait::Backoff),
                ErrorVerdict::Final => RetryVerdict::Final,
            },
        };
        match verdict {
            RetryVerdict::Again(_) if !kept.repeatable => RetryVerdict::Unsafe,
            verdict => verdict,
        }
    }

    fn went_well(&self, result: &Result<Response<RB>, E>) -> bool {
        result.as_ref().is_ok_and(|response| {
            let protocol = Protocol::of(response.headers());
            let head = self.judge_head(protocol, response.status(), response.headers());
            head == RetryVerdict::Well
        })
    }
}
