//! Assertions on spans, metrics and log lines, for the tests of services that use meshwise.
//!
//! [`TestMesh`] is a mesh that keeps everything in memory. Each test makes its own, and tests that
//! run in parallel do not see each other's telemetry. Assertions read as sentences, and print what
//! was there when they fail.
//!
//! ```
//! use axum::{Router, body::Body, http::Request, routing::get};
//! use meshwise_testing::TestMesh;
//! use tower::ServiceExt;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let mesh = TestMesh::new("orders");
//! let app = Router::new()
//!     .route("/orders/{id}", get(|| async { tracing::warn!(id = 7, "no such order"); "none" }))
//!     .layer(mesh.server_layer());
//!
//! let response = app.oneshot(Request::get("/orders/7").body(Body::empty()).unwrap()).await.unwrap();
//! drop(response);
//!
//! let span = mesh.spans().named("GET /orders/{id}").one();
//! span.assert_attribute("http.request.method", "GET");
//! mesh.lines().at_level("WARN").one().assert_field("id", 7).assert_in_span(&span);
//! mesh.metric("http_server_request_duration_seconds_count")
//!     .label("http_route", "/orders/{id}")
//!     .assert_value(1.0);
//! # }
//! ```
//!
//! | telemetry | when it can be seen |
//! |---|---|
//! | spans | once they have ended; a call's server span ends with its response's body |
//! | metrics | at once |
//! | log lines | at once: of everything that runs inside the mesh's layers, or under [`TestMesh::enter`] |

#![cfg_attr(docsrs, feature(doc_cfg))]
#![allow(
    clippy::must_use_candidate,
    clippy::return_self_not_must_use,
    reason = "an assertion has done its work when it returns; what it returns is for chaining"
)]

mod lines;
mod mesh;
mod metric;
mod spans;

pub use lines::{Line, Lines};
pub use mesh::{Entered, TestMesh};
pub use metric::Metric;
pub use spans::{Span, Spans};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
