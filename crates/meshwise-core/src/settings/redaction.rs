//! Redaction as it is set. Apart from it, because messages about settings are redacted themselves.

use super::{tree::RedactionSettings, value::Setting};
use crate::redaction::Redaction;

impl Redaction {
    /// Hides what is set besides, and shows what is set; what is unset changes nothing.
    #[must_use]
    #[doc(hidden)]
    pub fn with_settings(mut self, settings: &RedactionSettings) -> Self {
        match settings.enabled.get() {
            Some(false) => return Self::off(),
            Some(true) if self.is_off() => {
                self = Self::default();
            }
            _ => {}
        }
        if let Some(values) = settings.values.get() {
            self = self.with_values(*values);
        }
        let all = |names: &Setting<Vec<String>>| names.get().cloned().unwrap_or_default();
        self = all(&settings.names).iter().fold(self, |this, name| this.with_name(name));
        self = all(&settings.parameters).iter().fold(self, |this, name| this.with_parameter(name));
        self = all(&settings.prefixes).iter().fold(self, |this, prefix| this.with_prefix(prefix));
        all(&settings.shown).iter().fold(self, |this, name| this.without_name(name))
    }
}
