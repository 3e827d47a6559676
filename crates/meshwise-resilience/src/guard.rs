//! The engine: one service, one future, one body, one ticket for every guard.
//!
//! ```text
//! call -> Gate::admit: limits, breaker, bulkhead, rate limit -> inner service -> head -> body
//!            | refused        | waits in the future              \_______ Ticket ________/
//!            v                v                                             | CallEnd, once
//!          Refused          permit, turn                    breaker, bulkhead's sample, permit
//! ```
//!
//! A [`Gate`] is what the clones of a layer share: a time limit, a breaker, a bulkhead, a rate limit,
//! each of which may be missing. A layer of this crate is a gate with one of them; the stack of a peer
//! is a gate with all. An admitted call carries a [`Ticket`] through its future and its response's
//! body; whichever ends the call tells the ticket how, and the ticket tells the guards.

mod body;
mod gate;
mod kind;
mod routes;
mod service;
mod stream;
mod ticket;

pub use body::GuardedBody;
pub(crate) use gate::{Enforce, Gate};
pub use kind::{AnyCalls, CallKind, HttpCalls, JudgedCalls};
pub(crate) use routes::{Pattern, Routes};
pub(crate) use service::poll_sleep;
pub use service::{Cloned, Once};
pub use service::{Guarded, GuardedFuture};
pub(crate) use stream::{GrpcMessages, Streaming};
pub use ticket::Ticket;
