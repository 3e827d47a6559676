//! Shedding as settings, and settings as shedding.

use super::ShedConfig;
use crate::peer::{limit, limit_settings};
use meshwise_core::settings::ShedSettings;

impl ShedConfig {
    /// Puts what is set over what is here; whether load is shed at all is for others to decide.
    #[must_use]
    pub fn with_settings(mut self, settings: &ShedSettings) -> Self {
        limit(&mut self.limit, settings.limit.get().copied(), &settings.adaptive, 1000);
        if let Some(paths) = settings.exempt_paths.get() {
            self.exempt_paths.clone_from(paths);
        }
        self
    }

    /// Returns all settings of shedding, as they are.
    #[must_use]
    pub fn settings(&self) -> ShedSettings {
        let mut all = ShedSettings::default();
        all.enabled.set(true);
        let (fixed, adaptive) = limit_settings(&self.limit);
        if let Some(fixed) = fixed {
            all.limit.set(fixed);
        }
        all.adaptive = adaptive;
        all.exempt_paths.set(self.exempt_paths.clone());
        all
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::adaptive::AdaptiveConfig;

    #[test]
    fn the_operator_beats_the_author() {
        let author = ShedConfig::new().with_limit(5).with_exempt_path("/a");
        let mut operator = ShedSettings::default();
        assert_eq!(author.clone().with_settings(&operator), author);
        operator.limit.set(7_u32);
        operator.exempt_paths.set(vec!["/b".to_owned()]);
        let both = author.clone().with_settings(&operator);
        assert_eq!(both, ShedConfig::new().with_limit(7).with_exempt_path("/b"));
        operator.adaptive.enabled.set(true);
        operator.adaptive.ceiling.set(50_u32);
        let adaptive = author.with_settings(&operator);
        let limit = AdaptiveConfig::gradient2().with_limits(20, 20, 50);
        assert_eq!(adaptive, ShedConfig::new().with_adaptive_limit(limit).with_exempt_path("/b"));
        assert_eq!(ShedConfig::new().with_settings(&adaptive.settings()), adaptive);
        assert_eq!(ShedConfig::new().settings().limit.get(), Some(&1000));
    }
}
