//! What the tests share.

pub(crate) mod faults;
pub(crate) mod place;
pub(crate) mod shop;
#[cfg(feature = "http")]
pub(crate) mod web;
