#![doc = include_str!("../README.md")]
//!
//! # What `install` sets, and what it reads
//!
//! | process-wide | set to | if it is taken already |
//! |---|---|---|
//! | `tracing` subscriber | filter, log layer, OpenTelemetry layer | error |
//! | `metrics` recorder | the one behind `/metrics` | error |
//! | `log` logger | forwards to `tracing` | left as it is |
//! | OpenTelemetry tracer provider | the one that exports | replaced, as OpenTelemetry has it |
//! | panic hook | logs the panic, flushes, writes what the standard library's would, without secrets | one of the application's is called in its place |
//!
//! [`MeshBuilder::build`] sets none of these: it makes a mesh that stands beside others.
//! All that can be set without code is one tree ([`core::settings`]). The environment (OpenTelemetry's
//! own variables, `RUST_LOG`, `MESHWISE_*`) wins over the file or directory that `MESHWISE_CONFIG` names,
//! that over code, and code over the defaults. In files and `MESHWISE_*` whatever is not known or not
//! allowed is an error. What cannot be followed of OpenTelemetry's is ignored and told at the
//! start, one
//! `WARN` line each; what is set and not used is named in one more. `MESHWISE_STRICT=true` makes errors
//! of them. `GET /config` on the ops routes shows what is in force, and what says so.
//!
//! # Features
//!
//! | feature | default | what it adds |
//! |---|---|---|
//! | `api` | no | API versions: what this service declares, and who calls what |
//! | `axum` | yes | serving axum routers, and gRPC with the feature `grpc`: server layer, ops routes |
//! | `client` | yes | clients over reqwest, with `resilience` |
//! | `config` | yes | settings from the TOML files that `MESHWISE_CONFIG` names |
//! | `otlp-grpc`, `otlp-http` | yes | exporting logs, metrics and spans by OTLP |
//! | `otlp-http-json` | no | the same as JSON |
//! | `fault` | no | faults on purpose in calls to peers, where settings switch them on |
//! | `gzip` | no | compressing what is exported, and what is scraped |
//! | `grpc` | no | gRPC calls both ways through tonic, and `grpc.health.v1`, with `resilience` |
//! | `grpc-reflection` | no | `grpc.reflection.v1` and `v1alpha` |
//! | `messaging` | no | messages through queues: producers, consumers, inbox, outbox |
//! | `http2` | no | HTTP/2 for clients |
//! | `resilience` | with `client` or `grpc` | guards of peers, and shedding load |
//! | `tls` | no | https for clients and exporters |
//! | `traces` | yes | spans; without it calls have ids all the same, which are handed on and logged |

#![cfg_attr(docsrs, feature(doc_cfg))]

mod builder;
mod changes;
mod environment;
mod error;
mod idle;
mod install;
mod mesh;
#[cfg(all(feature = "api", feature = "messaging"))]
mod message_counter;
#[cfg(feature = "messaging")]
mod messages;
#[cfg(any(feature = "client", feature = "grpc"))]
mod peer;
mod preset;
#[cfg(feature = "axum")]
mod serve;
mod settings;
mod shutdown;
mod spawn;
mod traces;

pub use builder::{MeshBuilder, builder};
pub use error::InstallError;
pub use mesh::Mesh;
#[cfg(any(feature = "client", feature = "grpc"))]
pub use peer::ClientBuildError;
#[cfg(feature = "grpc")]
pub use peer::grpc::{GrpcBody, GrpcClient, GrpcClientBuilder, GrpcFuture};
pub use preset::Preset;
#[cfg(feature = "axum")]
pub use serve::{OpsAddr, OpsServer, ServeBuilder, ServeError};
pub use shutdown::ShutdownReport;
pub use spawn::{spawn, spawn_blocking};

#[cfg(feature = "axum")]
pub use meshwise_axum as axum;
pub use meshwise_core as core;
pub use meshwise_http as http;
pub use meshwise_log as log;
#[cfg(feature = "messaging")]
pub use meshwise_messaging as messaging;
pub use meshwise_metrics as metrics;
#[cfg(feature = "resilience")]
pub use meshwise_resilience as resilience;
#[cfg(feature = "grpc")]
pub use meshwise_tonic as grpc;
#[cfg(feature = "traces")]
pub use meshwise_trace as trace;
/// The one line of OpenTelemetry that meshwise is built with: use these, and no two lines mix.
pub use opentelemetry;
#[cfg(feature = "traces")]
pub use opentelemetry_sdk;

#[cfg(feature = "api")]
pub mod api {
    //! API versions: the declaration that the build checked, and the layers that serve and count it.
    pub use meshwise_api::*;
    pub use meshwise_api_http::*;
}

#[cfg(feature = "client")]
pub mod client {
    //! HTTP clients of peers: reqwest, observed and guarded.
    pub use crate::peer::http::{Client, ClientBuilder, ClientError, GuardedHttp, HttpFuture};
    pub use meshwise_reqwest::*;
}

pub mod prelude {
    //! What most services use.
    #[cfg(feature = "grpc")]
    pub use crate::peer::grpc::GrpcClient;
    #[cfg(feature = "client")]
    pub use crate::peer::http::Client;
    pub use crate::{mesh::Mesh, preset::Preset};
    #[cfg(feature = "axum")]
    pub use meshwise_axum::CurrentCall;
}
