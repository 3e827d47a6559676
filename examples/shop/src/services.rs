//! What the services do. Each file is one service as its team would write it.

pub(crate) mod auth;
pub(crate) mod gateway;
pub(crate) mod mailer;
pub(crate) mod orders;
pub(crate) mod stock;
