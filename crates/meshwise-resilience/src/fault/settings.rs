//! Faults as settings say them.

use super::config::{Abort, FaultConfig};
use crate::config_error::ConfigError;
use http::{HeaderName, HeaderValue, StatusCode};
use meshwise_core::{GrpcCode, settings::FaultSettings};

impl FaultConfig {
    /// Makes the faults that are set; whether they are made is for the layer's handle to switch.
    ///
    /// # Errors
    /// If a header's name or value is none.
    pub fn from_settings(settings: &FaultSettings) -> Result<Self, ConfigError> {
        let mut config = Self::new();
        if let Some(share) = settings.delay.share.get().filter(|share| **share > 0.0) {
            config =
                config.with_delay(*share, settings.delay.time.get().copied().unwrap_or_default());
        }
        if let Some(share) = settings.abort.share.get().filter(|share| **share > 0.0) {
            let status = settings.abort.status.get().and_then(|s| u16::try_from(*s).ok());
            let status = status.and_then(|status| StatusCode::from_u16(status).ok());
            let abort = match settings.abort.grpc_code.get() {
                Some(code) if *code > 0 => Abort::Grpc(GrpcCode::from_number(*code)),
                _ => Abort::Status(status.unwrap_or(StatusCode::SERVICE_UNAVAILABLE)),
            };
            config = config.with_abort(*share, abort);
        }
        for (name, value) in settings.headers.iter() {
            let Some(text) = value.get() else { continue };
            let wrong = |_| ConfigError::new("fault.headers", name, "names of headers");
            let header = HeaderName::try_from(name).map_err(wrong)?;
            let value = match text.as_str() {
                "*" => None,
                text => Some(HeaderValue::try_from(text).map_err(|_| {
                    ConfigError::new(
                        "fault.headers",
                        name,
                        "headers whose values are visible ASCII",
                    )
                })?),
            };
            config = config.with_header(header, value);
        }
        config.check()?;
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn faults_are_made_as_they_are_set() {
        let mut settings = FaultSettings::default();
        assert_eq!(FaultConfig::from_settings(&settings), Ok(FaultConfig::new()));
        settings.delay.share.set(0.5);
        settings.delay.time.set(Duration::from_secs(2));
        settings.abort.share.set(1.0);
        settings.headers.entry("x-chaos").set("*".to_owned());
        let wanted = FaultConfig::new()
            .with_delay(0.5, Duration::from_secs(2))
            .with_abort(1.0, Abort::Status(StatusCode::SERVICE_UNAVAILABLE))
            .with_header(HeaderName::from_static("x-chaos"), None);
        assert_eq!(FaultConfig::from_settings(&settings), Ok(wanted));
        settings.abort.grpc_code.set(14_u32);
        settings.headers.entry("x y").set("1".to_owned());
        let error = FaultConfig::from_settings(&settings).unwrap_err().to_string();
        assert_eq!(error, "fault.headers is x y: set it to names of headers");
    }
}
