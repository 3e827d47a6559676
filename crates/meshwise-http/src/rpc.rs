//! What is special about gRPC: the names of its methods, and bodies that count their messages.

mod body;
mod methods;

pub use body::CountedBody;
pub(crate) use body::{CountBody, RequestMessages};
pub(crate) use methods::{RpcServices, full_method, is_wildcard};
