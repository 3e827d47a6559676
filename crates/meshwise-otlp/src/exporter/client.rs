//! The HTTP client: connections are made when they are needed.

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::{self, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use std::{fmt, time::Duration};

#[cfg(feature = "tls")]
pub(super) type Connector = hyper_rustls::HttpsConnector<HttpConnector>;
#[cfg(not(feature = "tls"))]
pub(super) type Connector = HttpConnector;

type Inner = legacy::Client<Connector, Full<Bytes>>;

pub(super) use legacy::Error as ClientError;

/// Connects in the clear.
pub(super) fn connector() -> HttpConnector {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    connector.set_keepalive(Some(Duration::from_secs(60)));
    connector.enforce_http(false);
    connector
}

/// Sends requests over connections that it keeps.
pub(super) struct Client {
    inner: Inner,
    connector: Connector,
    http2_only: bool,
}

impl Client {
    /// Makes no connection yet. gRPC is HTTP/2 only, also where no TLS is there to agree on it.
    pub(super) fn new(connector: Connector, http2_only: bool) -> Self {
        Self { inner: build(connector.clone(), http2_only), connector, http2_only }
    }

    pub(super) async fn send(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, ClientError> {
        self.inner.request(request).await
    }

    /// Forgets all connections.
    pub(super) fn reconnect(&mut self) {
        self.inner = build(self.connector.clone(), self.http2_only);
    }
}

fn build(connector: Connector, http2_only: bool) -> Inner {
    legacy::Client::builder(TokioExecutor::new())
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(Duration::from_secs(60))
        .http2_only(http2_only)
        .build(connector)
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("http2_only", &self.http2_only).finish_non_exhaustive()
    }
}
