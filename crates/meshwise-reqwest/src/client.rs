//! The client of one peer.

use crate::{
    error::{Error, fault},
    request::RequestBuilder,
    service::ReqwestService,
};
use http::{Method, Request, Uri, uri};
use meshwise_core::{Redaction, outcome::AnswerTells};
use meshwise_http::{ClientLayer, ClientMode, ObservedService, Telemetry};
use std::{
    sync::Arc,
    task::{Context, Poll},
};
use tower_layer::Layer;
use tower_service::Service;

/// The service that a [`Client`] calls through, unless layers were added: observed calls over
/// reqwest.
pub type Observed = ObservedService<ReqwestService>;

/// Calls one peer.
///
/// Cheap to clone; clones share connections. It is a `tower::Service<http::Request<B>>` too, which
/// sends every request to the peer: below its base URL, whatever host the URI names
/// ([`with_any_host`](ClientBuilder::with_any_host) changes that). So a handler may
/// hand on what came in, whose host a stranger has chosen. (A URI that begins with the base URL's
/// scheme and host is complete.) If such a request says that it is gRPC, its answer tells whether it
/// is.
#[derive(Clone, Debug)]
pub struct Client<S = Observed> {
    service: S,
    base: Base,
}

/// Where the peer is.
#[derive(Clone, Debug)]
struct Base {
    scheme: uri::Scheme,
    authority: uri::Authority,
    /// The path that requests' paths are appended to, without a slash at its end.
    path: Arc<str>,
    /// Whether a URI may name another host.
    any_host: bool,
}

impl Client {
    /// Starts a client of the peer `peer`.
    pub fn builder(telemetry: &Telemetry, peer: &str) -> ClientBuilder {
        ClientBuilder {
            layer: ClientLayer::new(telemetry.clone(), peer)
                .with_error::<reqwest::Error>()
                .with_fault(fault),
            base_url: format!("http://{peer}"),
            transport: reqwest::Client::builder(),
            any_host: false,
        }
    }
}

impl<S> Client<S> {
    /// Starts a GET request; `path` begins with a slash.
    pub fn get(&self, path: impl AsRef<str>) -> RequestBuilder<'_, S> {
        self.request(Method::GET, path)
    }

    /// Starts a POST request; `path` begins with a slash.
    pub fn post(&self, path: impl AsRef<str>) -> RequestBuilder<'_, S> {
        self.request(Method::POST, path)
    }

    /// Starts a PUT request; `path` begins with a slash.
    pub fn put(&self, path: impl AsRef<str>) -> RequestBuilder<'_, S> {
        self.request(Method::PUT, path)
    }

    /// Starts a DELETE request; `path` begins with a slash.
    pub fn delete(&self, path: impl AsRef<str>) -> RequestBuilder<'_, S> {
        self.request(Method::DELETE, path)
    }

    /// Starts a request with any method; `path` begins with a slash.
    pub fn request(&self, method: Method, path: impl AsRef<str>) -> RequestBuilder<'_, S> {
        RequestBuilder::new(self, method, path.as_ref())
    }

    /// Puts a layer around the service that requests go through.
    #[must_use]
    pub fn layer<L: Layer<S>>(self, layer: &L) -> Client<L::Service> {
        Client { service: layer.layer(self.service), base: self.base }
    }

    /// Returns the service that requests go through.
    pub fn service(&self) -> &S {
        &self.service
    }

    /// Completes a URI that is only a path.
    fn resolve(&self, uri: &mut Uri) {
        let same = uri.scheme() == Some(&self.base.scheme)
            && uri.authority() == Some(&self.base.authority);
        if same || (self.base.any_host && uri.authority().is_some()) {
            return;
        }
        // Taken, not cloned: a second owner of the path's bytes would cost an allocation.
        let mut parts = std::mem::take(uri).into_parts();
        parts.scheme = Some(self.base.scheme.clone());
        parts.authority = Some(self.base.authority.clone());
        parts.path_and_query = match (&*self.base.path, parts.path_and_query.take()) {
            ("", path) => path.filter(|path| path.path().starts_with('/')),
            (base, path) => {
                // What asks for the server as a whole (`OPTIONS *`) has no path of its own.
                let path = path.as_ref().map(uri::PathAndQuery::as_str);
                let path = path.filter(|path| path.starts_with('/')).unwrap_or("/");
                format!("{base}{path}").try_into().ok()
            }
        };
        parts.path_and_query.get_or_insert(uri::PathAndQuery::from_static("/"));
        if let Ok(resolved) = Uri::from_parts(parts) {
            *uri = resolved;
        }
    }
}

impl<S, B> Service<Request<B>> for Client<S>
where
    S: Service<Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> S::Future {
        self.resolve(request.uri_mut());
        AnswerTells::mark(&mut request);
        self.service.call(request)
    }
}

/// Builds the client of one peer.
///
/// | setting | default |
/// |---|---|
/// | [`with_base_url`](Self::with_base_url) | `http://{peer}`: the peer's name is its host |
/// | [`with_mode`](Self::with_mode) | [`ClientMode::Internal`] |
/// | [`with_any_host`](Self::with_any_host) | `false` |
/// | [`with_transport`](Self::with_transport) | reqwest's defaults |
#[derive(Debug)]
#[must_use]
pub struct ClientBuilder {
    layer: ClientLayer,
    base_url: String,
    transport: reqwest::ClientBuilder,
    any_host: bool,
}

