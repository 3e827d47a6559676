//! What the tests share.

pub(crate) mod faults;
#[cfg(feature = "http")]
pub(crate) mod web;
