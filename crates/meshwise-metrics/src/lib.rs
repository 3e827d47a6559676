//! Metrics for services: recorder, call instruments, process and runtime metrics, label guards, Prometheus text.

mod backend;
mod buckets;
mod call;
mod catalogue;
mod collect;
mod config;
mod error;
mod exemplar;
mod expose;
mod guard;
mod handles;
mod hub;
mod kind;
pub mod names;
mod registry;
mod shared;
mod table;
mod upkeep;

pub use call::{
    BodySizes, HttpClientLabels, HttpClientMetrics, HttpServerLabels, HttpServerMetrics, InFlight,
    RpcLabels, RpcMetrics,
};
pub use config::MetricsConfig;
pub use error::MetricsError;
pub use exemplar::{Exemplar, with_exemplar};
pub use expose::{Exposition, ExpositionStream, Format};
pub use guard::LabelGuard;
pub use hub::Metrics;
pub use registry::RefusedMetric;
pub use shared::SharedRecorder;
