//! What the tests share.

pub(crate) mod place;
#[cfg(feature = "http")]
#[path = "../support/server.rs"]
pub(crate) mod receiver;
pub(crate) mod shop;
#[cfg(feature = "http")]
pub(crate) mod web;
