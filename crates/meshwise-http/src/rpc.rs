//! What is special about gRPC: the names of its methods, bodies that count their messages, and how its calls end.

mod body;
mod code;
mod methods;

pub use body::CountedBody;
pub(crate) use body::{CountBody, RequestMessages};
pub(crate) use code::fault_code;
pub(crate) use methods::{RpcServices, full_method, is_wildcard};
