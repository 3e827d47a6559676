//! Tower layers that guard a call, so that a slow neighbour does not take its callers down.

// Grows a module at a time; what reads the clock comes with the guards.
mod clock;
mod names;
mod sync;
mod watch;

pub use meshwise_core::outcome::{Refused, Rule};
pub use watch::{AnyCalls, CallKind, HttpCalls, Ticket, WatchedBody};
