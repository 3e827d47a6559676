//! How a call ended, and what counts as success.

pub(crate) mod classify;
pub(crate) mod end;
mod fault;
pub(crate) mod grpc;
pub(crate) mod kind;
pub(crate) mod refused;
pub(crate) mod retry_after;

pub use classify::{Head, Verdict};
pub use end::Phase;
#[doc(hidden)]
pub use end::{Blame, EndedBy, Health, RetryAfter, Retryable, Side};
pub use fault::{BrokenOff, Fault, FaultKind, FaultRule, Faults};
pub use refused::Rule;

// These have their one public path at the root of the crate.
pub(crate) use self::{
    end::CallEnd,
    grpc::GrpcCode,
    kind::{ErrorType, Outcome, Protocol},
    refused::Refused,
};
