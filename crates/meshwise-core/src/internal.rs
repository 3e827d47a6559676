//! What the crates of the workspace share and users never name. No promise of stability: it may
//! change with every version.

pub mod bounded;
pub mod cache_padded;
pub mod catalogue;
pub mod clock;
mod directives;
mod errors;
pub mod files;
pub mod header_bytes;
pub mod messages;
pub mod otlp_variables;
mod port;
pub mod queue;
#[cfg(test)]
mod queue_tests;
pub mod queued;
pub mod random;
pub(crate) mod retry_after;
pub mod spares;
pub mod swar;
mod sync;
pub mod threads;
pub mod told;
pub mod wire;
pub mod within;

pub use self::{
    directives::not_a_target,
    errors::{error_chain, error_sources},
    port::has_bad_port,
    retry_after::retry_after,
};
pub use crate::{
    call::SPAN_TARGET,
    deadline::{format_grpc_timeout, parse_grpc_timeout, parse_millis, read_timeouts},
    env::{millis, timeout},
    headers::{HeaderFilter, begins_with_type, is_event_stream, is_of_sender},
    limits::{Entered, Limits, Passed},
    losses::LossCounters,
    outcome::kind::status_text,
    redaction::{REDACTED, REDACTED_IN_URL},
};
