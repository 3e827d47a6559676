//! What the tests share.

pub(crate) mod faults;
pub(crate) mod place;
#[cfg(feature = "http")]
pub(crate) mod web;
