//! Bulkhead: at most so many calls to a neighbour at a time, and a bounded queue before it.

mod config;
mod guard;
mod layer;
mod permits;
mod service;

pub(crate) use config::MOST;
pub use config::{BulkheadConfig, BulkheadLimit};
pub use guard::BulkheadTicket;
pub(crate) use guard::Guard;
pub use layer::{BulkheadHandle, BulkheadLayer, BulkheadSnapshot};
pub use service::{BulkheadFuture, BulkheadService};

#[cfg(all(test, not(loom)))]
mod tests;

#[cfg(all(test, loom))]
#[path = "bulkhead/loom.rs"]
mod loom_models;
