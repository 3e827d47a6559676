//! Which requests meet which fault.

use crate::{
    config_error::ConfigError,
    setters::{self, setters},
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use meshwise_core::{
    GrpcCode,
    settings::{FaultAbortSettings, FaultSettings},
};
use std::time::Duration;

/// Says which share of the requests is delayed and which is answered with an error.
///
/// ```
/// use meshwise_resilience::{Abort, FaultConfig, FaultLayer};
/// use std::time::Duration;
/// let config = FaultConfig::new()
///     .with_delay(0.1, Duration::from_secs(2))
///     .with_abort(0.05, Abort::Status(http::StatusCode::SERVICE_UNAVAILABLE))
///     .with_header(http::HeaderName::from_static("x-chaos"), None);
/// let layer = FaultLayer::new("stock", config)?;
/// layer.handle().switch(true);
/// # Ok::<(), meshwise_resilience::ConfigError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FaultConfig(FaultSettings);

/// What a request that is aborted gets for an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Abort {
    /// A response with this status and an empty body.
    Status(StatusCode),
    /// A gRPC response of trailers only with this code.
    Grpc(GrpcCode),
}

setters! { FaultConfig.0 {
    /// Delays a share of the requests, 0 to 1, by so long.
    with_delay(share: f64, delay: Duration) => delay.share = share, delay.time = delay;
} }

impl FaultConfig {
    /// Meddles with nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes the faults that are set; whether they are made is for the layer's handle to switch.
    ///
    /// # Errors
    /// If a header's name or value is none.
    pub fn from_settings(settings: &FaultSettings) -> Result<Self, ConfigError> {
        let mut config = Self(settings.clone());
        config.0.enabled.clear();
        config.check().map(|()| config)
    }

    /// Answers a share of the requests, 0 to 1, itself; drawn apart from the delay, so a request
    /// can meet both. [`GrpcCode::Ok`] aborts nothing as gRPC: such a request gets a 503.
    #[must_use]
    pub fn with_abort(mut self, share: f64, abort: Abort) -> Self {
        let said = &mut self.0.abort;
        *said = FaultAbortSettings::default();
        said.share.set(share);
        match abort {
            Abort::Status(status) => said.status.set(u32::from(status.as_u16())),
            Abort::Grpc(code) => said.grpc_code.set(code as u32),
        }
        self
    }

    /// Meddles only with requests that have this header, with this value if one is given and not
    /// `*`. Several headers must all be there; of one that is given twice the later value counts.
    #[allow(clippy::needless_pass_by_value, reason = "as all setters take theirs")]
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: Option<HeaderValue>) -> Self {
        let value = value.as_ref().map_or(ANY.into(), |v| String::from_utf8_lossy(v.as_bytes()));
        self.0.headers.entry(name.as_str()).set(value.into_owned());
        self
    }

    /// Checks that the settings make sense.
    ///
    /// # Errors
    ///
    /// Names the first setting that does not, and what is allowed.
    pub fn check(&self) -> Result<(), ConfigError> {
        for (name, _) in self.0.headers.iter() {
            if HeaderName::try_from(name).is_err() {
                return Err(ConfigError::new("fault.headers", name, "names of headers"));
            }
        }
        setters::check("fault", self.0.wrong())
    }

    pub(super) fn matches(&self, headers: &HeaderMap) -> bool {
        self.0.headers.iter().all(|(name, value)| match value.get().map(String::as_str) {
            Some(ANY) | None => headers.contains_key(name),
            Some(value) => headers.get_all(name).iter().any(|found| found == value),
        })
    }

    /// Returns the share that is delayed, and by how much.
    pub(super) fn delay(&self) -> (f64, Duration) {
        (self.0.delay.share.or_none(), self.0.delay.time.or_none())
    }

    /// Returns the share that is aborted, and how.
    pub(super) fn abort(&self) -> (f64, Abort) {
        let said = &self.0.abort;
        let status = u16::try_from(said.status.or_none()).ok();
        let status = status.and_then(|status| StatusCode::from_u16(status).ok());
        let abort = match said.grpc_code.or_none() {
            0 => Abort::Status(status.unwrap_or(StatusCode::SERVICE_UNAVAILABLE)),
            code => Abort::Grpc(GrpcCode::from_number(code)),
        };
        (said.share.or_none(), abort)
    }
}

/// Stands for any value of a header.
const ANY: &str = "*";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_made_as_they_are_set() {
        let mut settings = FaultSettings::default();
        assert_eq!(FaultConfig::from_settings(&settings), Ok(FaultConfig::new()));
        settings.delay.share.set(0.5);
        settings.delay.time.set(Duration::from_secs(2));
        settings.abort.share.set(1.0);
        settings.headers.entry("x-chaos").set("*".to_owned());
        let config = FaultConfig::from_settings(&settings).unwrap();
        assert_eq!(config.delay(), (0.5, Duration::from_secs(2)));
        assert_eq!(config.abort(), (1.0, Abort::Status(StatusCode::SERVICE_UNAVAILABLE)));
        let mut headers = HeaderMap::new();
        assert!(!config.matches(&headers));
        headers.insert("x-chaos", HeaderValue::from_static("1"));
        assert!(config.matches(&headers));
        settings.abort.grpc_code.set(14_u32);
        let config = FaultConfig::from_settings(&settings).unwrap();
        assert_eq!(config.abort(), (1.0, Abort::Grpc(GrpcCode::Unavailable)));
        settings.headers.entry("x y").set("1".to_owned());
        let error = FaultConfig::from_settings(&settings).unwrap_err().to_string();
        assert_eq!(error, "fault.headers is x y: set it to names of headers");
    }
}
