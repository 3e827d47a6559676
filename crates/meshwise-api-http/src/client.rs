//! What a service does with its peers' APIs at run time: it hears of a version's end, says
//! which version it asks for, and notices calls that no one declared.

mod future;
mod layer;
mod notices;
mod service;
mod shared;
mod targets;
mod undeclared;

pub use future::ApiClientFuture;
pub use layer::{ApiClientBuilder, ApiClientLayer};
pub use service::ApiClientService;
pub use undeclared::{Undeclared, UndeclaredCall};
