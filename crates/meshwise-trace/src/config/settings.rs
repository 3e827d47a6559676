//! Traces as settings, and settings as traces.

use super::{Named, TraceConfig};
use crate::{
    error::TraceError,
    export::{Kind, SpanExport},
    limits::EnvLimits,
};
use meshwise_core::{Signal, settings::TracesSettings};
use meshwise_otlp::{BatchConfig, OtlpConfig};

impl TraceConfig {
    /// Lets the operator's settings have the last word, whatever code says before or after, but for
    /// OpenTelemetry's variables ([`with_env`](Self::with_env)). What is unset changes nothing;
    /// exporters of one's own stay whatever is set.
    ///
    /// ```
    /// use meshwise_core::{Service, settings::Settings};
    /// use meshwise_trace::{SamplerConfig, TraceConfig};
    /// let mut settings = Settings::default();
    /// settings.traces.ratio.set(0.5);
    /// let traces = TraceConfig::new(Service::new("orders", "1.4.2"))
    ///     .with_settings(&settings.traces)
    ///     .with_sampler(SamplerConfig::parent_based(SamplerConfig::ratio(0.1)));
    /// assert_eq!(traces.settings()?.ratio.get(), Some(&0.5));
    /// # Ok::<(), meshwise_trace::TraceError>(())
    /// ```
    #[doc(hidden)]
    pub fn with_settings(mut self, settings: &TracesSettings) -> Self {
        self.operator.overlay(settings);
        self
    }

    /// Sets what is set, as builders do; what is said later beats it.
    ///
    /// # Errors
    /// If the sampler that is set needs a rate and has none.
    #[doc(hidden)]
    pub fn with_code_settings(self, settings: &TracesSettings) -> Result<Self, TraceError> {
        self.with_settings(settings).joined()
    }

    /// Puts what the operator says over what code says.
    pub(super) fn joined(mut self) -> Result<Self, TraceError> {
        let said = self.operator.clone();
        let code = self.sampler.take().unwrap_or_else(|| self.default_sampler.clone());
        self.sampler = Some(code.with_settings(&said)?);
        self.batch = BatchConfig::from_settings(said.batch.clone().parts()).over_code(self.batch);
        self.limits = EnvLimits::from_settings(&said.limits).over(self.limits);
        self.set_exports(&said);
        Ok(self)
    }

    /// Says where spans go, and how to talk to the collector there.
    fn set_exports(&mut self, said: &TracesSettings) {
        let otlp = OtlpConfig::from_settings(said.otlp.clone().parts());
        let mut exports: Vec<SpanExport> = std::mem::take(&mut self.exports);
        let named: Option<Vec<Named>> = said.exporters.get().map(|words| Named::all(words));
        if let Some(named) = &named {
            exports.retain(|export| match export.0 {
                Kind::None => false,
                Kind::Otlp(_) => named.contains(&Named::Otlp),
                Kind::Console => named.contains(&Named::Console),
                // These have no name that an operator could give.
                Kind::Memory(_) | Kind::Custom(_) => true,
            });
        }
        let has = |exports: &[SpanExport], named| {
            exports.iter().any(|export| match named {
                Named::Otlp => matches!(export.0, Kind::Otlp(_)),
                Named::Console => matches!(export.0, Kind::Console),
            })
        };
        // An endpoint alone is enough, where code says nothing.
        let is_endpoint = said.otlp.endpoint.is_set() || said.otlp.traces_endpoint.is_set();
        let alone = (named.is_none() && exports.is_empty() && is_endpoint).then_some(Named::Otlp);
        for named in named.into_iter().flatten().chain(alone) {
            if !has(&exports, named) {
                exports.push(match named {
                    Named::Otlp => SpanExport::otlp(OtlpConfig::new()),
                    Named::Console => SpanExport::console(),
                });
            }
        }
        for export in &mut exports {
            if let Kind::Otlp(config) = &mut export.0 {
                *config = otlp.clone().or(config.clone());
            }
        }
        self.exports = exports;
    }

    /// Returns all settings, as they are without OpenTelemetry's variables.
    ///
    /// # Errors
    /// If the sampler that is set needs a rate and has none.
    #[doc(hidden)]
    pub fn settings(&self) -> Result<TracesSettings, TraceError> {
        let mut all = TracesSettings::default();
        let said = &self.operator;
        all.enabled.set(said.enabled.or(true));
        let code = self.sampler.as_ref().unwrap_or(&self.default_sampler);
        code.clone().with_settings(said)?.show(&mut all);
        if let Some(slow) = said.slow.get() {
            all.slow.set(*slow);
        }
        let batch = BatchConfig::from_settings(said.batch.clone().parts()).over_code(self.batch);
        batch.show(all.batch.parts(), Signal::Traces);
        let limits = EnvLimits::from_settings(&said.limits).over(self.limits);
        all.limits.attributes.set(limits.max_attributes_per_span);
        all.limits.events.set(limits.max_events_per_span);
        all.limits.links.set(limits.max_links_per_span);
        all.limits.event_attributes.set(limits.max_attributes_per_event);
        all.limits.link_attributes.set(limits.max_attributes_per_link);
        if let Some(length) = said.limits.value_length.get() {
            all.limits.value_length.set(*length);
        }
        self.show_exports(&mut all);
        Ok(all)
    }

    fn show_exports(&self, all: &mut TracesSettings) {
        let mut words: Vec<String> = Vec::new();
        for export in &self.exports {
            match &export.0 {
                Kind::Otlp(config) => {
                    words.push("otlp".to_owned());
                    config.show(all.otlp.parts());
                }
                Kind::Console => words.push("console".to_owned()),
                Kind::None | Kind::Memory(_) | Kind::Custom(_) => {}
            }
        }
        let said = &self.operator;
        match said.exporters.get() {
            Some(named) => all.exporters.set(named.clone()),
            None if !words.is_empty() => all.exporters.set(words),
            None => {}
        }
        all.otlp.overlay(&said.otlp);
    }
}

#[cfg(test)]
mod tests;
