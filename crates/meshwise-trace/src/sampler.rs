//! Deciding which traces are recorded and exported.

mod config;
mod rate;
mod root;

pub use config::SamplerConfig;
pub(crate) use root::MeshSampler;

#[cfg(test)]
mod tests;
