//! Bulkhead: at most so many calls to a peer at a time, and a bounded queue before it.

mod config;
mod layer;
mod permits;
mod shared;

pub use config::BulkheadConfig;
pub(crate) use config::MOST;
pub use layer::{BulkheadHandle, BulkheadLayer, BulkheadSnapshot};
pub(crate) use shared::{Bulkhead, Permit, Place};

#[cfg(all(test, not(loom)))]
mod tests;

#[cfg(all(test, loom))]
#[path = "bulkhead/loom.rs"]
mod loom_models;
