//! Observing the calls that come in.

mod layer;
mod service;

pub(crate) use layer::ServerConfig;
pub use layer::{RequestIdPolicy, ServerLayer, ServerMode};
pub(crate) use service::Served;
pub use service::ServerService;
