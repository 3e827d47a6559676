//! Metrics as settings, and settings as metrics.

use super::MetricsConfig;
use crate::{buckets::native::NativeHistograms, registry::MAX_LABEL_SETS};
use meshwise_core::settings::MetricsSettings;

impl MetricsConfig {
    /// Lets the operator's settings have the last word, whatever is said after; what is unset changes
    /// nothing.
    ///
    /// ```
    /// use meshwise_core::{Service, settings::Settings};
    /// use meshwise_metrics::MetricsConfig;
    /// let mut settings = Settings::default();
    /// settings.metrics.body_sizes.set(true);
    /// let metrics = MetricsConfig::new(Service::new("orders", "1.4.2"))
    ///     .with_settings(&settings.metrics)
    ///     .with_body_sizes(false);
    /// assert_eq!(metrics.settings().body_sizes.get(), Some(&true));
    /// ```
    #[doc(hidden)]
    pub fn with_settings(mut self, settings: &MetricsSettings) -> Self {
        self.operator.overlay(settings);
        self
    }

    /// Sets what is set, as builders do; what is said later beats it.
    #[doc(hidden)]
    pub fn with_code_settings(self, settings: &MetricsSettings) -> Self {
        self.with_settings(settings).joined()
    }

    /// Puts what the operator says over what code says.
    pub(super) fn joined(mut self) -> Self {
        let said = std::mem::take(&mut self.operator);
        if let Some(bounds) = said.buckets.get() {
            self.buckets.set_seconds(bounds);
        }
        if let Some(bounds) = said.size_buckets.get() {
            self.buckets.set_bytes(bounds);
        }
        for (metric, bounds) in said.histograms.iter() {
            if let Some(bounds) = bounds.get() {
                self.buckets.set(metric, bounds);
            }
        }
        if let Some(names) = said.native_histograms.get() {
            let mut native = NativeHistograms::default();
            names.iter().for_each(|name| native.add(name));
            self.buckets.native_mut().set_patterns(native);
        }
        if let Some(schema) = said.native_schema.get().and_then(|schema| i8::try_from(*schema).ok())
        {
            self.buckets.native_mut().set_schema(schema);
        }
        for (name, value) in said.labels.iter() {
            if let Some(value) = value.get() {
                self.constant_labels.retain(|(label, _)| label != name);
                self.constant_labels.push((name.to_owned(), value.clone()));
            }
        }
        if let Some(max) = said.max_label_sets.get() {
            self.max_label_sets = usize::try_from(*max).ok();
        }
        if let Some(timeout) = said.idle_timeout.get() {
            self.idle_timeout = Some(Some(*timeout).filter(|timeout| !timeout.is_zero()));
        }
        self.body_sizes = said.body_sizes.or(self.body_sizes);
        self.istio = said.istio.or(self.istio);
        self.process_metrics = said.process.or(self.process_metrics);
        self.runtime_metrics = said.runtime.or(self.runtime_metrics);
        self.push.set(&said);
        // What has no form in code is asked for here.
        self.operator = said;
        self
    }

    /// Returns all settings, as they are.
    #[must_use]
    #[doc(hidden)]
    pub fn settings(&self) -> MetricsSettings {
        let joined = self.clone().joined();
        let mut all = MetricsSettings::default();
        all.enabled.set(self.operator.enabled.or(true));
        all.buckets.set(joined.buckets.seconds().to_vec());
        all.size_buckets.set(joined.buckets.bytes().to_vec());
        for (metric, bounds) in joined.buckets.named() {
            all.histograms.entry(metric).set(bounds.to_vec());
        }
        all.native_histograms.set(joined.buckets.native_names());
        all.native_schema.set(joined.buckets.native_schema());
        joined.push.show(&mut all);
        for (name, value) in &joined.constant_labels {
            all.labels.entry(name).set(value.clone());
        }
        let max = joined.max_label_sets.unwrap_or(MAX_LABEL_SETS);
        all.max_label_sets.set(i64::try_from(max).unwrap_or(i64::MAX));
        all.idle_timeout.set(joined.idle_timeout.flatten().unwrap_or_default());
        all.body_sizes.set(joined.body_sizes);
        all.istio.set(joined.istio);
        all.process.set(joined.process_metrics);
        all.runtime.set(joined.runtime_metrics);
        all.exemplars.set(self.operator.exemplars.or(true));
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
    fn shows(metrics: &MetricsConfig, path: &Path, value: &Value) -> bool {
        let mut all = Settings::default();
        all.metrics = metrics.settings();
        // A metric goes by its name as Prometheus has it.
        let name = |path: &Path| path.to_string().replace('-', "_");
        let mut shown = all.shown().into_iter();
        let shown = shown.find(|shown| name(&shown.path) == name(path));
        shown.is_some_and(|shown| shown.secret || shown.value.as_ref() == Some(value))
    }

    #[test]
    fn the_operator_beats_the_author_for_every_setting_alike() {
        let mut seen = 0;
        for (path, [one, other, _]) in Settings::leaves() {
            if path.names()[0] != "metrics" {
                continue;
            }
            let set = |value: &Value| {
                let mut settings = Settings::default();
                assert!(settings.put(&path, value.clone(), Source::Code), "{path}");
                settings.metrics
            };
            for (author, operator) in [(&one, &other), (&other, &one)] {
                let author = MetricsConfig::new(Service::new("a", "1")).with_settings(&set(author));
                let metrics = author.joined().with_settings(&set(operator));
                assert!(shows(&metrics, &path, operator), "{path}");
                seen += 1;
            }
        }
        assert!(seen > 24, "{seen}");
    }

    #[test]
    fn what_builders_say_yields_in_whatever_order() {
        let mut operator = MetricsSettings::default();
        operator.buckets.set(vec![1.0, 2.0]);
        operator.max_label_sets.set(7_i64);
        operator.labels.entry("zone").set("b".to_owned());
        operator.native_histograms.set(vec!["x_*".to_owned()]);
        let metrics = MetricsConfig::new(Service::new("a", "1"))
            .with_settings(&operator)
            .with_duration_buckets(&[5.0])
            .with_max_label_sets(9)
            .with_constant_label("zone", "a")
            .with_native_histogram("y");
        let all = metrics.settings();
        assert_eq!(all.buckets.get(), Some(&vec![1.0, 2.0]));
        assert_eq!(all.max_label_sets.get(), Some(&7));
        assert_eq!(
            all.labels.get("zone").and_then(|zone| zone.get()).map(String::as_str),
            Some("b")
        );
        assert_eq!(all.native_histograms.get(), Some(&vec!["x_*".to_owned()]));
    }

    #[test]
    fn the_defaults_of_code_are_those_of_the_tree() {
        let mut tree = Settings::defaults().metrics;
        tree.overlay(&MetricsConfig::new(Service::new("a", "1")).settings());
        for (path, _) in Settings::leaves() {
            if path.names()[0] == "metrics" {
                let mut code = Settings::default();
                code.metrics = tree.clone();
                let value = |all: &Settings| {
                    all.shown().into_iter().find(|one| one.path == path).and_then(|one| one.value)
                };
                assert_eq!(value(&code), value(&Settings::defaults()), "{path}");
            }
        }
    }
}
