//! What is said of the exporter of records.

use meshwise_core::{
    Env,
    settings::{LogBatchSettings, LogOtlpSettings, LogSettings},
};

#[cfg(not(feature = "_otlp"))]
pub(super) const OTEL_LOGS_EXPORTER: &str = "OTEL_LOGS_EXPORTER";

/// Says whether records are exported, and how.
#[derive(Clone, Debug)]
pub(crate) struct ExportConfig {
    pub(crate) exporters: Option<Vec<String>>,
    pub(crate) otlp: LogOtlpSettings,
    pub(crate) batch: LogBatchSettings,
    /// Where it is told what cannot be followed.
    pub(super) env: Env,
    /// What the environment says.
    pub(super) standard: LogSettings,
}

impl Default for ExportConfig {
    fn default() -> Self {
        Self {
            exporters: None,
            otlp: LogOtlpSettings::default(),
            batch: LogBatchSettings::default(),
            env: Env::empty(),
            standard: LogSettings::default(),
        }
    }
}

impl ExportConfig {
    /// Puts what is set over what is here.
    pub(crate) fn with_settings(mut self, said: &LogSettings) -> Self {
        self.exporters = said.exporters.get().cloned().or(self.exporters);
        self.otlp.overlay(&said.otlp);
        self.batch.overlay(&said.batch);
        self
    }

    /// Takes what the environment says.
    pub(crate) fn with_standard(self, said: &LogSettings, env: &Env) -> Self {
        Self { standard: said.clone(), env: env.clone(), ..self }
    }

    /// Says who wants records to be exported: code or a file, and anything at all.
    pub(super) fn wanted(&self) -> (bool, bool) {
        let is_otlp = |word: &String| word == "otlp";
        // Lines go to standard output in any case: they are the program's own, and no exporter of
        // OpenTelemetry's. So `none` does not silence them.
        let (by_code, by_env) = match (self.standard.exporters.get(), &self.exporters) {
            (Some(named), code) => {
                let wanted = named.iter().any(is_otlp);
                (wanted && code.iter().flatten().any(is_otlp), wanted)
            }
            (None, Some(code)) => (code.iter().any(is_otlp), false),
            // An address of one's own for logs is enough.
            (None, None) => {
                let own = self.otlp.logs_endpoint.is_set();
                (own, self.standard.otlp.logs_endpoint.is_set())
            }
        };
        (by_code, by_code || by_env)
    }
}
