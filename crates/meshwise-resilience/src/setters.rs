//! Settings that code makes: a section of the tree, all of it set, and builder methods over that.

use crate::config_error::ConfigError;
use meshwise_core::settings::{PeerSettings, Setting, Settings, ShedSettings, Source};
use std::{sync::LazyLock, time::Duration};

static DEFAULTS: LazyLock<Settings> = LazyLock::new(Settings::defaults);

/// Returns the defaults of a peer's guards.
pub(crate) fn defaults() -> &'static PeerSettings {
    &DEFAULTS.peer
}

/// Returns the defaults of shedding.
pub(crate) fn shed_defaults() -> &'static ShedSettings {
    &DEFAULTS.shed
}

/// Returns a longest time. A default is no bound for the time that was set beside it.
pub(crate) fn at_most(longest: &Setting<Duration>, time: Duration) -> Duration {
    let most = longest.or_none();
    if *longest.source() == Source::Default { most.max(time) } else { most }
}

/// Refuses what the tree does not allow.
pub(crate) fn check(section: &str, wrong: Option<[String; 3]>) -> Result<(), ConfigError> {
    match wrong {
        None => Ok(()),
        Some([leaf, value, allowed]) => {
            Err(ConfigError::new(format!("{section}.{leaf}"), value, allowed))
        }
    }
}

/// Writes consuming setters, each of which sets leaves of a section.
macro_rules! setters {
    ($config:ident.$section:tt { $(
        $(#[doc = $doc:literal])+
        $name:ident($($arg:ident: $type:ty),*) => $($($leaf:ident).+ = $value:expr),+;
    )+ }) => {
        impl $config { $(
            $(#[doc = $doc])+
            #[must_use]
            pub fn $name(mut self, $($arg: $type),*) -> Self {
                $( self.$section.$($leaf).+.set($value); )+
                self
            }
        )+ }
    };
}

pub(crate) use setters;
