//! Guarded clients of peers: what an outgoing call passes through, in this order.
//!
//! ```text
//! API versions -> deadline -> retry -> timeout -> breaker -> bulkhead -> one span an attempt -> transport
//! ```

#[cfg(feature = "grpc")]
pub(crate) mod grpc;
#[cfg(feature = "client")]
pub(crate) mod http;

use crate::{changes::Changes, mesh::Mesh, settings::OperatorSettings};
#[cfg(feature = "api")]
use meshwise_api::RequiredApi;
#[cfg(feature = "api")]
use meshwise_api_http::{ApiClientBuilder, ApiClientLayer};
use meshwise_core::{
    Classifier, EnvError,
    settings::{FaultSettings, Map, PeerSettings, Problem, Settings, SettingsError, Source},
};
use meshwise_http::{ClientLayer, incoming_attempt, incoming_deadline, incoming_limit};
use meshwise_resilience::{ConfigError, DeadlineConfig, PeerConfig, PeerLayer};
use std::fmt;
use tower::layer::util::Identity;
#[cfg(feature = "api")]
use tower::util::Either;

/// Where a peer is, if the operator says so.
#[derive(Debug)]
pub(crate) struct PeerUrl {
    source: String,
    pub(crate) url: String,
}

impl PeerUrl {
    /// Looks up `peers.{peer}.url`.
    pub(crate) fn of(operator: &OperatorSettings, peer: &str) -> Option<Self> {
        let said = operator.peer(peer).url;
        let source = match said.source() {
            Source::Variable(name) => name.to_string(),
            other => format!("{other}: peers.{peer}.url"),
        };
        Some(Self { url: said.get()?.clone(), source })
    }

    fn refused(self, example: &str, reason: &str) -> ClientBuildError {
        let allowed = format!("something like `{example}`: {reason}");
        ClientBuildError::Env(EnvError::new(self.source, self.url, allowed))
    }
}

/// What stands between a caller and the layer that observes each attempt.
#[derive(Default)]
pub(crate) struct Guarding {
    pub(crate) guards: Changes<PeerConfig>,
    #[cfg(feature = "api")]
    pub(crate) api: Changes<ApiClientBuilder>,
}

/// Writes the methods of a client's builder that change what guards it.
macro_rules! guarding_setters {
    () => {
        /// Changes the guards: each can be tuned or left out.
        ///
        /// ```no_run
        /// # use std::time::Duration;
        /// # fn f(mesh: &meshwise::Mesh) {
        /// mesh.client("stock").with_guards(|guards| {
        ///     guards.with_timeout(Duration::from_millis(400)).without_retry()
        /// });
        /// # }
        /// ```
        pub fn with_guards(
            mut self,
            change: impl FnOnce(meshwise_resilience::PeerConfig) -> meshwise_resilience::PeerConfig
            + Send
            + 'static,
        ) -> Self {
            self.guarding.guards.add(change);
            self
        }

        /// Sets how answers and errors are judged, by guards, span and metrics alike: what counts against the
        /// peer, what is tried again, what is overload.
        ///
        /// All clients of a peer share its guards: one that judges otherwise than those before is refused by
        /// `build`.
        pub fn with_classifier(self, classifier: meshwise_core::Classifier) -> Self {
            self.with_guards(|guards| guards.with_classifier(classifier))
        }

        /// Leaves all guards out: one attempt, however long it takes. Deadlines of requests, and of the
        /// call being served, still hold.
        ///
        /// All clients of a peer share its guards: beside one that has them, `build` fails and says so.
        pub fn without_guards(self) -> Self {
            self.with_guards($crate::peer::unguarded)
        }

        /// Changes what is known of the peer's API versions, if the mesh has
        /// [`apis`](crate::MeshBuilder::apis).
        #[cfg(feature = "api")]
        pub fn with_api(
            mut self,
            change: impl FnOnce(
                meshwise_api_http::ApiClientBuilder,
            ) -> meshwise_api_http::ApiClientBuilder
            + Send
            + 'static,
        ) -> Self {
            self.guarding.api.add(change);
            self
        }
    };
}

pub(crate) use guarding_setters;

/// The layer that knows the peer's API versions, if this service has declared its own.
#[cfg(feature = "api")]
pub(crate) type ApiLayer = Either<ApiClientLayer, Identity>;
#[cfg(not(feature = "api"))]
pub(crate) type ApiLayer = Identity;

