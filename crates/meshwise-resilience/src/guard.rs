//! The engine: one service, one future, one body, one ticket for every guard.
//!
//! ```text
//! call -> limits -> [ Gate::admit: attempt limit, breaker, bulkhead, rate limit -> inner service ] -> head -> body
//!           |             | refused        | waits in the future      ^  |         \______ Ticket ______/
//!           v             v                v                 again ___|__|                  | CallEnd, once
//!        Refused       Refused        permit, turn                    breaker, bulkhead's sample, permit
//! ```
//!
//! A [`Gate`] is what the clones of a layer share: limits, retries or a hedge, a breaker, a bulkhead, a
//! rate limit, each of which may be missing. A layer of this crate is a gate with one of them; the stack of
//! a peer is a gate with all but the hedge; a [`Plan`] says so to the compiler. The next attempt of a call
//! begins after the last one failed (`future.rs`), or beside the first while that is slow (`beside.rs`).
//!
//! An admitted attempt carries a [`Ticket`] through its future and its response's body; whichever ends it
//! tells the ticket how, and the ticket tells the guards.

mod beside;
mod body;
mod future;
mod gate;
mod kind;
mod routes;
mod service;
mod ticket;
mod timer;

pub use body::GuardedBody;
pub use future::GuardedFuture;
pub use gate::{AllGuards, Plan};
pub(crate) use gate::{
    BREAKER, BULKHEAD, DEADLINES, Enforce, Gate, HEDGE, Has, Held, LIMIT, Lacks, RATE, RETRY,
};
pub use kind::{AnyCalls, CallKind, HttpCalls, RequestKind};
pub(crate) use kind::{HttpPending, Resent};
pub(crate) use routes::{Pattern, Streaming};
pub use service::{GuardLayer, Guarded};
pub(crate) use service::{Spare, layer};
pub(crate) use ticket::Ticket;
pub(crate) use timer::Timer;

#[cfg(all(test, loom))]
#[path = "guard/loom.rs"]
mod loom_models;
