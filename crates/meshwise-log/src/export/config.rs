//! What is said of the exporter of records.

use meshwise_core::{
    Env, EnvError,
    settings::{LogBatchSettings, LogOtlpSettings, LogSettings},
};

pub(super) const OTEL_LOGS_EXPORTER: &str = "OTEL_LOGS_EXPORTER";

/// Says whether records are exported, and how.
#[derive(Clone, Debug)]
pub(crate) struct ExportConfig {
    pub(crate) exporters: Option<Vec<String>>,
    pub(crate) otlp: LogOtlpSettings,
    pub(crate) batch: LogBatchSettings,
    /// What is read where the exporter is made.
    pub(super) env: Env,
    /// What the environment says.
    named: Option<Vec<ExporterName>>,
    disabled: bool,
}

/// An exporter by its name in `OTEL_LOGS_EXPORTER`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ExporterName {
    Otlp,
    /// Lines go to standard output in any case: they are the program's own, and no exporter of
    /// OpenTelemetry's. So `none` does not silence them.
    Console,
}

impl Default for ExportConfig {
    fn default() -> Self {
        Self {
            exporters: None,
            otlp: LogOtlpSettings::default(),
            batch: LogBatchSettings::default(),
            env: Env::empty(),
            named: None,
            disabled: false,
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

    /// Reads `OTEL_LOGS_EXPORTER`; those of the exporter are read where it is made.
    pub(crate) fn with_env(mut self, env: &Env) -> Result<Self, EnvError> {
        let allowed = "console, otlp, both with a comma between, or none";
        self.named = env.list(OTEL_LOGS_EXPORTER, allowed, |word| match word {
            "console" => Some(ExporterName::Console),
            "otlp" => Some(ExporterName::Otlp),
            _ => None,
        })?;
        self.disabled = env.is_disabled()?;
        self.env = env.clone();
        Ok(self)
    }

    /// Says who wants records to be exported: code or a file, and anything at all.
    pub(super) fn wanted(&self) -> (bool, bool) {
        let is_otlp = |word: &String| word == "otlp";
        let (by_code, by_env) = match (&self.named, &self.exporters) {
            (Some(named), code) => {
                let wanted = named.contains(&ExporterName::Otlp);
                (wanted && code.iter().flatten().any(is_otlp), wanted)
            }
            (None, Some(code)) => (code.iter().any(is_otlp), false),
            // An address of one's own for logs is enough.
            (None, None) => {
                let own = self.otlp.logs_endpoint.is_set();
                (own, self.env.is_set("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT"))
            }
        };
        (by_code, (by_code || by_env) && !self.disabled)
    }
}
