//! Messages in hand: how their processing starts, runs and ends.

mod future;
mod message;
mod settled;
mod start;

pub use future::Running;
pub use message::{Entered, Processing};
pub use settled::Settled;
