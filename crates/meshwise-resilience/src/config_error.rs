//! Settings that make no sense, told at build time.

use std::{borrow::Cow, fmt, time::Duration};

/// Says which setting makes no sense, the value it has, and what is allowed.
///
/// Every `build` and `new` of this crate checks its settings with it, so that a typing error shows
/// when the service starts and not when its peer fails.
///
/// ```
/// use meshwise_resilience::{BreakerConfig, BreakerLayer};
/// let error = BreakerLayer::new("stock", BreakerConfig::new().with_failure_rate(50.0)).unwrap_err();
/// assert_eq!(error.to_string(), "breaker.failure_rate is 50: set it to more than 0 and at most 1");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{setting} is {value}: set it to {allowed}")]
pub struct ConfigError {
    setting: Cow<'static, str>,
    value: String,
    allowed: Cow<'static, str>,
}

impl ConfigError {
    /// Refuses a setting (`guard.setting`) for its value; `allowed` completes "set it to".
    #[must_use]
    #[doc(hidden)]
    pub fn new(
        setting: impl Into<Cow<'static, str>>,
        value: impl fmt::Display,
        allowed: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { setting: setting.into(), value: value.to_string(), allowed: allowed.into() }
    }

    /// Returns the setting's name, such as `breaker.failure_rate`.
    #[must_use]
    pub fn setting(&self) -> &str {
        &self.setting
    }

    /// Returns the value that was refused, as text.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Returns what is allowed.
    #[must_use]
    pub fn allowed(&self) -> &str {
        &self.allowed
    }

    /// Takes whole numbers from `least` to `most`.
    pub(crate) fn check_range(
        setting: &'static str,
        value: u32,
        least: u32,
        most: u32,
    ) -> Result<(), Self> {
        if (least..=most).contains(&value) {
            return Ok(());
        }
        Err(Self::new(setting, value, format!("{least} to {most}")))
    }

    /// Takes durations from `least` to a year: what is longer is a mistake, or means "never".
    pub(crate) fn check_duration(
        setting: &'static str,
        duration: Duration,
        least: Duration,
    ) -> Result<(), Self> {
        const YEAR: Duration = Duration::from_secs(365 * 86_400);
        if (least..=YEAR).contains(&duration) {
            return Ok(());
        }
        Err(Self::new(
            setting,
            format_args!("{duration:?}"),
            format!("at least {least:?} and at most 365 days"),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_both_ends() {
        let check = |duration| {
            ConfigError::check_duration("x.wait", duration, Duration::from_millis(1))
                .map_err(|error| error.to_string())
        };
        assert_eq!(check(Duration::from_millis(1)), Ok(()));
        assert_eq!(
            check(Duration::ZERO).unwrap_err(),
            "x.wait is 0ns: set it to at least 1ms and at most 365 days"
        );
        assert!(check(Duration::MAX).is_err());
    }
}
