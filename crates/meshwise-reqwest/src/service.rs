//! A reqwest client as a service over `http::Request`.

use crate::{body::SyncBody, error::Error};
use bytes::Bytes;
use http::{
    Request, Response, Version,
    uri::{Authority, PathAndQuery},
};
use http_body::Body;
use meshwise_core::{Deadline, internal::Limits};
use pin_project_lite::pin_project;
use std::{
    error::Error as StdError,
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Instant,
};
use tower_service::Service;

/// Sends `http::Request`s through a `reqwest::Client`.
///
/// Always ready; clones share the client's connections. A [`Deadline`] among a request's extensions
/// bounds the whole exchange, the response's body included; where a guard around the call has set
/// it ([`Limits::current`]), that guard enforces it and no timer is started here.
///
/// A request goes out in whatever version its connection speaks, as one that came in by another may
/// be handed on. Errors do not name the URL.
#[derive(Clone, Debug)]
pub struct ReqwestService {
    client: reqwest::Client,
}

impl ReqwestService {
    /// Wraps a client with its own settings.
    #[must_use]
    pub fn new(client: reqwest::Client) -> Self {
        Self { client }
    }
}

impl<B> Service<Request<B>> for ReqwestService
where
    B: Body + Send + 'static,
    B::Data: Into<Bytes>,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    type Response = Response<reqwest::Body>;
    type Error = Error;
    type Future = ReqwestFuture;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Service::<reqwest::Request>::poll_ready(&mut self.client, cx)
    }

    fn call(&mut self, request: Request<B>) -> ReqwestFuture {
        let mut request = request.map(|body| match body.is_end_stream() {
            // Most requests have none; wrapped, it would be asked for.
            true => reqwest::Body::default(),
            false => reqwest::Body::wrap(SyncBody::new(body)),
        });
        // HTTP/3 has to be asked for; the others are the connection's to know.
        if request.version() != Version::HTTP_3 {
            *request.version_mut() = Version::HTTP_11;
        }
        let deadline =
            request.extensions().get::<Deadline>().copied().filter(|deadline| {
                Limits::current().is_none_or(|limits| !limits.enforce(*deadline))
            });
        match sent(request) {
            Ok(mut request) => {
                if let Some(deadline) = deadline {
                    let left = deadline.remaining(Instant::now()).unwrap_or_default();
                    *request.timeout_mut() = Some(left);
                }
                ReqwestFuture::Sent { response: self.client.call(request) }
            }
            Err(error) => ReqwestFuture::Refused { error: Some(error.without_url()) },
        }
    }
}

/// Makes a request of reqwest's. Its own conversion writes the URL piece by piece into a text that grows.
fn sent(request: Request<reqwest::Body>) -> Result<reqwest::Request, Error> {
    if !request.extensions().is_empty() {
        // Settings of reqwest's own may be among them.
        return request.try_into();
    }
    let uri = request.uri();
    let parts = [
        uri.scheme_str().unwrap_or_default(),
        "://",
        uri.authority().map_or("", Authority::as_str),
        uri.path_and_query().map_or("/", PathAndQuery::as_str),
    ];
    let parsed = reqwest::Url::parse(&parts.concat());
    let (Some(_), Ok(url)) = (uri.scheme(), parsed) else {
        // It says what is wrong.
        return request.try_into();
    };
    let (parts, body) = request.into_parts();
    let mut request = reqwest::Request::new(parts.method, url);
    *request.headers_mut() = parts.headers;
    *request.version_mut() = parts.version;
    *request.body_mut() = Some(body);
    Ok(request)
}

pin_project! {
    /// Resolves to the response's head, its body still streaming.
    #[doc(hidden)]
    #[non_exhaustive]
    #[project = Projected]
    pub enum ReqwestFuture {
        #[doc(hidden)]
        Sent { #[pin] response: <reqwest::Client as Service<reqwest::Request>>::Future },
        #[doc(hidden)]
        Refused { error: Option<Error> },
    }
}

impl Future for ReqwestFuture {
    type Output = Result<Response<reqwest::Body>, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            Projected::Sent { response } => {
                let response = ready!(response.poll(cx));
                // The URL may hold secrets, and the span names it without them.
                Poll::Ready(response.map(Into::into).map_err(Error::without_url))
            }
            Projected::Refused { error } => {
                error.take().map_or(Poll::Pending, |e| Poll::Ready(Err(e.without_url())))
            }
        }
    }
}

impl fmt::Debug for ReqwestFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReqwestFuture(..)")
    }
}