/// A service within an [`ApiLayer`].
#[cfg(feature = "api")]
pub(crate) type Versioned<S> = Either<meshwise_api_http::ApiClientService<S>, S>;
#[cfg(not(feature = "api"))]
pub(crate) type Versioned<S> = S;

impl Guarding {
    /// Decides what the guards are: as code says, and the operator's settings over that.
    pub(crate) fn decide(self, mesh: &Mesh, peer: &str) -> Decided {
        let incoming = DeadlineConfig::new().with_incoming(incoming_deadline);
        let incoming = incoming.with_incoming_limit(incoming_limit);
        let config = PeerConfig::new().with_incoming(incoming, incoming_attempt);
        // The operator's settings come last, over those of all clients alike.
        let (code, mut said) = (mesh.0.code.peer(peer), mesh.0.operator.peer(peer));
        let config = self.guards.apply(config.with_settings(&code)).with_settings(&said);
        let mut all = Settings::default();
        *all.peers.entry(peer) = config.settings();
        let mut all = all.from_code();
        let shown = all.peers.entry(peer);
        // Routes stand there by the names that the guards have for them.
        said.routes = Map::default();
        shown.fault = code.fault;
        shown.overlay(&said);
        let shown = shown.clone();
        Decided {
            config,
            all,
            shown,
            #[cfg(feature = "api")]
            api: self.api,
        }
    }
}

/// The guards of a client that is being built.
pub(crate) struct Decided {
    config: PeerConfig,
    /// The peer's settings, as part of all, and alone.
    all: Settings,
    shown: PeerSettings,
    #[cfg(feature = "api")]
    api: Changes<ApiClientBuilder>,
}

impl Decided {
    /// Has the layer that observes each attempt judge as the guards do, if they were told how: a call has
    /// one verdict. By what header it tells how much time there is, the guards learn from it.
    pub(crate) fn judge(&mut self, layer: ClientLayer) -> ClientLayer {
        self.config = self.config.clone().with_timeout_header(layer.timeout_header().clone());
        let (told, default) = (self.config.classifier(), Classifier::new());
        match told.same_tables(&default) && told.faults().is_empty() {
            true => layer,
            false => layer.with_classifier(told.clone()),
        }
    }

    /// Makes the layers; all clients of a peer share its guards, which can be seen and turned by the
    /// mesh. `errors` knows those of this client's transport.
    pub(crate) fn build(
        self,
        mesh: &Mesh,
        peer: &str,
        errors: &Classifier,
    ) -> Result<(ApiLayer, PeerLayer, FaultsLayer), ClientBuildError> {
        let Self { config, all, shown, .. } = self;
        // All that may fail comes before the guards, which are there for good.
        let faults = faults(&shown.fault, peer)?;
        let classifier = config.classifier().clone().with_faults_of(errors);
        let recorder = mesh.metrics().recorder();
        let guards = metrics::with_local_recorder(&recorder, || {
            mesh.guards().share(peer, config, classifier)
        });
        let guards = guards.map_err(|error| blame(&all, peer, error))?;
        mesh.0.in_force.change(|settings| *settings.peers.entry(peer) = shown);
        #[cfg(not(feature = "api"))]
        let api = Identity::new();
        #[cfg(feature = "api")]
        let api = match mesh.declared() {
            Some(declared) => {
                let builder = ApiClientLayer::builder(declared, peer).with_recorder(recorder);
                Either::Left(self.api.apply(builder).build())
            }
            None => Either::Right(Identity::new()),
        };
        Ok((api, guards, faults))
    }
}

impl fmt::Debug for Guarding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guarding").finish_non_exhaustive()
    }
}

/// Makes faults in the place of the peer, if they are built in.
#[cfg(feature = "fault")]
pub(crate) type Faulty<S> = meshwise_resilience::FaultService<S>;
#[cfg(feature = "fault")]
type FaultsLayer = meshwise_resilience::FaultLayer;
#[cfg(not(feature = "fault"))]
pub(crate) type Faulty<S> = S;
#[cfg(not(feature = "fault"))]
type FaultsLayer = Identity;

