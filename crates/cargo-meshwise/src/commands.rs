//! One module for each command.

pub mod changelog;
pub mod export;
pub mod graph;
pub mod init;
pub mod validate;
pub mod who_uses;

pub use crate::context::{Context, Opened, Source};
