//! Metrics for services: recorder, call instruments, process and runtime metrics, label guards, Prometheus text.

mod backend;
mod buckets;
mod call;
mod catalogue;
mod collect;
mod config;
mod error;
mod expose;
mod guard;
mod handles;
mod hub;
pub mod names;
mod shared;
mod table;
mod upkeep;

pub use call::{
    BodySizes, HttpClientLabels, HttpClientMetrics, HttpServerLabels, HttpServerMetrics, InFlight,
    RpcLabels, RpcMetrics,
};
pub use config::MetricsConfig;
pub use error::MetricsError;
pub use expose::{Exposition, Format};
pub use guard::LabelGuard;
pub use hub::Metrics;
pub use shared::SharedRecorder;
