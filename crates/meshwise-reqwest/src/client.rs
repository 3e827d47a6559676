//! The client of one peer.

use crate::{
    error::{Error, fault},
    request::RequestBuilder,
    service::ReqwestService,
};
use http::{Method, Request, Uri, uri};
use meshwise_core::{AnswerTells, Redaction, internal::has_bad_port};
use meshwise_http::{ClientLayer, ClientMode, ObservedService, Telemetry};
use std::{
    borrow::Cow,
    sync::{Arc, Mutex},
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
/// hand on what came in, whose host a stranger has chosen. (A URI that begins with the whole base URL is
/// complete.) Segments of dots (`..`, `%2e%2e`) are resolved first, so they lead no further up than the base
/// URL; what is too long for a URI then is not sent. If such a request says that it is gRPC, its answer
/// tells whether it is.
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
    /// The same as a URL, without a user's name and password; `None` if no URL has such a port.
    url: Option<Arc<BaseUrl>>,
}

#[derive(Debug)]
struct BaseUrl {
    url: reqwest::Url,
    /// That of the path asked for last: to set one costs 1,000 instructions.
    last: Mutex<reqwest::Url>,
}

impl BaseUrl {
    fn with_path(&self, path: &str) -> reqwest::Url {
        // No call waits for another.
        let mut last = self.last.try_lock().ok();
        // A path as URLs write it is one that stays as it is.
        if let Some(last) = last.as_ref().filter(|last| last.path() == path) {
            return reqwest::Url::clone(last);
        }
        let mut url = self.url.clone();
        url.set_path(path);
        if let Some(last) = &mut last {
            reqwest::Url::clone_from(last, &url);
        }
        url
    }
}

