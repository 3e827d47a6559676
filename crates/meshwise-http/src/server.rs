//! Observing the calls that come in.

mod layer;
mod service;

pub(crate) use layer::ServerConfig;
pub use layer::{RequestIdPolicy, ServerLayer, ServerMode};
pub use service::ServerService;
