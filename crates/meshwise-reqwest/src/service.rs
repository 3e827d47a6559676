//! A reqwest client as a service over `http::Request`.

use crate::{body::SyncBody, error::Error};
use bytes::Bytes;
use http::{
    HeaderValue, Request, Response, Uri, Version,
    header::CONTENT_LENGTH,
    uri::{Authority, PathAndQuery, Scheme},
};
use http_body::Body;
use meshwise_core::{Deadline, internal::Limits};
use pin_project_lite::pin_project;
use std::{
    error::Error as StdError,
    fmt,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll, ready},
};
use tokio::time::Instant;
use tower_service::Service;

/// Sends `http::Request`s through a `reqwest::Client`.
///
/// Always ready; clones share the client's connections. A [`Deadline`] among a request's extensions
/// bounds the whole exchange, the response's body included; where a guard around the call has set
/// it ([`Limits::current`]), that guard enforces it and no timer is started here.
///
/// A request goes out in whatever version its connection speaks, as one that came in by another may
/// be handed on; and with the length that its body has, if that is known. Errors do not name the URL.
#[derive(Clone, Debug)]
pub struct ReqwestService {
    client: reqwest::Client,
    /// The first one that was called, shared by clones: most have no other.
    origin: Arc<OnceLock<Origin>>,
}

/// Where requests go, as a URL: to parse one whose host is an address costs 6,000 instructions, to set a path
/// 1,000.
#[derive(Debug)]
struct Origin {
    scheme: Scheme,
    authority: Authority,
    url: reqwest::Url,
}

impl ReqwestService {
    /// Wraps a client with its own settings.
    #[must_use]
    pub fn new(client: reqwest::Client) -> Self {
        Self { client, origin: Arc::default() }
    }

    /// Makes a request's URL; `None` if it is none.
    fn url(&self, uri: &Uri) -> Option<reqwest::Url> {
        let (scheme, authority) = (uri.scheme()?, uri.authority()?);
        let path = uri.path_and_query().map_or("/", PathAndQuery::as_str);
        if let Some(origin) = self.origin.get()
            && origin.scheme == *scheme
            && origin.authority.as_str() == authority.as_str()
            && path.starts_with('/')
        {
            let mut url = origin.url.clone();
            url.set_path(uri.path());
            if let Some(query) = uri.query() {
                url.set_query(Some(query));
            }
            return Some(url);
        }
        let url = [scheme.as_str(), "://", authority.as_str(), path].concat();
        let url = reqwest::Url::parse(&url).ok()?;
        self.origin.get_or_init(|| {
            let mut url = url.clone();
            url.set_query(None);
            // A copy, which shares no bytes with the request.
            let authority = authority.as_str().parse().unwrap_or_else(|_| authority.clone());
            Origin { scheme: scheme.clone(), authority, url }
        });
        Some(url)
    }

    /// Makes a request of reqwest's. Its own conversion writes the URL piece by piece into a text that grows, and
    /// parses that.
    fn sent(&self, request: Request<reqwest::Body>) -> Result<reqwest::Request, Error> {
        if !request.extensions().is_empty() {
            // Settings of reqwest's own may be among them.
            return request.try_into();
        }
        let Some(url) = self.url(request.uri()) else {
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
}

/// Tells whether a `Content-Length` is not that of the body.
fn is_other(said: Option<&HeaderValue>, length: u64) -> bool {
    said.is_some_and(|said| said.to_str().ok().and_then(|said| said.parse().ok()) != Some(length))
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
        let length = request.body().size_hint().exact();
        let mut request = request.map(|body| match body.is_end_stream() {
            // Most requests have none; wrapped, it would be asked for.
            true => reqwest::Body::default(),
            false => reqwest::Body::wrap(SyncBody::new(body)),
        });
        // hyper would send as much as the header says, or wait for the rest without end.
        if length.is_some_and(|length| is_other(request.headers().get(CONTENT_LENGTH), length)) {
            request.headers_mut().remove(CONTENT_LENGTH);
        }
        // HTTP/3 has to be asked for; the others are the connection's to know.
        if request.version() != Version::HTTP_3 {
            *request.version_mut() = Version::HTTP_11;
        }
        let deadline =
            request.extensions().get::<Deadline>().copied().filter(|deadline| {
                Limits::current().is_none_or(|limits| !limits.enforce(*deadline))
            });
        match self.sent(request) {
            Ok(mut request) => {
                if let Some(deadline) = deadline {
                    let left = deadline.remaining(Instant::now().into_std()).unwrap_or_default();
                    *request.timeout_mut() = Some(left);
                }
                ReqwestFuture::Sent { response: self.client.call(request) }
            }
            Err(error) => ReqwestFuture::Refused { error: Some(error.without_url()) },
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_the_one_that_the_whole_text_parses_to() {
        let service = ReqwestService::new(reqwest::Client::new());
        for text in [
            "http://127.0.0.1:8080/first?of=all",
            "http://127.0.0.1:8080/quiet/7",
            "http://127.0.0.1:8080/",
            "http://127.0.0.1:8080",
            "http://127.0.0.1:8080/a/../b/%2e%2e/c?",
            "http://127.0.0.1:8080/a//b/./c?x=1&y=%20'<>|{}",
            "http://127.0.0.1:8080/{id}\"|^`<>\\..?a\"b",
            "http://127.0.0.1:8080?query",
            "http://127.0.0.1/other",
            "https://127.0.0.1:8080/other",
            "http://user:secret@127.0.0.1:8080/a",
            "http://STOCK:80/a",
        ] {
            let Ok(uri) = text.parse::<Uri>() else { continue };
            let parsed = reqwest::Url::parse(&uri.to_string()).ok();
            assert_eq!(service.url(&uri), parsed, "{text}");
        }
        assert_eq!(service.url(&Uri::from_static("/path")), None);
    }
}
