//! What the services do. Each file is one service as its team would write it.

pub mod auth;
pub mod gateway;
pub mod orders;
pub mod stock;
