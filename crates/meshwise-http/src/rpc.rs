//! What is special about gRPC: the names of its methods, and the messages in its bodies.

mod body;
mod messages;
mod methods;

pub use body::CountedBody;
pub(crate) use body::{CountBody, RequestMessages};
pub(crate) use messages::Messages;
pub(crate) use methods::{RpcServices, full_method};
