//! Guarded clients of peers: what an outgoing call passes through, in this order.
//!
//! ```text
//! API versions -> deadline -> retry -> timeout -> breaker -> bulkhead -> one span an attempt -> transport
//! ```

#[cfg(feature = "grpc")]
pub(crate) mod grpc;
#[cfg(feature = "client")]
pub(crate) mod http;

use crate::{Mesh, changes::Changes};
use meshwise_api_http::{ApiClientBuilder, ApiClientLayer};
use meshwise_core::{Classifier, Env, EnvError};
use meshwise_http::{incoming_attempt, incoming_deadline, incoming_limit};
use meshwise_resilience::{ConfigError, PeerConfig, PeerLayer};
use std::fmt;
use tower::{layer::util::Identity, util::Either};

/// Where a peer is, if the environment says so.
#[derive(Debug)]
pub(crate) struct PeerUrl {
    variable: String,
    pub(crate) url: String,
}

impl PeerUrl {
    /// Reads `MESHWISE_CLIENT_{PEER}_URL`.
    pub(crate) fn of(env: &Env, peer: &str) -> Option<Self> {
        let upper = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
        let variable: String = peer.chars().map(upper).collect();
        let variable = format!("MESHWISE_CLIENT_{variable}_URL");
        Some(Self { url: env.get(&variable)?, variable })
    }

    fn refused(self, example: &str, reason: &str) -> ClientBuildError {
        let allowed = format!("something like `{example}`: {reason}");
        ClientBuildError::Env(EnvError::new(self.variable, self.url, allowed))
    }
}

/// What stands between a caller and the layer that observes each attempt.
#[derive(Default)]
pub(crate) struct Guarding {
    pub(crate) guards: Changes<PeerConfig>,
    pub(crate) api: Changes<ApiClientBuilder>,
}

/// The layer that knows the peer's API versions, if this service has declared its own.
pub(crate) type ApiLayer = Either<ApiClientLayer, Identity>;

impl Guarding {
    /// Makes the layers; all clients of a peer share its guards, which can be seen and turned by the
    /// mesh. `errors` knows those of this client's transport.
    pub(crate) fn build(
        self,
        mesh: &Mesh,
        peer: &str,
        errors: &Classifier,
    ) -> Result<(ApiLayer, PeerLayer), ConfigError> {
        let config = PeerConfig::new()
            .with_incoming_deadline(incoming_deadline)
            .with_incoming_limit(incoming_limit)
            .with_incoming_attempt(incoming_attempt);
        let config = self.guards.apply(config);
        let classifier = config.classifier().clone().with_faults_of(errors);
        let recorder = mesh.metrics().recorder();
        let guards = metrics::with_local_recorder(&recorder, || {
            mesh.guards().share(peer, config, classifier)
        })?;
        let api = match mesh.declared() {
            Some(declared) => {
                let builder = ApiClientLayer::builder(declared, peer).with_recorder(recorder);
                Either::Left(self.api.apply(builder).build())
            }
            None => Either::Right(Identity::new()),
        };
        Ok((api, guards))
    }
}

impl fmt::Debug for Guarding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guarding").finish_non_exhaustive()
    }
}

/// Leaves every guard out that can be.
pub(crate) fn unguarded(config: PeerConfig) -> PeerConfig {
    config.without_total().without_retry().without_timeout().without_breaker().without_bulkhead()
}

/// Says why a peer's client can't be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientBuildError {
    /// A variable of the environment holds a bad value.
    #[error(transparent)]
    Env(#[from] EnvError),
    /// The address or the transport is bad.
    #[cfg(feature = "client")]
    #[error("the client of `{peer}` can't be made")]
    Http {
        /// The peer.
        peer: String,
        /// What is wrong.
        source: meshwise_reqwest::BuildError,
    },
    /// An endpoint or its settings are bad.
    #[cfg(feature = "grpc")]
    #[error("the gRPC client of `{peer}` can't be made")]
    Grpc {
        /// The peer.
        peer: String,
        /// What is wrong.
        source: meshwise_tonic::BuildError,
    },
    /// The guards' settings make no sense.
    #[error("the guards of `{peer}` can't be set like this")]
    Guards {
        /// The peer.
        peer: String,
        /// What is wrong, and what is allowed.
        source: ConfigError,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_s_variable_is_upper_case_and_named_when_it_is_wrong() {
        let env = Env::from_pairs([("MESHWISE_CLIENT_AUTH_V2_EU_URL", "auth")]);
        let said = PeerUrl::of(&env, "auth-v2.eu").expect("it is set");
        assert_eq!(said.url, "auth");
        assert_eq!(
            said.refused("http://auth:8080", "it has no scheme").to_string(),
            "MESHWISE_CLIENT_AUTH_V2_EU_URL is `auth`; allowed: something like \
             `http://auth:8080`: it has no scheme"
        );
        assert!(PeerUrl::of(&env, "auth").is_none());
    }
}
