//! Tower layers that guard a call, so that a slow neighbour does not take its callers down.

// Grows a module at a time; what reads the clock comes with the guards.
mod clock;
mod config_error;
mod error;
mod names;
mod refusal;
mod sync;
mod watch;

pub use config_error::ConfigError;
pub use error::{GuardError, GuardErrorFuture, GuardErrorLayer, GuardErrorService};
pub use meshwise_core::outcome::{Refused, Rule};
pub use refusal::{
    MaybeRefused, RefusalBody, RefusalFuture, RefusalResponse, RefusalResponseLayer,
    refusal_response,
};
pub use watch::{AnyCalls, CallKind, HttpCalls, Ticket, WatchedBody};
