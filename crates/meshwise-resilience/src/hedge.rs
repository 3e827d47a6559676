//! Hedged calls: a second attempt beside a first one that is slower than most.
//!
//! "The Tail at Scale" (Dean and Barroso, 2013): where a few calls take many times as long as the
//! rest, asking again once a call takes longer than 95 % of them cuts the tail for a few per cent of
//! load. The first answer wins, the other is dropped. Hedges are paid for from the retry
//! budget, so a peer that is slow as a whole does not get twice the calls.
//!
//! Hedged are calls that do no harm twice at the same time: GET, HEAD, OPTIONS, TRACE, gRPC methods
//! listed as idempotent, and what is marked [`Idempotent`](crate::Idempotent); and only if the body
//! lies ready as a whole.

mod config;
mod estimate;
mod future;
mod layer;

pub use config::HedgeConfig;
pub use future::HedgeFuture;
pub use layer::{HedgeHandle, HedgeLayer, HedgeService};