impl ClientBuilder {
    /// Sets where the peer is: scheme, host and port, and a path that goes before every
    /// request's.
    pub fn with_base_url(mut self, url: impl Into<String>) -> Self {
        self.base_url = url.into();
        self
    }

    /// Sets what the peer may learn; a third party wants [`ClientMode::External`].
    pub fn with_mode(mut self, mode: ClientMode) -> Self {
        self.layer = self.layer.with_mode(mode);
        self
    }

    /// Sends through a `reqwest::Client` with settings of one's own (proxies, certificates, pool
    /// sizes).
    ///
    /// Its policies for redirects and retries are set here and have no effect: a redirect would take
    /// the headers meant for this peer to another host, and a retry would be a call without a span.
    pub fn with_transport(mut self, client: reqwest::ClientBuilder) -> Self {
        self.transport = client;
        self
    }

    /// Sets whether a request goes to the host that its URI names, if it names one; `false` by default.
    ///
    /// For what relays to wherever it is told. Never where a stranger's request is handed on: the host is
    /// the stranger's choice then, and gets the context headers meant for this peer.
    pub fn with_any_host(mut self, any: bool) -> Self {
        self.any_host = any;
        self
    }

    /// Changes the layer that observes the calls.
    pub fn with_layer(mut self, change: impl FnOnce(ClientLayer) -> ClientLayer) -> Self {
        self.layer = change(self.layer);
        self
    }

    /// Makes the client.
    ///
    /// # Errors
    /// If the base URL is none, or reqwest cannot be set up (TLS).
    pub fn build(self) -> Result<Client, BuildError> {
        let base = Base { any_host: self.any_host, ..Base::parse(&self.base_url)? };
        let transport = self
            .transport
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .build()
            .map_err(BuildError::Transport)?;
        Ok(Client { service: self.layer.layer(ReqwestService::new(transport)), base })
    }
}

/// Says why a client cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The base URL is not one.
    #[error(
        "`{url}` is no base URL for a client; write something like `http://auth:8080`: {reason}"
    )]
    BaseUrl {
        /// What was given, without secrets.
        #[doc(hidden)]
        url: String,
        /// What is wrong with it.
        #[doc(hidden)]
        reason: &'static str,
    },
    /// The transport could not be set up.
    #[error("could not set up the HTTP transport")]
    Transport(#[source] Error),
}

impl Base {
    fn parse(url: &str) -> Result<Self, BuildError> {
        let refuse = |reason| BuildError::BaseUrl {
            url: Redaction::standard().url(url).into_owned(),
            reason,
        };
        let uri: Uri = url.parse().map_err(|_| refuse("it does not parse"))?;
        let parts = uri.into_parts();
        let scheme = parts.scheme.ok_or_else(|| refuse("it has no scheme"))?;
        match scheme.as_str() {
            "http" => {}
            "https" if cfg!(feature = "tls") => {}
            "https" => return Err(refuse("https needs the feature `tls`")),
            _ => return Err(refuse("the scheme must be http or https")),
        }
        let authority = parts.authority.ok_or_else(|| refuse("it has no host"))?;
        let path = parts.path_and_query.as_ref().map_or("", |path| path.path());
        if parts.path_and_query.as_ref().is_some_and(|path| path.query().is_some()) {
            return Err(refuse("it has a query"));
        }
        Ok(Self { scheme, authority, path: path.trim_end_matches('/').into(), any_host: false })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use meshwise_core::Service as Identity;

    fn builder() -> ClientBuilder {
        let telemetry = Telemetry::new(Identity::new("orders", "1.0.0"));
        Client::builder(&telemetry, "auth")
    }

    #[test]
    fn where_any_host_is_wanted_a_whole_url_stays() {
        let client = builder().with_base_url("http://auth/api").with_any_host(true);
        let client = client.build().unwrap();
        for (path, full) in [("/x", "http://auth/api/x"), ("http://b/x", "http://b/x")] {
            let mut uri: Uri = path.parse().unwrap();
            client.resolve(&mut uri);
            assert_eq!(uri.to_string(), full);
        }
    }

    #[test]
    fn paths_are_resolved_against_the_base_url() {
        for (base, path, full) in [
            ("http://auth", "/check?x=1", "http://auth/check?x=1"),
            ("http://auth:81/api/", "/check", "http://auth:81/api/check"),
            ("http://auth/api", "/", "http://auth/api/"),
            ("http://auth", "http://auth/x", "http://auth/x"),
            ("http://auth/api", "http://auth/x", "http://auth/x"),
            ("http://auth", "http://other/x?y=1", "http://auth/x?y=1"),
            ("http://auth/api", "https://other:81/x", "http://auth/api/x"),
            ("http://auth", "other:443", "http://auth/"),
            ("http://auth", "*", "http://auth/"),
            ("http://auth/api", "*", "http://auth/api/"),
        ] {
            let client = builder().with_base_url(base).build().unwrap();
            let mut uri: Uri = path.parse().unwrap();
            client.resolve(&mut uri);
            assert_eq!(uri.to_string(), full);
        }
    }

    #[test]
    fn a_bad_base_url_is_told_with_what_is_wrong() {
        for (url, reason) in [
            ("auth:8080", "no scheme"),
            ("/path", "no scheme"),
            ("ftp://auth", "http or https"),
            ("http://auth/?x=1", "query"),
            ("http:// auth", "parse"),
        ] {
            let error = builder().with_base_url(url).build().unwrap_err().to_string();
            assert!(error.contains(url) && error.contains(reason), "{error}");
        }
    }
}
