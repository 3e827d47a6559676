//! Circuit breaker: stops calling a peer that fails, until it is well again.
//!
//! A successful call on a closed breaker reads one word, and raises one count at its end. All else
//! (failures, slow calls, trial calls, changes of state) is decided by a plain state machine behind
//! a lock: `state`.

mod config;
mod handle;
mod layer;
mod shared;
mod state;
mod tally;
mod window;

pub use config::BreakerConfig;
pub use handle::{BreakerHandle, BreakerSnapshot};
pub(crate) use layer::Breaker;
pub use layer::BreakerLayer;
pub(crate) use shared::Pass;
pub use state::{BreakerMode, BreakerState};

#[cfg(all(test, not(loom)))]
mod tests;

#[cfg(all(test, loom))]
#[path = "breaker/loom.rs"]
mod loom_models;
