//! The client of one peer.

use crate::{error::fault, transport::Transport};
use meshwise_core::internal::has_bad_port;
use meshwise_http::{ClientLayer, ClientMode, ObservedService, Telemetry};
use tonic::{
    Status,
    body::Body,
    transport::{Channel, Endpoint},
};
use tower_layer::Layer;

/// Calls one peer: what generated clients take as their service
/// (`AuthClient::new(client)`).
///
/// Cheap to clone; clones share connections.
pub type Observed<S = Channel> = ObservedService<Transport<S>>;

/// Builds the client of one peer.
///
/// | setting | default |
/// |---|---|
/// | [`with_endpoint`](Self::with_endpoint), [`with_endpoints`](Self::with_endpoints) | `http://{peer}` |
/// | [`with_mode`](Self::with_mode) | [`ClientMode::Internal`] |
/// | [`with_channel`](Self::with_channel) | a channel to the endpoints that connects when it is first used |
#[derive(Debug)]
#[must_use]
pub struct GrpcClientBuilder {
    layer: ClientLayer,
    endpoints: Vec<String>,
    configure: Vec<Configure>,
    channel: Option<Channel>,
}

struct Configure(Box<dyn Fn(Endpoint) -> Result<Endpoint, tonic::transport::Error> + Send>);

impl std::fmt::Debug for Configure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Configure")
    }
}

impl GrpcClientBuilder {
    /// Starts a client of the peer `peer`.
    pub fn new(telemetry: &Telemetry, peer: &str) -> Self {
        Self {
            layer: ClientLayer::new(telemetry.clone(), peer)
                .with_error::<Status>()
                .with_fault(fault)
                .with_counted_body::<Body>(Body::new),
            endpoints: vec![format!("http://{peer}")],
            configure: Vec::new(),
            channel: None,
        }
    }

    /// Sets where the peer is: scheme, host and port, such as `http://auth:50051`.
    pub fn with_endpoint(self, url: impl Into<String>) -> Self {
        self.with_endpoints([url])
    }

    /// Sets the peer's instances, which calls are balanced over (the less loaded of two picked
    /// at random).
    pub fn with_endpoints(mut self, urls: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.endpoints = urls.into_iter().map(Into::into).collect();
        self
    }

    /// Changes the settings of each endpoint: TLS, keep-alive, limits, window sizes.
    ///
    /// ```no_run
    /// # fn f(builder: meshwise_tonic::GrpcClientBuilder) {
    /// builder.with_endpoint_settings(|endpoint| {
    ///     Ok(endpoint.connect_timeout(std::time::Duration::from_secs(1)))
    /// });
    /// # }
    /// ```
    pub fn with_endpoint_settings(
        mut self,
        change: impl Fn(Endpoint) -> Result<Endpoint, tonic::transport::Error> + Send + 'static,
    ) -> Self {
        self.configure.push(Configure(Box::new(change)));
        self
    }

    /// Sends through a channel of one's own; endpoints and their settings are not used then.
    pub fn with_channel(mut self, channel: Channel) -> Self {
        self.channel = Some(channel);
        self
    }

    /// Sets what the peer may learn; a third party wants [`ClientMode::External`].
    pub fn with_mode(mut self, mode: ClientMode) -> Self {
        self.layer = self.layer.with_mode(mode);
        self
    }

    /// Changes the layer that observes the calls.
    pub fn with_layer(mut self, change: impl FnOnce(ClientLayer) -> ClientLayer) -> Self {
        self.layer = change(self.layer);
        self
    }

    /// Makes the client; it connects when it is first called, and again whenever it must.
    ///
    /// Call it within a tokio runtime: the channel runs there.
    ///
    /// # Errors
    /// If there is no endpoint, one is no URL, or its settings cannot be applied.
    pub fn build(self) -> Result<Observed, BuildError> {
        let channel = match self.channel {
            Some(channel) => channel,
            None => {
                let mut endpoints = endpoints(&self.endpoints, &self.configure)?;
                match endpoints.pop() {
                    Some(only) if endpoints.is_empty() => only.connect_lazy(),
                    Some(last) => Channel::balance_list(endpoints.into_iter().chain([last])),
                    None => return Err(BuildError::NoEndpoint),
                }
            }
        };
        Ok(self.layer.layer(Transport::new(channel)))
    }

