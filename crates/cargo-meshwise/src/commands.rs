//! One module for each command.

pub mod init;
pub mod validate;

pub use crate::context::Context;
