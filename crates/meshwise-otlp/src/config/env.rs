//! What the environment says of the collector, taken from the tree of settings, which has read it.

use super::{BASE_ENDS, Compression, Endpoint, OtlpConfig, OtlpProtocol, pem_file::PemFile};
use crate::signal::SignalExt as _;
use meshwise_core::{
    Env, EnvError, Signal,
    internal::otlp_variables::{self, OtlpVariables},
    settings::{OtlpParts, Setting, Settings, SettingsError},
};

/// Says which protocols there are, and why others of the specification's are not.
fn protocols() -> String {
    let all = [OtlpProtocol::Grpc, OtlpProtocol::HttpProtobuf, OtlpProtocol::HttpJson];
    let (mut there, mut missing) = (Vec::new(), String::new());
    for protocol in all {
        match protocol.missing_feature() {
            None => there.push(protocol.as_str()),
            Some(feature) => {
                missing += &format!("; `{}` needs the feature `{feature}`", protocol.as_str());
            }
        }
    }
    format!("{}{missing}", if there.is_empty() { "none".to_owned() } else { there.join(", ") })
}

/// Names the variable that has set something.
fn variable<T>(setting: &Setting<T>, names: &[&'static str; 2]) -> &'static str {
    let source = setting.source().to_string();
    names.iter().find(|name| **name == source).copied().unwrap_or(names[0])
}

impl OtlpConfig {
    /// Reads `OTEL_EXPORTER_OTLP_*`; those for this signal beat those for all. A value that is not
    /// allowed, or not compiled in, is ignored, and [`Env::findings`] tells.
    ///
    /// # Errors
    /// With `MESHWISE_STRICT`, for each of these.
    #[doc(hidden)]
    pub fn from_env(env: &Env, signal: Signal) -> Result<Self, SettingsError> {
        let mut said = Settings::from_standard_env_of(env, |path| path.is_in(signal.section()))?;
        let said = match signal {
            Signal::Logs => said.log.otlp.parts(),
            Signal::Metrics => said.metrics.otlp.parts(),
            Signal::Traces => said.traces.otlp.parts(),
        };
        Self::from_standard(said, env, signal).map_err(Into::into)
    }

    /// Takes what the environment has set. What is not compiled in is ignored, and [`Env::findings`]
    /// tells.
    ///
    /// # Errors
    /// With `MESHWISE_STRICT`, for each of these.
    #[doc(hidden)]
    pub fn from_standard(said: OtlpParts<'_>, env: &Env, signal: Signal) -> Result<Self, EnvError> {
        let names: &OtlpVariables = otlp_variables::of(signal);
        let file = |setting: &Setting<String>, names: &[&'static str; 2]| {
            let path = setting.get()?.clone();
            Some(PemFile { source: variable(setting, names), path })
        };
        let endpoint = |setting: &Setting<String>, whole: bool| {
            let text = setting.get()?.clone();
            Some(Endpoint { source: names.endpoint[usize::from(!whole)], text, whole })
        };
        let files = [
            file(said.certificate, &names.certificate),
            file(said.client_certificate, &names.client_certificate),
            file(said.client_key, &names.client_key),
        ];
        let [ca, client_cert, client_key] = files;
        let endpoint =
            endpoint(said.signal_endpoint, true).or_else(|| endpoint(said.endpoint, false));
        let protocol = variable(said.protocol, &names.protocol);
        let compression = variable(said.compression, &names.compression);
        let mut config =
            Self { endpoint, ca, client_cert, client_key, ..Self::from_settings(said) };
        if let Some(base) = config.endpoint.as_mut().filter(|endpoint| !endpoint.whole)
            && let Some(at) = base.text.find(['?', '#'])
        {
            base.text.truncate(at);
            env.refuse(EnvError::other(base.source, format!("has {BASE_ENDS}")))?;
        }
        if let Some(named) = config.protocol.filter(|named| named.missing_feature().is_some()) {
            config.protocol = None;
            env.refuse(EnvError::new(protocol, named.as_str(), protocols()))?;
        }
        if config.compression == Some(Compression::Gzip) && !cfg!(feature = "gzip") {
            config.compression = None;
            let allowed = "none; `gzip` needs the feature `gzip`";
            env.refuse(EnvError::new(compression, "gzip", allowed))?;
        }
        Ok(config)
    }
}
