//! Settings that code makes: a section of the tree, all of it set, builder methods over that, and what is
//! said of those that make no sense.

use meshwise_core::settings::{FaultSettings, Setting, Settings, Source};
use std::{borrow::Cow, fmt, sync::LazyLock, time::Duration};

/// Says which setting makes no sense, the value it has, and what is allowed.
///
/// Every `build` and `new` of this crate checks its settings with it, so that a typing error shows
/// when the service starts and not when its peer fails.
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

    pub(crate) fn parts(self) -> [String; 3] {
        [self.setting.into_owned(), self.value, self.allowed.into_owned()]
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
        if (least..=YEAR).contains(&duration) {
            return Ok(());
        }
        let allowed = format!("at least {least:?} and at most 365 days");
        Err(Self::new(setting, format_args!("{duration:?}"), allowed))
    }
}

pub(crate) const YEAR: Duration = Duration::from_secs(365 * 86_400);

/// Faults are for others to set, and so is whether load is shed at all.
pub(crate) static DEFAULTS: LazyLock<Settings> = LazyLock::new(|| {
    let mut all = Settings::defaults();
    all.peer.fault = FaultSettings::default();
    all.shed.enabled.set(true);
    all
});

/// Returns a longest time. A default is no bound for the time that was set beside it.
pub(crate) fn at_most(longest: &Setting<Duration>, time: Duration) -> Duration {
    let most = longest.or_none();
    if *longest.source() == Source::Default { most.max(time) } else { most }
}

pub(crate) fn check(section: &str, wrong: Option<[String; 3]>) -> Result<(), ConfigError> {
    wrong.map_or(Ok(()), |[leaf, value, allowed]| {
        Err(ConfigError::new(format!("{section}.{leaf}"), value, allowed))
    })
}

/// Writes consuming setters, each of which sets leaves of a section, or puts all of a guard's settings in
/// it, which is there then.
/// With what a configuration begins from it gets `new` and `Default`, too.
macro_rules! setters {
    ($config:ident.$section:tt = $defaults:expr; $setters:tt) => {
        impl Default for $config {
            fn default() -> Self {
                $defaults
            }
        }

        impl $config {
            /// Starts from the defaults.
            pub fn new() -> Self {
                Self::default()
            }
        }

        setters! { $config.$section $setters }
    };
    ($config:ident.$section:tt { $(
        $(#[doc = $doc:literal])+
        $name:ident($($arg:ident: $type:ty),*) =>
            $([$part:ident])? $($($leaf:ident).+ = $value:expr),*;
    )+ }) => {
        impl $config { $(
            $(#[doc = $doc])+
            pub fn $name(mut self, $($arg: $type),*) -> Self {
                $(
                    self.$section.$part = $part.0;
                    self.$section.$part.enabled.set(true);
                )?
                $( self.$section.$($leaf).+.set($value); )*
                self
            }
        )+ }
    };
}

pub(crate) use setters;

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
