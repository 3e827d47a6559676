//! Keeping errors and slow calls: the decision at the end of the local root.

mod config;

pub(crate) use config::TailConfig;
pub use config::TailLimits;