impl Client {
    /// Starts a client of the peer `peer`.
    pub fn builder(telemetry: &Telemetry, peer: &str) -> ClientBuilder {
        ClientBuilder {
            layer: ClientLayer::new(telemetry.clone(), peer)
                .with_error::<reqwest::Error>()
                .with_fault(fault),
            base_url: format!("http://{peer}"),
            transport: None,
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

    /// Returns the URL of a path of the peer's, as errors name it: without its query, which may hold secrets.
    pub(crate) fn url(&self, path: &str) -> Option<reqwest::Url> {
        let base = self.base.url.as_ref()?;
        let url = match &*self.base.path {
            "" => base.with_path(path),
            prefix => base.with_path(&[prefix, path].concat()),
        };
        Some(url)
    }

    /// Makes a request one to this peer.
    pub(crate) fn address<B>(&self, request: &mut Request<B>) {
        self.resolve(request.uri_mut());
        AnswerTells::mark(request);
    }

    /// Completes a URI that is only a path. One that cannot be completed loses its host, and the
    /// transport refuses it.
    fn resolve(&self, uri: &mut Uri) {
        let same = uri.scheme() == Some(&self.base.scheme)
            && uri.authority() == Some(&self.base.authority);
        let whole = match self.base.any_host {
            true => uri.authority().is_some(),
            false => same && self.base.path.is_empty(),
        };
        if whole {
            return;
        }
        // Taken, not cloned: a second owner of the path's bytes would cost an allocation.
        let mut parts = std::mem::take(uri).into_parts();
        parts.scheme = Some(self.base.scheme.clone());
        parts.authority = Some(self.base.authority.clone());
        let path = parts.path_and_query.take();
        let path = match &*self.base.path {
            "" => path.filter(|path| path.path().starts_with('/')),
            base => {
                let path = path.as_ref().map_or(Cow::Borrowed("/"), rooted);
                let joined = match same && begins_with(&path, base) {
                    true => path.into_owned(),
                    false => format!("{base}{path}"),
                };
                // The two may be too long together.
                let Ok(joined) = joined.try_into() else { return };
                Some(joined)
            }
        };
        parts.path_and_query = Some(path.unwrap_or(uri::PathAndQuery::from_static("/")));
        if let Ok(resolved) = Uri::from_parts(parts) {
            *uri = resolved;
        }
    }
}

/// Writes a path, and its query, so that it can be appended to another: it begins with a slash and leads
/// nowhere up, as a transport would read it.
fn rooted(path: &uri::PathAndQuery) -> Cow<'_, str> {
    let text = path.as_str();
    // In a URL, a backslash separates too.
    let dots = |segment: &str| {
        segment.starts_with('.')
            || segment.get(..3).is_some_and(|start| start.eq_ignore_ascii_case("%2e"))
    };
    if text.starts_with('/') && !path.path().split(['/', '\\']).any(dots) {
        return Cow::Borrowed(text);
    }
    // What asks for the server as a whole (`OPTIONS *`) has no path of its own.
    let url = match path.path().starts_with('/') {
        true => reqwest::Url::parse(&format!("http://base{text}")).ok(),
        false => None,
    };
    Cow::Owned(match url.as_ref().map(|url| (url.path(), url.query())) {
        Some((path, Some(query))) => format!("{path}?{query}"),
        Some((path, None)) => path.to_owned(),
        None => "/".to_owned(),
    })
}

/// Tells whether `path` is `base` or below it.
fn begins_with(path: &str, base: &str) -> bool {
    path.strip_prefix(base).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']))
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
        self.address(&mut request);
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
    transport: Option<reqwest::ClientBuilder>,
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
    /// Whether it knows TLS is its own affair: it is given `https` URLs without the feature `tls` too.
    pub fn with_transport(mut self, client: reqwest::ClientBuilder) -> Self {
        self.transport = Some(client);
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
    /// If the base URL is none or asks for https without the feature `tls` and a transport of one's own, or
    /// reqwest cannot be set up (TLS).
    pub fn build(self) -> Result<Client, BuildError> {
        let tls = cfg!(feature = "tls") || self.transport.is_some();
        let layer = match self.transport {
            // Cookies of one's own are asked for when it is called.
            Some(_) => self.layer,
            None => self.layer.with_deferring::<ReqwestService>(),
        };
        let base = Base { any_host: self.any_host, ..Base::parse(&self.base_url, tls)? };
        let transport = self
            .transport
            .unwrap_or_default()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .build()
            .map_err(BuildError::Transport)?;
        Ok(Client { service: layer.layer(ReqwestService::new(transport)), base })
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
    /// Reads a base URL, which may be https where the transport may know `tls`.
    fn parse(url: &str, tls: bool) -> Result<Self, BuildError> {
        let refuse = |reason| BuildError::BaseUrl {
            url: Redaction::standard().url(url).into_owned(),
            reason,
        };
        let uri: Uri = url.parse().map_err(|_| refuse("it does not parse"))?;
        let parts = uri.into_parts();
        let scheme = parts.scheme.ok_or_else(|| refuse("it has no scheme"))?;
        match scheme.as_str() {
            "http" => {}
            "https" if tls => {}
            "https" => {
                return Err(refuse("https needs the feature `tls`, or a transport that knows it"));
            }
            _ => return Err(refuse("the scheme must be http or https")),
        }
        let authority = parts.authority.ok_or_else(|| refuse("it has no host"))?;
        if has_bad_port(&authority) {
            return Err(refuse("its port is no number up to 65535"));
        }
        let path = parts.path_and_query.as_ref().map_or(Cow::Borrowed(""), rooted);
        if parts.path_and_query.as_ref().is_some_and(|path| path.query().is_some()) {
            return Err(refuse("it has a query"));
        }
        let path = path.trim_end_matches('/');
        let (_, host) = authority.as_str().rsplit_once('@').unwrap_or(("", authority.as_str()));
        let url = reqwest::Url::parse(&format!("{scheme}://{host}{path}")).ok();
        let url = url.map(|url| BaseUrl { last: Mutex::new(url.clone()), url }).map(Arc::new);
        Ok(Self { scheme, authority, path: path.into(), any_host: false, url })
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
        for (path, full) in [
            ("/x", "http://auth/api/x"),
            ("http://b/x", "http://b/x"),
            ("http://auth/x", "http://auth/x"),
        ] {
            let mut uri: Uri = path.parse().unwrap();
            client.resolve(&mut uri);
            assert_eq!(uri.to_string(), full);
        }
    }

    #[test]
    fn a_transport_that_asks_for_no_cookies_is_called_outside_of_its_context() {
        let defers = |builder: ClientBuilder| {
            format!("{:?}", builder.build().unwrap()).contains("defers: true")
        };
        assert!(defers(builder()));
        assert!(!defers(builder().with_transport(reqwest::Client::builder())));
    }

    #[test]
    fn paths_are_resolved_against_the_base_url() {
        for (base, path, full) in [
            ("http://auth", "/check?x=1", "http://auth/check?x=1"),
            ("http://auth:81/api/", "/check", "http://auth:81/api/check"),
            ("http://auth/api", "/", "http://auth/api/"),
            ("http://auth", "http://auth/x", "http://auth/x"),
            ("http://auth/api", "http://auth/x", "http://auth/api/x"),
            ("http://auth/api", "http://auth/api/x?y", "http://auth/api/x?y"),
            ("http://auth/api", "http://auth/api?y", "http://auth/api?y"),
            ("http://auth/api", "http://auth/apis", "http://auth/api/apis"),
            ("http://auth/api", "http://auth/api\\x", "http://auth/api/api\\x"),
            ("http://auth/api", "http://other?x=1", "http://auth/api/?x=1"),
            ("http://auth/api", "http://auth?x=1", "http://auth/api/?x=1"),
            ("http://auth", "http://other?x=1", "http://auth/?x=1"),
            ("http://auth/a/../api/", "/x", "http://auth/api/x"),
            ("http://auth/api", "/.well-known/x?y=/../z", "http://auth/api/.well-known/x?y=/../z"),
            ("http://auth/api", "/x/...", "http://auth/api/x/..."),
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
    fn a_path_s_url_is_the_same_whichever_was_asked_for_before() {
        let client = builder().with_base_url("http://me:pw@auth:81/api").build().unwrap();
        for path in ["/a", "/a", "/a/../b", "/b", "/a/../b", "/{x}", "/%7Bx%7D", "/a", "/"] {
            let mut url = reqwest::Url::parse("http://auth:81").unwrap();
            url.set_path(&format!("/api{path}"));
            assert_eq!(client.url(path), Some(url), "{path}");
        }
    }

    #[test]
    fn dots_lead_no_further_up_than_the_base_url() {
        let client = builder().with_base_url("http://auth/api").build().unwrap();
        for up in ["..", "%2e%2E", ".%2e", "%2E.", "./..", "x/../..", "..\\..", "%2e\\.."] {
            for start in ["", "http://auth", "http://other", "http://auth/api/.."] {
                let mut uri: Uri = format!("{start}/{up}/admin?x=1").parse().unwrap();
                client.resolve(&mut uri);
                let sent = reqwest::Url::parse(&uri.to_string()).unwrap();
                assert_eq!(sent.as_str(), "http://auth/api/admin?x=1", "{start}/{up}");
            }
        }
        for (within, sent) in [("x/../y", "/api/y"), ("x/%2e/y", "/api/x/y"), ("x/..", "/api/")] {
            let mut uri: Uri = format!("http://auth/api/{within}").parse().unwrap();
            client.resolve(&mut uri);
            assert_eq!(uri.path(), sent);
        }
    }

    #[test]
    fn what_is_too_long_below_the_base_url_is_not_sent_elsewhere() {
        let client = builder().with_base_url("http://auth/api").build().unwrap();
        let mut uri: Uri = format!("/{}", "x".repeat(65_532)).parse().unwrap();
        client.resolve(&mut uri);
        assert_eq!(uri.authority(), None);
    }

    /// What TLS a transport of one's own knows is not known here.
    #[test]
    fn https_is_the_affair_of_a_transport_of_one_s_own() {
        let https = || builder().with_base_url("https://auth");
        https().with_transport(reqwest::Client::builder()).build().unwrap();
        let by_default = https().build();
        assert_eq!(by_default.is_ok(), cfg!(feature = "tls"));
        if let Err(error) = by_default {
            assert!(error.to_string().contains("feature `tls`"), "{error}");
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
