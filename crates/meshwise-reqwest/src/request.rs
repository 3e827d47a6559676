//! Building and sending one request.

use crate::{client::Client, error::CallError};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Response, uri::PathAndQuery};
use http_body::Body;
use meshwise_core::{Deadline, Redaction};
use meshwise_http::UrlTemplate;
use reqwest::ResponseBuilderExt;
use std::{error::Error as StdError, fmt, future::poll_fn, time::Duration};
use tokio::time::Instant;
use tower_service::Service;

/// Builds one request to a peer, and sends it through the client's layers.
///
/// What is wrong with the request (a path that is no path, a header that is no header) is told by
/// [`send`](Self::send).
#[must_use = "nothing is sent until `send` is awaited"]
pub struct RequestBuilder<'a, S> {
    client: &'a Client<S>,
    request: Request<reqwest::Body>,
    invalid: Option<String>,
}

impl<'a, S> RequestBuilder<'a, S> {
    pub(crate) fn new(client: &'a Client<S>, method: Method, path: &str) -> Self {
        let mut request = Request::new(reqwest::Body::default());
        *request.method_mut() = method;
        let mut builder = Self { client, request, invalid: None };
        builder.set_path(path);
        builder
    }

    fn set_path(&mut self, path: &str) {
        match path.parse() {
            Ok(uri) if path.starts_with('/') => *self.request.uri_mut() = uri,
            // `check` alone would be a host.
            Ok(_) => {
                let path = Redaction::standard().url(path).into_owned();
                self.refuse(format!("`{path}` does not begin with a slash"));
            }
            Err(error) => {
                let path = Redaction::standard().url(path).into_owned();
                self.refuse(format!("`{path}` is not a path: {error}"));
            }
        }
    }

    /// Appends a parameter to the query, percent-encoded.
    pub fn query(mut self, name: &str, value: impl fmt::Display) -> Self {
        let uri = self.request.uri();
        let mut path = uri.path_and_query().map_or("/", PathAndQuery::as_str).to_owned();
        path.push(if uri.query().is_some() { '&' } else { '?' });
        let from = path.len();
        let mut pair = form_urlencoded::Serializer::for_suffix(path, from);
        pair.append_pair(name, &value.to_string());
        self.set_path(&pair.finish());
        self
    }

    /// Sets a header.
    pub fn header<V>(mut self, name: impl TryInto<HeaderName>, value: V) -> Self
    where
        V: TryInto<HeaderValue>,
    {
        match (name.try_into(), value.try_into()) {
            (Ok(name), Ok(value)) => {
                self.request.headers_mut().insert(name, value);
            }
            (Err(_), _) => self.refuse("a header's name is not valid"),
            (_, Err(_)) => self.refuse("a header's value is not valid"),
        }
        self
    }

    /// Sets the body.
    pub fn body(mut self, body: impl Into<reqwest::Body>) -> Self {
        *self.request.body_mut() = body.into();
        self
    }

    /// Sends a value as JSON.
    #[cfg(feature = "json")]
    pub fn json(mut self, value: &(impl serde::Serialize + ?Sized)) -> Self {
        match serde_json::to_vec(value) {
            Ok(json) => {
                *self.request.body_mut() = json.into();
                self.request
                    .headers_mut()
                    .entry(http::header::CONTENT_TYPE)
                    .or_insert(HeaderValue::from_static("application/json"));
            }
            Err(error) => self.refuse(format!("the body does not serialize: {error}")),
        }
        self
    }

    /// Waits for the answer no longer than `timeout`; the peer is told.
    ///
    /// An earlier deadline, of the call being served, stays in force.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        let deadline = Deadline::after(Instant::now().into_std(), timeout);
        self.request.extensions_mut().insert(deadline);
        self
    }

    /// Names the template that the path was made from, such as `/orders/{id}`: it becomes part of
    /// the span's name.
    pub fn template(mut self, template: &'static str) -> Self {
        self.request.extensions_mut().insert(UrlTemplate(template));
        self
    }

    /// Puts a value among the request's extensions, where the layers that it passes find it, such as
    /// `meshwise_resilience::Idempotent`.
    pub fn extension(mut self, value: impl Clone + Send + Sync + 'static) -> Self {
        self.request.extensions_mut().insert(value);
        self
    }

    fn refuse(&mut self, reason: impl Into<String>) {
        self.invalid.get_or_insert_with(|| reason.into());
    }

    /// Sends the request; the response's body is still to come.
    ///
    /// # Errors
    /// If the request is not valid, or no response came. A response with a 4xx or 5xx status is
    /// not an error here; see [`reqwest::Response::error_for_status`].
    pub async fn send<B>(mut self) -> Result<reqwest::Response, CallError<S::Error>>
    where
        S: Service<Request<reqwest::Body>, Response = Response<B>> + Clone,
        B: Body<Data = Bytes> + Send + Sync + 'static,
        B::Error: Into<Box<dyn StdError + Send + Sync>>,
    {
        if let Some(reason) = self.invalid {
            return Err(CallError::Invalid { reason });
        }
        let mut service = self.client.service().clone();
        poll_fn(|cx| service.poll_ready(cx)).await.map_err(CallError::Call)?;
        let url = self.client.url(self.request.uri().path());
        self.client.address(&mut self.request);
        let response = service.call(self.request).await.map_err(CallError::Call)?;
        Ok(with_url(response.map(reqwest::Body::wrap), url))
    }
}

/// Makes a response of reqwest's, which is to have a URL: its errors name it.
fn with_url(response: Response<reqwest::Body>, url: Option<reqwest::Url>) -> reqwest::Response {
    let (mut parts, body) = response.into_parts();
    // Only a builder takes a URL: it is lent what the response carries along.
    let mut builder = Response::builder();
    if let (Some(lent), Some(url)) = (builder.extensions_mut(), url) {
        *lent = std::mem::take(&mut parts.extensions);
        builder = builder.url(url);
        if let Some(lent) = builder.extensions_mut() {
            parts.extensions = std::mem::take(lent);
        }
    }
    Response::from_parts(parts, body).into()
}

impl<S> fmt::Debug for RequestBuilder<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestBuilder")
            .field("method", self.request.method())
            .field("path", self.request.uri())
            .finish_non_exhaustive()
    }
}
