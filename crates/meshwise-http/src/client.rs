//! Observing the calls that go out.

mod layer;
mod service;

pub(crate) use layer::ClientConfig;
pub use layer::{ClientLayer, ClientMode, UrlTemplate};
pub use service::ClientService;
