//! Defaults that belong together.

use meshwise_log::{LogConfig, LogFormat};

/// Picks defaults that belong together; the environment and the builder's settings win over them.
///
/// | | log format | log filter | sampler |
/// |---|---|---|---|
/// | [`Auto`](Self::Auto) | `pretty` on a terminal, otherwise `json` | `info` | every trace |
/// | [`Development`](Self::Development) | `pretty` | `debug` without the HTTP stack's own | every trace |
/// | [`Production`](Self::Production) | `json` | `info` | callers decide; of traces that begin here, 1 in 10 |
///
/// Spans are exported only if the environment or the builder names an exporter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Preset {
    /// Fits a laptop and a container.
    #[default]
    Auto,
    /// Says more, for people.
    Development,
    /// Says what many instances can afford.
    Production,
}

impl Preset {
    pub(crate) fn logs(self, logs: LogConfig) -> LogConfig {
        match self {
            Self::Auto => logs,
            Self::Development => logs
                .with_format(LogFormat::Pretty)
                .with_filter("debug,hyper=info,hyper_util=info,h2=info,reqwest=info,tower=info"),
            Self::Production => logs.with_format(LogFormat::Json),
        }
    }
}
