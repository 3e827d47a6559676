//! Queueing records and exporting them in batches, with every loss accounted for.

mod backlog;
mod batcher;
mod config;
mod items;
mod worker;

pub use batcher::Batcher;
pub(crate) use config::LONGEST;
pub use config::{BatchConfig, Sizes};
pub use items::Items;
