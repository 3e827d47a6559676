//! The tree itself.

mod operations;
mod otlp;
mod outputs;
mod peers;
mod telemetry;

pub use operations::{DrainSettings, OpsSettings};
pub use otlp::{
    BatchParts, LogBatchSettings, LogOtlpSettings, MetricOtlpSettings, OtlpParts,
    TraceBatchSettings, TraceOtlpSettings,
};
pub use outputs::{
    LogBulkSettings, LogFileSettings, LogFluentSettings, LogPrivateSettings, LogSpoolSettings,
};
pub use peers::{
    AdaptiveSettings, BackoffSettings, BreakerSettings, BudgetSettings, BulkheadSettings,
    DeadlineSettings, FaultAbortSettings, FaultDelaySettings, FaultSettings, PeerSettings,
    RateSettings, RetrySettings, RouteDeadlineSettings, RouteRetrySettings, RouteSettings,
    RouteTimeoutSettings, StreamingSettings, TimeoutSettings, WindowSettings,
};
pub use telemetry::{
    HeldSettings, LogRateSettings, LogSettings, MetricsSettings, PropagationSettings,
    RedactionSettings, ServiceSettings, ShedSettings, SpanLimitSettings, TracesSettings,
};

use super::{
    kind::SettingKind,
    part::{Map, Part, PartShape, Spec, section},
};

section! {
    /// All that can be set without code.
    Settings {
        /// Who the service is, and what describes this process.
        service: ServiceSettings;
        /// How log lines are written.
        log: LogSettings;
        /// How metrics are kept and shown.
        metrics: MetricsSettings;
        /// Which traces are recorded, and where their spans go.
        traces: TracesSettings;
        /// How the context of a call travels.
        propagation: PropagationSettings;
        /// What is hidden in log lines and spans.
        redaction: RedactionSettings;
        /// The routes for those who operate the service.
        ops: OpsSettings;
        /// How the service ends.
        drain: DrainSettings;
        /// The shedding of load.
        shed: ShedSettings;
        /// How calls to every peer are made and guarded.
        peer: PeerSettings;
        /// What is different for single peers, by their names.
        peers: Map<PeerSettings>;
    }
}

impl Settings {
    /// Describes the tree.
    pub(super) fn described() -> PartShape {
        <Self as Part>::shape(Spec::of(SettingKind::Bool))
    }
}
