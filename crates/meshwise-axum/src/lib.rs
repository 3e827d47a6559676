//! meshwise for axum.
//!
//! - [`server_layer`]: a `ServerLayer` that knows axum's routes, for `Router::layer`;
//! - [`OpsRouter`]: `/metrics`, `/livez`, `/readyz`, `/debug/calls` and more;
//! - [`CurrentCall`]: an extractor for what is known about the call being served.
//!
//! ```
//! use axum::{Router, routing::get};
//! use meshwise_axum::{CurrentCall, OpsRouter, server_layer};
//! use meshwise_core::Service;
//! use meshwise_http::Telemetry;
//!
//! let telemetry = Telemetry::new(Service::new("orders", "1.0.0"));
//! let routes: Router = Router::new()
//!     .route("/orders/{id}", get(|call: CurrentCall| async move {
//!         format!("called by {}", call.caller().unwrap_or("a stranger"))
//!     }))
//!     .layer(server_layer(telemetry));
//! // In this order, so that it is the observed router's fallback that answers 404.
//! let app = OpsRouter::new().build().merge(routes);
//! ```
//!
//! | route of the call | `http.route` |
//! |---|---|
//! | `/orders/{id}` | `/orders/{id}` |
//! | the same, nested under `/api` | `/api/{...}`, joined: `/api/orders/{id}` |
//! | answered by a fallback | empty |
//!
//! Put the layer on the outermost `Router`, after its routes and nested routers, and merge that into the
//! ops router: scrapes and probes are not calls worth a span. Not the other way round: where neither
//! router has a fallback of its own, `Router::merge` keeps that of its argument, and a fallback that is
//! not observed hides every 404.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod current;
mod ops;
mod server;

pub use current::CurrentCall;
pub use ops::{OpsRouter, debug::DebugAccess};
pub use server::{fault, server_layer};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
