//! Deciding which traces are recorded and exported.

mod config;
mod env;
mod rate;
mod root;

pub use config::SamplerConfig;
pub(crate) use env::slow as slow_from_env;
pub(crate) use root::MeshSampler;
