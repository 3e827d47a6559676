//! API versions at run time: who still calls what is counted, callers are told of a version's end,
//! and calls that no one declared are seen.
//!
//! `meshwise-api` holds the model, which `meshwise-build` put into the program as constants; the
//! layers here are what a running service does with it. They wrap any service over
//! [`http::Request`], HTTP and gRPC alike.
//!
//! ```
//! use meshwise_api::{Date, Declared, ProvidedApi, ProvidedVersion};
//! use meshwise_api_http::{ApiRoutes, ApiServerLayer};
//!
//! const DECLARED: Declared = Declared {           // meshwise_api::declared!()
//!     provides: &[ProvidedApi {
//!         api: "orders",
//!         scheme: "main-minor",
//!         transport: "http",
//!         description: None,
//!         versions: &[ProvidedVersion {
//!             released: Date::new(2024, 2, 29),
//!             ..ProvidedVersion::new("1.1")
//!         }],
//!     }],
//!     ..Declared::new("shop")
//! };
//! let routes = ApiRoutes::new().path("/orders/v1", "orders", "1.1");
//! let layer = ApiServerLayer::builder(DECLARED).with_routes(routes).build()?;
//! # drop(layer);
//! # Ok::<(), meshwise_api_http::ApiConfigError>(())
//! ```
//!
//! | what | where |
//! |---|---|
//! | serving: headers of deprecation, counts by caller, 410 after the sunset | [`ApiServerLayer`] |
//! | calling: the version asked for, notice of its end, undeclared calls | [`ApiClientLayer`] |
//! | which request is for which version | [`ApiRoutes`] |
//! | history, current and plan, for people and machines | [`ApiPages`] |
//! | `Deprecation`, `Sunset`, `Link`, read and written | [`headers`] |

#![cfg_attr(docsrs, feature(doc_cfg))]

mod client;
#[doc(hidden)]
pub mod headers;
mod runtime;
mod serve;

pub use client::{
    ApiClientBuilder, ApiClientFuture, ApiClientLayer, ApiClientService, Undeclared, UndeclaredCall,
};
pub use runtime::routes::{ApiRoutes, RequestHead};
// The front door counts the messages of an API by it.
pub use serve::{
    AfterSunset, ApiBody, ApiConfigError, ApiPages, ApiServerBuilder, ApiServerFuture,
    ApiServerLayer, ApiServerService, CallerInfo, DeclaredCallers, UndeclaredCallers,
};
#[doc(hidden)]
pub use serve::{ApiMessages, ApiMessagesBuilder};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
