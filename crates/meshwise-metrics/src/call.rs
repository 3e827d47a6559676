//! Instruments of calls: what the layers record to.

mod client;
mod cost;
mod ends;
mod label_sets;
mod map;
mod messaging;
mod rpc;
mod server;

pub use client::{HttpClientMetrics, HttpClientSeries, HttpClientTarget};
pub use cost::{CallCost, CostMeter, RouteCosts};
pub use map::{Edge, EdgeCall, EdgeKind, ServiceMap};
pub use messaging::{MessagingChannel, MessagingMetrics, MessagingSeries, OperationEnd};
pub use rpc::{RpcLabels, RpcMetrics};
pub use server::{HttpServerMetrics, HttpServerSeries};

use meshwise_core::internal::status_text;

/// Holds the sizes of a call's bodies, in bytes, where they are known.
///
/// They are recorded only if [`MetricsConfig::with_body_sizes`](crate::config::MetricsConfig::with_body_sizes)
/// asks for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "only this workspace makes one")]
pub struct BodySizes {
    /// The request's body.
    pub request: Option<u64>,
    /// The response's body.
    pub response: Option<u64>,
}

/// Returns a status as a label; codes that HTTP does not have share one value.
fn status_label(status: u16) -> &'static str {
    status_text(status).unwrap_or(crate::names::OTHER)
}

/// Turns a size into a histogram's sample; beyond 2^53 bytes the last digits are rounded.
#[allow(clippy::cast_precision_loss)]
fn size(bytes: u64) -> f64 {
    bytes as f64
}