/// Makes the layer of faults that are set for a peer; guards see what it makes, and no span does.
#[cfg(feature = "fault")]
fn faults(set: &FaultSettings, peer: &str) -> Result<FaultsLayer, ClientBuildError> {
    use meshwise_resilience::{FaultConfig, FaultLayer};
    let refuse = |source| ClientBuildError::Guards { peer: peer.to_owned(), source };
    let config = FaultConfig::from_settings(set);
    let layer = FaultLayer::new(peer, config).map_err(refuse)?;
    layer.handle().switch(set.enabled.or(false));
    Ok(layer)
}

/// Refuses faults that are set for a peer and not built in.
#[cfg(not(feature = "fault"))]
fn faults(set: &FaultSettings, peer: &str) -> Result<FaultsLayer, ClientBuildError> {
    if !set.enabled.or(false) {
        return Ok(Identity::new());
    }
    let problem = crate::settings::NO_FAULTS;
    let key = format!("peers.{peer}.fault.enabled");
    Err(ClientBuildError::Settings(Problem::new(set.enabled.source().clone(), key, problem).into()))
}

/// Says where the setting stands that guards refuse, if it is the operator's.
fn blame(all: &Settings, peer: &str, error: ConfigError) -> ClientBuildError {
    let found = all.find_set(&format!("peers.{peer}."), &format!(".{}", error.setting()));
    match found.filter(|found| found.source.is_operator()) {
        Some(found) => {
            let problem = format!("is {}; allowed: {}", error.value(), error.allowed());
            let problem = Problem::new(found.source, found.path.to_string(), problem);
            ClientBuildError::Settings(problem.into())
        }
        None => ClientBuildError::Guards { peer: peer.to_owned(), source: error },
    }
}

/// Tells whether this service has declared what it requires, and nothing of this peer is among it.
#[cfg(feature = "api")]
pub(crate) fn is_undeclared(mesh: &Mesh, peer: &str) -> bool {
    mesh.declared().is_some_and(|declared| {
        let provides = |api: &RequiredApi| api.provider.unwrap_or(api.api) == peer;
        !declared.requires.iter().any(provides)
    })
}

/// Nothing is declared in this build.
#[cfg(not(feature = "api"))]
pub(crate) fn is_undeclared(_: &Mesh, _: &str) -> bool {
    false
}

/// Leaves every guard out that can be.
pub(crate) fn unguarded(config: PeerConfig) -> PeerConfig {
    config.without_total().without_retry().without_timeout().without_breaker().without_bulkhead()
}

/// Says why a peer's client cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientBuildError {
    /// A variable of the environment holds a bad value.
    #[error(transparent)]
    Env(#[from] EnvError),
    /// Settings of the operator's are not allowed together.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The address or the transport is bad.
    #[cfg(feature = "client")]
    #[error("the client of `{peer}` cannot be made")]
    Http {
        /// The peer.
        #[doc(hidden)]
        peer: String,
        /// What is wrong.
        #[doc(hidden)]
        source: meshwise_reqwest::BuildError,
    },
    /// An endpoint or its settings are bad.
    #[cfg(feature = "grpc")]
    #[error("the gRPC client of `{peer}` cannot be made")]
    Grpc {
        /// The peer.
        #[doc(hidden)]
        peer: String,
        /// What is wrong.
        #[doc(hidden)]
        source: meshwise_tonic::BuildError,
    },
    /// The guards' settings make no sense.
    #[error("the guards of `{peer}` cannot be set like this")]
    Guards {
        /// The peer.
        #[doc(hidden)]
        peer: String,
        /// What is wrong, and what is allowed.
        #[doc(hidden)]
        source: ConfigError,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use meshwise_core::Env;

    #[test]
    fn a_peer_s_variable_is_upper_case_and_named_when_it_is_wrong() {
        let env = Env::from_pairs([("MESHWISE_PEERS_AUTH_V2_EU_URL", "http://auth")]);
        let operator = OperatorSettings::read(&env, &mut Vec::new(), &mut Vec::new());
        let said = PeerUrl::of(&operator, "auth-v2.eu").expect("it is set");
        assert_eq!(said.url, "http://auth");
        assert_eq!(
            said.refused("http://auth:8080", "it has no host").to_string(),
            "MESHWISE_PEERS_AUTH_V2_EU_URL is `http://auth`; allowed: something like \
             `http://auth:8080`: it has no host"
        );
        assert!(PeerUrl::of(&operator, "auth").is_none());
    }
}