    /// Makes the client over a transport of one's own; endpoints and their settings are not used then.
    pub fn build_over<S>(self, transport: S) -> Observed<S> {
        self.layer.layer(Transport::new(transport))
    }

    /// Makes the client and connects it, so that a peer that is not there is an error now.
    ///
    /// Several endpoints are not waited for: calls go to those that answer.
    ///
    /// # Errors
    /// As [`build`](Self::build), and if the only endpoint cannot be connected to.
    pub async fn connect(mut self) -> Result<Observed, BuildError> {
        if self.channel.is_none() && self.endpoints.len() == 1 {
            for endpoint in endpoints(&self.endpoints, &self.configure)? {
                let url = endpoint.uri().to_string();
                let connected = endpoint.connect().await;
                self.channel =
                    Some(connected.map_err(|source| BuildError::Connect { url, source })?);
            }
        }
        self.build()
    }
}

fn endpoints(urls: &[String], configure: &[Configure]) -> Result<Vec<Endpoint>, BuildError> {
    urls.iter()
        .map(|url| {
            let refuse = |reason: &'static str| BuildError::Endpoint { url: url.clone(), reason };
            let uri: http::Uri = url.parse().map_err(|_| refuse("it does not parse"))?;
            match uri.scheme_str() {
                Some("http") => {}
                Some("https") if cfg!(feature = "tls") => {}
                Some("https") => return Err(refuse("https needs the feature `tls`")),
                Some(_) => return Err(refuse("the scheme must be http or https")),
                None => return Err(refuse("it has no scheme")),
            }
            if uri.authority().is_some_and(has_bad_port) {
                return Err(refuse("its port is no number up to 65535"));
            }
            let settings = |source| BuildError::Settings { url: url.clone(), source };
            let endpoint = Endpoint::from(uri);
            #[cfg(feature = "tls")]
            let endpoint = if endpoint.uri().scheme_str() == Some("https") {
                let tls = tonic::transport::ClientTlsConfig::new().with_enabled_roots();
                endpoint.tls_config(tls).map_err(settings)?
            } else {
                endpoint
            };
            configure
                .iter()
                .try_fold(endpoint, |endpoint, change| change.0(endpoint))
                .map_err(settings)
        })
        .collect()
}

/// Says why a client cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// An endpoint is no URL.
    #[error("`{url}` is no endpoint; write something like `http://auth:50051`: {reason}")]
    Endpoint {
        /// What was given.
        #[doc(hidden)]
        url: String,
        /// What is wrong with it.
        #[doc(hidden)]
        reason: &'static str,
    },
    /// There is nowhere to send calls to.
    #[error("the list of endpoints is empty; name at least one")]
    NoEndpoint,
    /// The settings of an endpoint cannot be applied.
    #[error("the settings of endpoint `{url}` cannot be applied")]
    Settings {
        /// The endpoint.
        #[doc(hidden)]
        url: String,
        /// What is wrong.
        #[doc(hidden)]
        source: tonic::transport::Error,
    },
    /// No one answers.
    #[error("could not connect to `{url}`")]
    Connect {
        /// The endpoint.
        #[doc(hidden)]
        url: String,
        /// Why.
        #[doc(hidden)]
        source: tonic::transport::Error,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use meshwise_core::Service as Identity;

    fn builder() -> GrpcClientBuilder {
        let telemetry = Telemetry::new(Identity::new("orders", "1.0.0"));
        GrpcClientBuilder::new(&telemetry, "auth")
    }

    #[tokio::test]
    async fn a_bad_endpoint_is_told_with_what_is_wrong() {
        for (url, reason) in
            [("auth:50051", "no scheme"), ("ftp://auth", "http or https"), ("http:// x", "parse")]
        {
            let error = builder().with_endpoint(url).build().unwrap_err().to_string();
            assert!(error.contains(url) && error.contains(reason), "{error}");
        }
        let none: [&str; 0] = [];
        assert!(matches!(builder().with_endpoints(none).build(), Err(BuildError::NoEndpoint)));
        builder().with_endpoints(["http://a", "http://b"]).build().unwrap();
    }

    #[tokio::test]
    async fn who_is_not_there_is_an_error_when_connecting_at_once() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        drop(listener);
        let error = builder().with_endpoint(&url).connect().await.unwrap_err();
        assert!(error.to_string().contains(&url), "{error}");
    }
}
