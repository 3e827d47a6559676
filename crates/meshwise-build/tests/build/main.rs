//! The check by itself, and in real builds of services by `cargo`.

mod cargo;
mod direct;
mod service;
