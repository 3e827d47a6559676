//! The vocabulary of meshwise: what every other crate of the family speaks in.
//!
//! Pure: no I/O, no clock, no runtime, no global state. Time is always given by the caller.
//!
//! | module | what lives there |
//! |---|---|
//! | [`identity`] | who this service is: name, namespace, version, instance |
//! | [`trace`] | trace and span ids, flags, `tracestate` |
//! | [`propagation`] | the wire formats of context: W3C, B3, Jaeger, X-Ray, Datadog, baggage |
//! | [`call`] | what is known about the call being served: request id, caller, deadline |
//! | [`deadline`] | the moment past which nobody waits for a call any more |
//! | [`outcome`] | how a call ended, and [`Classify`], which tells success from failure |
//! | [`ledger`] | counts of telemetry records delivered and dropped, by reason |
//! | [`env`] | reading settings from the environment, with errors that name the variable |

pub mod call;
pub mod deadline;
pub mod env;
pub mod identity;
pub mod ledger;
pub mod outcome;
pub mod propagation;
pub mod trace;

pub use call::CallInfo;
pub use deadline::Deadline;
pub use env::{Env, EnvError};
pub use identity::Service;
pub use ledger::{DropReason, Ledger, Signal, SignalReport};
pub use outcome::{Classify, ErrorType, GrpcCode, Outcome, Protocol};
pub use trace::{SpanId, TraceFlags, TraceId, TraceState};
