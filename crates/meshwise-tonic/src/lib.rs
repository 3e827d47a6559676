//! Observed gRPC: meshwise's layers around tonic's servers and channels.
//!
//! The layers are those of `meshwise-http`; gRPC is data to them. This crate tells them what tonic
//! knows (the caller's address, what an error means, how to count within its bodies), and adds what
//! gRPC has of its own: a channel whose deadline covers the whole call, health and reflection.
//!
//! ```no_run
//! use meshwise_core::Service;
//! use meshwise_http::{Health, Telemetry};
//! use meshwise_tonic::{GrpcClientBuilder, OpsRoutes, server_layer};
//!
//! # async fn serve() -> Result<(), Box<dyn std::error::Error>> {
//! let telemetry = Telemetry::new(Service::new("auth", "2.0.0"));
//!
//! // Calls that come in: any service beside health, each observed.
//! let routes = OpsRoutes::new(Health::new()).build()?;
//! let server = tonic::transport::Server::builder()
//!     .layer(server_layer(telemetry.clone()))
//!     .add_routes(routes) // .add_service(AuthServer::new(auth))
//!     .serve("127.0.0.1:50051".parse()?);
//!
//! // Calls that go out: what any generated client takes as its service.
//! let stock = GrpcClientBuilder::new(&telemetry, "stock")
//!     .with_endpoint("http://stock:50051")
//!     .build()?;
//! // let mut stock = StockClient::new(stock);
//! # let _ = stock;
//! # server.await?;
//! # Ok(())
//! # }
//! ```
//!
//! # How a call ends, and what it is called
//!
//! | what happens | `rpc_status_code` | `error_type` |
//! |---|---|---|
//! | status in trailers, or in the head of an answer without messages | that | its name, if it is an error for this side |
//! | answer without a status | by its HTTP status; never `OK` | that code |
//! | stream reset by the peer | by HTTP/2's reason (`CANCEL`: `CANCELLED`, `INTERNAL_ERROR`: `INTERNAL`, ...) | that code |
//! | no connection | `UNAVAILABLE` | `connect` |
//! | a connection that broke, GOAWAY, `REFUSED_STREAM` | `UNAVAILABLE` | `reset` |
//! | the deadline passes, on either side | `DEADLINE_EXCEEDED` | `timeout` |
//! | the caller goes away before its deadline | `CANCELLED` | `cancelled` |
//!
//! tonic itself says `CANCELLED` where a deadline has passed, and `UNKNOWN` or `INTERNAL` where a
//! connection broke; [`Observed`]'s callers see `DEADLINE_EXCEEDED` and `UNAVAILABLE`, as gRPC has it,
//! with tonic's error as the source. [`fault`] says what an error means.
//!
//! A server makes a status of a request that breaks off, which its caller never gets. That the caller left is
//! known where request messages are counted: of calls that are recorded, and of methods that no call has proved
//! yet. Of other calls the server's metrics and log have that status (`UNKNOWN`, `INTERNAL`).
//!
//! `tonic::transport::Server::timeout` stands outside of every layer and only drops the call: tell
//! [`ServerLayer::with_outer_timeout`](meshwise_http::ServerLayer::with_outer_timeout) how long it is.
//!
//! # Features
//!
//! | feature | default | what it adds |
//! |---|---|---|
//! | `health` | yes | `grpc.health.v1` from the checks behind `/readyz` |
//! | `reflection` | no | `grpc.reflection.v1` and `v1alpha` |
//! | `tls` | no | TLS for channels |

#![cfg_attr(docsrs, feature(doc_cfg))]

mod client;
mod error;
#[cfg(feature = "health")]
mod health;
#[cfg(any(feature = "health", feature = "reflection"))]
mod ops;
mod server;
mod transport;

pub use client::{BuildError, GrpcClientBuilder, Observed};
pub use error::fault;
#[cfg(feature = "health")]
pub use health::HealthService;
#[cfg(any(feature = "health", feature = "reflection"))]
pub use ops::{OpsRoutes, ReflectionError};
pub use server::{observe_tonic, server_layer};
pub use transport::{Transport, TransportBody, TransportFuture};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
