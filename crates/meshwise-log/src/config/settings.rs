//! Logs as settings, and settings as logs.

use super::LogConfig;
use crate::{format::LogFormat, rate::RateLimit, writer::QueuePolicy};
use meshwise_core::settings::{LogSettings, Size};

impl LogConfig {
    /// Puts what is set over what is here; what is unset changes nothing.
    ///
    /// ```
    /// use meshwise_core::{Service, settings::Settings};
    /// use meshwise_log::{LogConfig, LogFormat};
    /// let mut settings = Settings::default();
    /// settings.log.format.set("ecs".to_owned());
    /// let logs = LogConfig::new(Service::new("orders", "1.4.2"))
    ///     .with_format(LogFormat::Json)
    ///     .with_settings(&settings.log);
    /// assert_eq!(logs.settings().format.get().map(String::as_str), Some("ecs"));
    /// ```
    #[doc(hidden)]
    pub fn with_settings(mut self, settings: &LogSettings) -> Self {
        let said = settings;
        self.format = said.format.get().and_then(|w| LogFormat::from_word(w)).or(self.format);
        self.filter = said.filter.get().cloned().or(self.filter);
        self.queue_bytes = said.queue.get().map_or(self.queue_bytes, |size| size.bytes());
        match said.full.get().map(String::as_str) {
            Some("wait") => self.policy = QueuePolicy::Wait,
            Some("drop") => self.policy = QueuePolicy::Drop,
            _ => {}
        }
        self.error_wait = said.error_wait.or(self.error_wait);
        let limit = &said.rate_limit;
        self.rate_limit = match limit.enabled.or(self.rate_limit.is_some()) {
            false => None,
            true => {
                let (burst, per_second) = self.rate_limit.unwrap_or_default().parts();
                Some(RateLimit::new(limit.burst.or(burst), limit.per_second.or(per_second)))
            }
        };
        self.span_fields = said.span_fields.or(self.span_fields);
        self.said.outputs = said.outputs.get().map_or(self.said.outputs, |_| said.outputs.clone());
        self.said.file.overlay(&said.file);
        self.said.fluent.overlay(&said.fluent);
        self.said.bulk.overlay(&said.bulk);
        self.said.spool.overlay(&said.spool);
        if let Some(fields) = said.private.fields.get() {
            self.private.fields.clone_from(fields);
        }
        self.said.private.overlay(&said.private);
        self.colour = said.colour.get().copied().or(self.colour);
        self.gcp_project = said.gcp_project.get().cloned().or(self.gcp_project);
        self.export = self.export.with_settings(said);
        self
    }

    /// Returns all settings, as they are.
    #[must_use]
    #[doc(hidden)]
    pub fn settings(&self) -> LogSettings {
        let mut all = LogSettings::default();
        if let Some(outputs) = self.said.outputs.get() {
            all.outputs.set(outputs.clone());
        }
        all.file = self.said.file.clone();
        all.fluent = self.said.fluent.clone();
        all.bulk = self.said.bulk.clone();
        all.spool = self.said.spool.clone();
        all.private = self.said.private.clone();
        if !self.private.fields.is_empty() {
            all.private.fields.set(self.private.fields.clone());
        }
        if let Some(format) = self.format {
            all.format.set(format.as_word().to_owned());
        }
        all.filter.set(self.filter.clone().unwrap_or_else(|| "info".to_owned()));
        all.queue.set(Size(self.queue_bytes as u64));
        let full = match self.policy {
            QueuePolicy::Drop => "drop",
            QueuePolicy::Wait => "wait",
        };
        all.full.set(full.to_owned());
        all.error_wait.set(self.error_wait);
        all.rate_limit.enabled.set(self.rate_limit.is_some());
        if let Some(limit) = self.rate_limit {
            let (burst, per_second) = limit.parts();
            all.rate_limit.burst.set(burst);
            all.rate_limit.per_second.set(per_second);
        }
        all.span_fields.set(self.span_fields);
        if let Some(colour) = self.colour {
            all.colour.set(colour);
        }
        if let Some(project) = &self.gcp_project {
            all.gcp_project.set(project.clone());
        }
        if let Some(exporters) = &self.export.exporters {
            all.exporters.set(exporters.clone());
        }
        all.otlp.overlay(&self.export.otlp);
        all.batch.overlay(&self.export.batch);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use meshwise_core::{
        Service,
        settings::{Path, Settings, Source, Value},
    };

    /// Tells whether a setting has a value; of secrets, whether they have any.
    fn shows(logs: &LogConfig, path: &Path, value: &Value) -> bool {
        let mut all = Settings::default();
        all.log = logs.settings();
        let shown = all.shown().into_iter().find(|shown| shown.path == *path);
        shown.is_some_and(|shown| shown.secret || shown.value.as_ref() == Some(value))
    }

    #[test]
    fn the_operator_beats_the_author_for_every_setting_alike() {
        let mut seen = 0;
        for (path, [one, other, _]) in Settings::leaves() {
            if path.names()[0] != "log" {
                continue;
            }
            let set = |value: &Value| {
                let mut settings = Settings::default();
                if path.names()[1] == "rate_limit" && path.names()[2] != "enabled" {
                    settings.log.rate_limit.enabled.set(true);
                }
                assert!(settings.put(&path, value.clone(), Source::Code), "{path}");
                settings.log
            };
            for (author, operator) in [(&one, &other), (&other, &one)] {
                let logs = LogConfig::new(Service::new("a", "1")).with_settings(&set(author));
                assert!(shows(&logs, &path, author), "{path}");
                let logs = logs.with_settings(&set(operator));
                assert!(shows(&logs, &path, operator), "{path}");
                seen += 1;
            }
        }
        assert!(seen > 20, "{seen}");
    }

    #[test]
    fn the_defaults_of_code_are_those_of_the_tree() {
        let mut code = LogConfig::new(Service::new("a", "1")).settings();
        code.overlay(&Settings::defaults().log);
        assert_eq!(code, Settings::defaults().log);
    }
}
