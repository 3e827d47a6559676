//! One process that takes OTLP from any language, and shows map, traces, logs, metrics, guards and API
//! versions in a browser. Nothing to install, nothing kept on disk, memory bounded.
//!
//! [`Console::start`] starts it, inside of any process; `examples/console.rs` is one of its own.
//!
//! | it takes | how |
//! |---|---|
//! | traces, logs, metrics | OTLP over gRPC, HTTP with protobuf, HTTP with JSON; gzip; on either port |
//! | `/metrics`, `/resilience`, `/apis` | of listed services, and of those on loopback that name their address |
//! | session files | OTLP JSON lines, as the collector's file exporter writes them |
//!
//! | it shows | where |
//! |---|---|
//! | the page | `/` |
//! | Jaeger's query API, for Jaeger's own page and Grafana | `/api/services`, `/api/traces`, `/api/dependencies`, ... |
//!
//! Spans and log records lie in a ring for each service. Past the memory that is set, the oldest go, of
//! the service that has the most; what was evicted, cut or refused is counted, and shown. Requests are
//! bounded before they are decoded.
//!
//! It listens on loopback only, unless a token is set. Browsers may call it by an address, `localhost`
//! or a name that was set, and by no other: so no other site's DNS can read it.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod clock;
mod config;
mod console;
mod error;
mod gate;
mod ingest;
mod listen;
mod query;
mod respond;
mod save;
mod shared;
mod store;
mod watch;
mod web;

pub use config::{ConsoleConfig, OpsTarget};
pub use console::Console;
pub use error::ConsoleError;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
