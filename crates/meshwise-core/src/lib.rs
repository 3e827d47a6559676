//! The vocabulary of meshwise: what every other crate of the family speaks in.
//!
//! Pure: no runtime, no network, no global state to speak of. Time is given by the caller; the
//! operating system is asked for nothing but [`Env::process`], [`resource::Machine::real`], the
//! clock of [`clock`] and the seed of [`random`]. It knows `http`'s types and nothing of tokio, hyper,
//! OpenTelemetry or `tracing`; use it to build a layer, a message consumer or an exporter of your own
//! that agrees with the others.
//!
//! ```
//! use http::HeaderMap;
//! use meshwise_core::propagation::{Caller, Outgoing, Propagators};
//!
//! // What came with a call ...
//! let mut request = HeaderMap::new();
//! request.insert("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse()?);
//! request.insert("tracestate", "mw=p:00f067aa0ba902b7;s:gateway,congo=t61rcWkgMzE".parse()?);
//! let propagators = Propagators::default();
//! let incoming = propagators.extract(&request);
//! let parent = incoming.parent.expect("a valid traceparent");
//! assert_eq!(incoming.caller.expect("gateway wrote it").service, "gateway");
//!
//! // ... and what goes with the next.
//! let mut next = HeaderMap::new();
//! let call = Outgoing {
//!     trace_id: parent.trace_id,
//!     span_id: meshwise_core::SpanId::from_int(0xb7ad6b7169203331),
//!     flags: parent.flags,
//!     state: parent.state.as_str(),
//!     caller: Some(Caller::new("orders")),
//!     baggage: &incoming.baggage,
//! };
//! propagators.inject(&call, &mut next);
//! assert_eq!(next["tracestate"], "mw=p:b7ad6b7169203331;s:orders,congo=t61rcWkgMzE");
//! # Ok::<(), http::header::InvalidHeaderValue>(())
//! ```
//!
//! | module | what lives there | what it does with bad input |
//! |---|---|---|
//! | [`call`] | what is known about the call being served: request id, caller, deadline | an id that is too long or not visible ASCII is none |
//! | [`catalogue`] | every metric of the family: name, kind, unit, labels, help | |
//! | [`clock`] | what the wall clock showed at a moment, without asking it each time | |
//! | [`deadline`] | the moment past which nobody waits for a call any more | a timeout that does not parse is none |
//! | [`mod@env`] | reading settings from the environment | an error names the variable, the value and what is allowed; OpenTelemetry's variables are ignored instead, and told |
//! | [`headers`] | finding out cheaply that a message does not have a header | |
//! | [`identity`] | who this service is: name, namespace, version, instance | |
//! | [`limits`] | the time limits of the call that is being made, told to the layers within | |
//! | [`ledger`] | counts of telemetry records delivered and dropped, by reason | |
//! | [`outcome`] | how a call ended, and [`Classifier`], which decides it | a status that is no number is `UNKNOWN`, never OK |
//! | [`propagation`] | the wire formats of context: W3C, B3, Jaeger, X-Ray, Datadog, baggage | what is not valid was not sent; sizes are limited |
//! | [`random`] | random numbers for ids and waits, seeded by the operating system | |
//! | [`redaction`] | keeping secrets out of what is recorded: one list for every signal | any text, in time linear in its length |
//! | [`resource`] | what describes this process: the same for logs, metrics and traces | a list that can't be read is ignored, and told |
//! | [`settings`] | all that can be set without code: one tree, from code, files and variables | an error says where it stands, what is allowed and what may have been meant |
//! | [`threads`] | telling threads apart, for what is counted or queued in shards | |
//! | [`trace`] | trace and span ids, flags, `tracestate` | |
//!
//! # Features
//!
//! - `toml`: reading [`settings`] from TOML files. Off by default.

#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod call;
pub mod catalogue;
pub mod clock;
pub mod deadline;
pub mod env;
pub mod headers;
pub mod identity;
pub mod ledger;
pub mod limits;
pub mod outcome;
pub mod propagation;
pub mod random;
pub mod redaction;
pub mod resource;
pub mod settings;
pub mod threads;
pub mod trace;

pub use call::CallInfo;
pub use deadline::Deadline;
pub use env::{Env, EnvError};
pub use headers::HeaderSketch;
pub use identity::Service;
pub use ledger::{DropReason, Ledger, Signal, SignalReport};
pub use limits::Limits;
pub use outcome::{CallEnd, Classifier, ErrorType, GrpcCode, Outcome, Protocol, Refused};
pub use redaction::Redaction;
pub use resource::Resource;
pub use settings::Settings;
pub use trace::{SpanId, TraceFlags, TraceId, TraceState};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
