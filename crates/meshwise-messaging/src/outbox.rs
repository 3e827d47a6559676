//! Sending what a transaction has decided: at least once, in order for each key.

mod message;
mod relay;
mod sql;

pub use message::OutboxMessage;
pub use relay::{OutboxStore, Relay, RelayConfig};
pub use sql::{SqlOutbox, SqlOutboxStore};
