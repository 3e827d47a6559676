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
//! let telemetry = Telemetry::builder(Service::new("orders", "1.4.2")).build();
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
//! | the body fails | then | failure, `error.type=body` (a timeout or connect error by its name) |
//! | the service returns an error | then | failure, by the error's kind |
//! | the future is dropped before the head | then | cancelled; after the call's deadline: failure, `error.type=timeout` |
//! | the server's body is dropped before its end | then | cancelled: the client is gone |
//! | the client's body is dropped unread | then | what the head says: its reader had enough |
//! | the handler panics | when its future is dropped | failure, `error.type=panic` |
//!
//! A response that can have no body (HEAD, 204, 304, 1xx, upgrades) ends with its head.
//!
//! # What passes through untouched
//!
//! Bodies keep their size hint, their trailers and their end-of-stream mark, so `Content-Length`
//! stays; upgrades, streaming in both directions and backpressure (`poll_ready`) are the inner
//! service's own.

mod access;
mod body;
mod call;
mod client;
mod convert;
mod future;
mod health;
mod incoming;
mod method;
pub mod names;
mod redact;
mod rpc;
mod server;
mod telemetry;

pub use access::AccessLog;
pub use body::ObservedBody;
pub use client::{ClientLayer, ClientMode, ClientService, UrlTemplate};
pub use future::ObservedFuture;
pub use health::{CheckResult, Health, HealthReport};
pub use incoming::{incoming_attempt, incoming_caller, incoming_deadline};
pub use redact::{redact_query, redact_url};
pub use rpc::CountedBody;
pub use server::{RequestIdPolicy, ServerLayer, ServerMode, ServerService};
pub use telemetry::{Telemetry, TelemetryBuilder};
