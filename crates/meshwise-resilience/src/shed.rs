//! Load shedding on the server: what cannot be done in time is not begun.
//!
//! A server that takes all that comes answers no one once it is overloaded. Refusing early, with a
//! response that says when to come back, keeps it answering those whom it can.

mod layer;

pub use layer::{ShedConfig, ShedHandle, ShedLayer, ShedSnapshot};
