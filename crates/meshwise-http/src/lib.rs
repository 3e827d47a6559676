//! Tower layers that observe a call, on the way in and on the way out.
//!
//! [`ServerLayer`] wraps any `Service<http::Request<_>>` that answers, [`ClientLayer`] any that
//! asks. Each call gets one span, one set of metrics and (on the server) one access-log line, all
//! naming it by the same ids; what came with the call is handed on to the calls that it causes.
//!
//! ```
//! use meshwise_core::Service;
//! use meshwise_http::{ServerLayer, Telemetry};
//! use tower_layer::Layer;
//!
//! # fn handler() -> impl Clone { }
//! let telemetry = Telemetry::new(Service::new("orders", "1.4.2"));
//! let service = ServerLayer::new(telemetry).layer(handler());
//! ```
//!
//! # What counts as the end of a call
//!
//! A call finishes exactly once:
//!
//! | what happens | the call ends | as |
//! |---|---|---|
//! | the body's last frame or trailers pass | then | what head or trailers say |
//! | a served HTTP body ends before its announced length, or goes past it | then | failure, `error.type=body` |
//! | a gRPC request's body breaks off, and the server's answer is a failure | with that answer | cancelled: its caller left |
//! | the body fails | then | failure, `error.type` by the error's kind (`reset`, `timeout`), or `body` |
//! | the service returns an error | then | failure, by the error's kind |
//! | the future is dropped before the head | then | cancelled; once a limit of the call has passed: failure, `error.type=timeout` |
//! | the body is dropped before its end | then | what the head says; for gRPC without a status: cancelled, or `timeout` |
//! | the code below panics | then | failure, `error.type=panic` |
//! | a destructor of future or body says so ([`break_off`]), or of the call that makes this one | then | failure, `error.type=panic` or `shutdown` |
//! | a response carries [`BrokenOff`](meshwise_core::outcome::BrokenOff) in its extensions | with its head | failure, `error.type=panic` or `shutdown` |
//!
//! A response that can have no body (HEAD, 204, 304, 1xx, upgrades) ends with its head. One of known
//! length (`Content-Length`, or the body's exact size) is complete once so many bytes have passed.
//! Where it was not the peer that ended the call, span and access line say who it was:
//! `meshwise.ended_by` is `caller`, `own_limit`, `foreign_deadline` or `shutdown`.
//!
//! How a call ended is decided by a [`Classifier`](meshwise_core::Classifier)
//! ([`ServerLayer::with_classifier`], [`ClientLayer::with_classifier`]), which guards share.
//!
//! # HTTP or gRPC
//!
//! Served calls are judged by their answer: one with `content-type: application/grpc` makes it a gRPC
//! call, whatever the request says of itself. A call without an answer, cancelled or timed out, is what
//! its request says, unless it had found an HTTP route (a template that does not end in a wildcard);
//! its method is no label before a handler has proved it. A client's own request says which it is.
//!
//! # What is current
//!
//! While the code of a call runs (the service, the body's stream, and the destructors of either), its
//! context is OpenTelemetry's current one; with
//! [`with_tracing_span`](meshwise_trace::Recording::with_tracing_span) its span is `tracing`'s current one, too.
//!
//! # Time limits
//!
//! | told by | as | bounds calls made for it | holds for a response that streams | goes on as |
//! |---|---|---|---|---|
//! | `grpc-timeout` | a deadline | yes | yes | `grpc-timeout`, `x-request-timeout-ms` |
//! | `x-request-timeout-ms` | the limit of the caller's attempt | yes | no | `x-request-timeout-ms` |
//!
//! On an outgoing request both, and the [`Deadline`](meshwise_core::Deadline) in its extensions, are
//! deadlines: the code that makes the request has set them on purpose. The peer is told the time that
//! remains, in whole milliseconds, of the earliest deadline and (in `x-request-timeout-ms` only) of
//! the limits that guards around the call have set. A guard that has set a limit enforces it; if none
//! has, [`ClientLayer`] puts the deadline into the request's extensions and the transport enforces it.
//!
//! A timeout that stands outside of [`ServerLayer`] only drops the call, as a client does that leaves.
//! Put timeouts inside, or say how long the outer one is
//! ([`ServerLayer::with_outer_timeout`]); a `grpc-timeout` that tonic's server enforces is known from
//! the header.
//!
//! # What passes through untouched
//!
//! Bodies keep their size hint, their trailers and their end-of-stream mark, so `Content-Length`
//! stays; upgrades, streaming in both directions and backpressure (`poll_ready`) are the inner
//! service's own.
//!
//! # Features
//!
//! | feature | default | what it adds |
//! |---|---|---|
//! | `hyper` | no | [`hyper_fault`], what hyper's errors mean, for adapters |
//! | `h2` | no | the same for h2's errors |

#![cfg_attr(docsrs, feature(doc_cfg))]

mod access;
mod body;
mod call;
mod calls;
mod client;
#[cfg(feature = "hyper")]
mod fault;
mod finished;
mod future;
mod health;
mod hosts;
mod incoming;
mod method;
#[doc(hidden)]
pub mod names;
mod operations;
mod redact;
mod rpc;
mod server;
mod service;
mod setters;
mod telemetry;

use meshwise_trace::convert;

pub use access::AccessLog;
pub use body::ObservedBody;
#[doc(hidden)]
pub use call::break_off;
#[doc(hidden)]
pub use calls::snapshot::{
    CallFacts, CallInFlight, CallInQueue, CallsSnapshot, EndedCall, WaitsFor,
};
pub use client::{
    ClientLayer,
    config::{ClientMode, UrlTemplate},
};
#[cfg(feature = "hyper")]
#[doc(hidden)]
pub use fault::hyper_fault;
pub use future::ObservedFuture;
pub use health::Health;
#[doc(hidden)]
pub use health::{CheckResult, HealthReport};
pub use incoming::{incoming_api_version, incoming_caller, incoming_deadline};
#[doc(hidden)]
pub use incoming::{incoming_attempt, incoming_limit};
/// What the front door gives a [`Recording`], with spans and without.
#[doc(hidden)]
pub use meshwise_trace::Tracing;
#[doc(hidden)]
pub use redact::{redact_query, redact_url};
#[doc(hidden)]
pub use rpc::CountedBody;
pub use server::{
    ServerLayer,
    config::{RequestIdPolicy, ServerMode},
};
pub use service::ObservedService;
pub use telemetry::{Recording, Telemetry};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
