//! What a service does with its peers' APIs at run time: it hears of a version's end, says
//! which version it asks for, and notices calls that no one declared.

mod error;
mod future;
mod layer;
mod notices;
mod service;
mod targets;

pub use error::UndeclaredCall;
pub use future::ApiClientFuture;
pub use layer::{ApiClientBuilder, ApiClientLayer, Undeclared};
pub use service::ApiClientService;
