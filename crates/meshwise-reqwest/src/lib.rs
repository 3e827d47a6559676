//! meshwise for reqwest.
//!
//! [`ReqwestService`] is a `reqwest::Client` as a `tower::Service<http::Request<B>>` for any body
//! `B`, so that every client layer fits it; reqwest's own `Service` takes `reqwest::Request`.
//! [`Client`] is the finished thing for one peer: layers around that service, and a request
//! builder on top.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use meshwise_core::Service;
//! use meshwise_http::Telemetry;
//! use meshwise_reqwest::Client;
//!
//! let telemetry = Telemetry::new(Service::new("orders", "1.0.0"));
//! let auth = Client::builder(&telemetry, "auth").with_base_url("http://auth:8080").build()?;
//! let response = auth.get("/check").query("user", "7").send().await?;
//! assert!(response.status().is_success());
//! # Ok(())
//! # }
//! ```
//!
//! | what | how |
//! |---|---|
//! | request bodies | streamed as they are polled; never collected, `Sync` or not |
//! | response bodies | streamed; size hint and trailers kept |
//! | redirects | never followed, whatever the transport's settings: headers meant for a peer must not reach the host it points to |
//! | timeouts | the transport has none of its own; a call's deadline bounds it, unless a guard around the call does |
//! | retries | reqwest's own (protocol NACKs) are left off, so that one attempt is one span |
//! | HTTP version | the connection's; what the request says is not looked at |
//! | errors | without the URL, which may hold secrets; [`fault`] says what they mean |
//!
//! # Features
//! `tls` (https through rustls), `json` (JSON bodies), `http2`; none is on by default.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod body;
mod client;
mod error;
mod request;
mod service;

pub use client::{BuildError, Client, ClientBuilder, Observed};
pub use error::{CallError, Error, fault};
pub use request::RequestBuilder;
pub use reqwest;
pub use service::{ReqwestFuture, ReqwestService};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
