//! The vocabulary of meshwise: what every other crate of the family speaks in.
//!
//! Pure: no runtime, no network, no global state to speak of. Time is given by the caller; the
//! operating system is asked for nothing but [`Env::process`], [`Machine::real`], the wall clock and
//! the seed of random numbers. It knows `http`'s types and nothing of tokio, hyper, OpenTelemetry or
//! `tracing`. A service meets it through the other crates; what only they need of it is hidden here.
//!
//! ```
//! use meshwise_core::Redaction;
//!
//! let redaction = Redaction::default().with_name("iban");
//! let text = redaction.text("password=hunter2, order 17");
//! assert!(!text.contains("hunter2") && text.contains("order 17"));
//! ```
//!
//! | what | what it is | what it does with bad input |
//! |---|---|---|
//! | [`CallInfo`], [`RequestId`] | what is known about the call being served: request id, caller, deadline | an id that is too long or not visible ASCII is none |
//! | [`Deadline`] | the moment past which the caller does not wait any more | a timeout that does not parse is none |
//! | [`Env`] | reading settings from the environment | an error names the variable, the value and what is allowed; OpenTelemetry's variables are ignored instead, and told |
//! | [`Service`] | who this service is: name, namespace, version, instance | |
//! | [`SignalReport`] | counts of telemetry records delivered and dropped, by reason | |
//! | [`outcome`] | how a call ended, and [`Classifier`], which decides it | a status that is no number is `UNKNOWN`, never OK |
//! | [`propagation`] | the wire formats of context: W3C, B3, Jaeger, X-Ray, Datadog, baggage | what is not valid was not sent; sizes are limited |
//! | [`Redaction`] | keeping secrets out of what is recorded: one list for every signal | any text, in time linear in its length |
//! | [`Resource`] | what describes this process: the same for logs, metrics and traces | a list that cannot be read is ignored, and told |
//! | [`settings`] | all that can be set without code: one tree, from code, files and variables | an error says where it stands, what is allowed and what may have been meant |
//! | [`TraceId`], [`SpanId`] | what names a span on the wire | what is not valid is none |
//!
//! # Features
//!
//! - `toml`: reading [`settings`] from TOML files. Off by default.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod backoff;
mod call;
mod deadline;
mod env;
mod headers;
mod identity;
#[doc(hidden)]
pub mod internal;
mod limits;
mod losses;
pub mod outcome;
pub mod propagation;
mod redaction;
mod resource;
pub mod settings;
mod trace;

pub use backoff::Backoff;
#[doc(hidden)]
pub use call::AnswerTells;
pub use call::{ApiVersion, Attempt, CallInfo, RequestId, VerifiedCaller};
pub use deadline::Deadline;
pub use env::{Env, EnvError};
pub use identity::Service;
pub use losses::{DropReason, Signal, SignalReport};
pub use outcome::{
    classify::Classifier,
    grpc::GrpcCode,
    kind::{ErrorType, Protocol},
    refused::Refused,
};
// What observers and guards read of a call that is over.
#[doc(hidden)]
pub use outcome::{end::CallEnd, kind::Outcome};
pub use redaction::Redaction;
#[doc(hidden)]
pub use resource::{Machine, ResourceBuilder};
pub use resource::{Resource, ResourceValue};
#[doc(hidden)]
pub use trace::TraceStateError;
pub use trace::{ParseIdError, SpanId, TraceFlags, TraceId, TraceState};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
