//! The layer that observes outgoing calls.

pub(crate) mod config;
pub(crate) mod sending;
pub(crate) mod target;

use self::{
    config::{ClientConfig, ClientMode},
    target::Targets,
};
use crate::{
    calls::facts::Callee, names, service::ObservedService, setters::setters, telemetry::Telemetry,
};
use meshwise_core::Classifier;
use std::sync::{Arc, OnceLock};
use tower_layer::Layer;

/// Observes every call to one peer: a span for each attempt, metrics, context handed on.
///
/// Belongs inside any layer that repeats a call: each attempt is a call of its own here.
///
/// | setting | default |
/// |---|---|
/// | [`with_mode`](Self::with_mode) | [`ClientMode::Internal`] |
/// | [`with_undeclared`](Self::with_undeclared) | `false` |
/// | [`with_request_id_header`](Self::with_request_id_header) | `x-request-id` |
/// | [`with_timeout_header`](Self::with_timeout_header) | `x-request-timeout-ms` |
/// | [`with_classifier`](Self::with_classifier) | the table at [`Classifier`] |
#[derive(Clone, Debug)]
pub struct ClientLayer {
    config: Arc<ClientConfig>,
}

impl ClientLayer {
    /// Observes calls to the peer `peer` with the default settings.
    #[must_use]
    pub fn new(telemetry: Telemetry, peer: impl Into<Arc<str>>) -> Self {
        let peer = peer.into();
        Self {
            config: Arc::new(ClientConfig {
                telemetry,
                callee: Arc::new(Callee { peer: Arc::clone(&peer), address: None }),
                peer,
                mode: ClientMode::default(),
                undeclared: false,
                targets: Targets::default(),
                edge: OnceLock::new(),
                own_entry: OnceLock::new(),
                request_id_header: names::REQUEST_ID.clone(),
                timeout_header: names::REQUEST_TIMEOUT.clone(),
                classifier: Classifier::default(),
                count_bodies: Vec::new(),
                deferring: Vec::new(),
            }),
        }
    }

    setters!();

    /// Sets what the peer may learn.
    #[must_use]
    pub fn with_mode(self, mode: ClientMode) -> Self {
        self.with(|config| config.mode = mode)
    }

    /// Sets whether this service's `api.toml` requires nothing of the peer: the service map then
    /// shows its calls as undeclared. `false` by default.
    #[must_use]
    pub fn with_undeclared(self, undeclared: bool) -> Self {
        self.with(|config| config.undeclared = undeclared)
    }

    /// Returns the name of the header by which requests tell how much time there is.
    #[must_use]
    #[doc(hidden)]
    pub fn timeout_header(&self) -> &http::HeaderName {
        &self.config.timeout_header
    }

    fn with(mut self, change: impl FnOnce(&mut ClientConfig)) -> Self {
        let config = Arc::make_mut(&mut self.config);
        change(config);
        config.edge = OnceLock::new();
        config.targets = Targets::default();
        self
    }

    #[cfg(test)]
    pub(crate) fn config(&self) -> &ClientConfig {
        &self.config
    }
}

impl<S> Layer<S> for ClientLayer {
    type Service = ObservedService<S>;

    fn layer(&self, inner: S) -> ObservedService<S> {
        ObservedService::client(inner, Arc::clone(&self.config))
    }
}
