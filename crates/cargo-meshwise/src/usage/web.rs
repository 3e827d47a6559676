//! Requests over HTTP, bounded in time and size.

use std::time::Duration;

use bytes::BytesMut;
use reqwest::{
    Client, Response,
    header::{AUTHORIZATION, HeaderMap, HeaderValue},
    redirect::Policy,
};
use tokio::runtime::Runtime;
use url::Url;

use super::{Backend, Params};

/// The largest answer that is read, in bytes: 32 MiB.
const MAX_BYTES: usize = 32 << 20;

/// Says why there is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum WebError {
    /// The address cannot be used.
    #[error("{0}")]
    Address(String),
    /// A token holds what no header may.
    #[error("{0} holds characters that no header may")]
    Token(String),
    /// No answer in time, no connection, no TLS.
    #[error("no answer")]
    Transport(#[source] reqwest::Error),
    /// The answer is too large.
    #[error("the answer is larger than {MAX_BYTES} bytes")]
    TooLarge,
    /// The server wants something else.
    #[error("it answered {status}{}", hint(*.status))]
    Status {
        /// The status.
        status: u16,
    },
    /// No runtime for it.
    #[error("cannot start")]
    Runtime(#[source] std::io::Error),
}

fn hint(status: u16) -> &'static str {
    match status {
        301..=308 => " (redirects are not followed: give the address it leads to)",
        401 | 403 => " (is the token set?)",
        404 => " (is the path right?)",
        _ => "",
    }
}

/// Makes requests one after the other, each bounded.
#[derive(Debug)]
pub(crate) struct Web {
    client: Client,
    runtime: Runtime,
}

impl Web {
    /// `token` names the variable with a bearer token, which goes with every request; so redirects
    /// are not followed.
    pub(crate) fn new(token: Option<&str>, timeout: Duration) -> Result<Self, WebError> {
        let mut headers = HeaderMap::new();
        if let Some(token) = token
            && let Some(text) = std::env::var_os(token)
        {
            let refused = || WebError::Token(token.to_owned());
            let text = text.into_string().map_err(|_| refused())?;
            let mut value =
                HeaderValue::from_str(&format!("Bearer {}", text.trim())).map_err(|_| refused())?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        let client = Client::builder()
            .user_agent(concat!("cargo-meshwise/", env!("CARGO_PKG_VERSION")))
            .default_headers(headers)
            .redirect(Policy::none())
            .connect_timeout(timeout.min(Duration::from_secs(10)))
            .timeout(timeout)
            .build()
            .map_err(WebError::Transport)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(WebError::Runtime)?;
        Ok(Self { client, runtime })
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Sends a request; returns the response's head and its body.
    pub(crate) fn send(
        &self,
        request: reqwest::RequestBuilder,
        limit: usize,
    ) -> Result<(http::ResponseHead, Vec<u8>), WebError> {
        self.runtime.block_on(async {
            let response = request.send().await.map_err(transport)?;
            let head = http::ResponseHead {
                status: response.status().as_u16(),
                headers: response.headers().clone(),
            };
            let body = read(response, limit).await?;
            Ok((head, body))
        })
    }
}

/// The head of a response.
pub(crate) mod http {
    /// Status and headers.
    #[derive(Debug)]
    pub(crate) struct ResponseHead {
        pub(crate) status: u16,
        pub(crate) headers: reqwest::header::HeaderMap,
    }
}

async fn read(mut response: Response, limit: usize) -> Result<Vec<u8>, WebError> {
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(transport)? {
        if body.len() + chunk.len() > limit {
            return Err(WebError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.to_vec())
}

/// Takes the address out of the error: a query makes it long, and it is named beside it.
fn transport(error: reqwest::Error) -> WebError {
    WebError::Transport(error.without_url())
}

/// Reads an address of http or https; what a build cannot do is said at once.
pub(crate) fn address(text: &str) -> Result<Url, WebError> {
    let url = Url::parse(text)
        .map_err(|error| WebError::Address(format!("the address is not valid: {error}")))?;
    match url.scheme() {
        "http" => {}
        "https" if cfg!(feature = "tls") => {}
        "https" => return Err(WebError::Address("built without the feature `tls`".to_owned())),
        other => return Err(WebError::Address(format!("{other}: is no web address"))),
    }
    Ok(url)
}

/// Writes an address without a password in it, and without its query.
pub(crate) fn shown(url: &Url) -> String {
    let mut url = url.clone();
    let _ = url.set_password(None);
    let _ = url.set_username("");
    url.set_query(None);
    url.set_fragment(None);
    url.to_string().trim_end_matches('/').to_owned()
}

/// A server with Prometheus's HTTP API.
#[derive(Debug)]
pub(crate) struct Server {
    web: Web,
    base: Url,
}

impl Server {
    /// The variable with a bearer token for it.
    pub(crate) const TOKEN: &'static str = "MESHWISE_PROMETHEUS_TOKEN";

    pub(crate) fn new(base: &str, timeout: Duration) -> Result<Self, WebError> {
        let base = address(base)?;
        Ok(Self { web: Web::new(Some(Self::TOKEN), timeout)?, base })
    }
}

impl Backend for Server {
    fn ask(
        &self,
        path: &str,
        params: &Params,
    ) -> Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>> {
        let mut url = self.base.clone();
        // The server may lie below a path: `https://mimir.example.com/prometheus`.
        let below = format!("{}/{path}", self.base.path().trim_end_matches('/'));
        url.set_path(&below);
        url.query_pairs_mut().clear().extend_pairs(params);
        let (head, body) = self.web.send(self.web.client().get(url), MAX_BYTES)?;
        match head.status {
            // The server's own words are in the body, and say more than the status.
            200 | 400 | 422 | 503 if body.first() == Some(&b'{') => Ok(body),
            200 => Ok(body),
            status => Err(Box::new(WebError::Status { status })),
        }
    }

    fn name(&self) -> String {
        shown(&self.base)
    }
}
