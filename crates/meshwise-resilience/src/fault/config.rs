//! Which requests meet which fault.

use crate::ConfigError;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use meshwise_core::GrpcCode;
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
pub struct FaultConfig {
    pub(super) delay: Option<(f64, Duration)>,
    pub(super) abort: Option<(f64, Abort)>,
    pub(super) headers: Vec<(HeaderName, Option<HeaderValue>)>,
}

/// What a request that is aborted gets for an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Abort {
    /// A response with this status and an empty body.
    Status(StatusCode),
    /// A gRPC response of trailers only with this code.
    Grpc(GrpcCode),
}

impl FaultConfig {
    /// Meddles with nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self { delay: None, abort: None, headers: Vec::new() }
    }

    /// Delays a share of the requests, 0 to 1, by so long.
    #[must_use]
    pub const fn with_delay(mut self, share: f64, delay: Duration) -> Self {
        self.delay = Some((share, delay));
        self
    }

    /// Answers a share of the requests, 0 to 1, itself; drawn apart from the delay, so a request
    /// can meet both.
    #[must_use]
    pub const fn with_abort(mut self, share: f64, abort: Abort) -> Self {
        self.abort = Some((share, abort));
        self
    }

    /// Meddles only with requests that have this header, with this value if one is given. Several
    /// must all be there.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: Option<HeaderValue>) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Checks that the settings make sense.
    ///
    /// # Errors
    ///
    /// Names the first setting that does not, and what is allowed.
    pub fn check(&self) -> Result<(), ConfigError> {
        if let Some((share, delay)) = self.delay {
            ConfigError::check_share("fault.delay.share", share)?;
            ConfigError::check_duration("fault.delay", delay, Duration::ZERO)?;
        }
        if let Some((share, _)) = self.abort {
            ConfigError::check_share("fault.abort.share", share)?;
        }
        Ok(())
    }

    pub(super) fn matches(&self, headers: &HeaderMap) -> bool {
        self.headers.iter().all(|(name, value)| match value {
            Some(value) => headers.get_all(name).iter().any(|found| found == value),
            None => headers.contains_key(name),
        })
    }
}
