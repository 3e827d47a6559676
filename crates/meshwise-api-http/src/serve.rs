//! What a service does with its own APIs at run time: it tells callers of a version's end, counts
//! who calls what, and answers questions about them.

mod admission;
mod body;
mod builder;
mod callers;
mod calls;
mod error;
mod future;
mod layer;
mod messages;
mod notice;
mod pages;
mod row;
mod service;
mod versions;

pub use admission::{AfterSunset, CallerInfo};
pub use body::ApiBody;
pub use builder::ApiServerBuilder;
pub use callers::{DeclaredCallers, UndeclaredCallers};
pub use error::ApiConfigError;
pub use future::ApiServerFuture;
pub use layer::ApiServerLayer;
pub use messages::{ApiMessages, ApiMessagesBuilder};
pub use pages::ApiPages;
pub use service::ApiServerService;
