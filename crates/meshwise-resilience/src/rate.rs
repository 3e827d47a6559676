//! Rate limit: so many calls in a time, in all or for each key.
//!
//! The limit is a GCRA ("virtual scheduling", ITU-T I.371): one number says when the next call is
//! due, calls may come earlier by as much as the burst allows, and what is missing is the wait that
//! a refusal tells of. A call takes one compare-and-swap.
//!
//! Keys live in a table of fixed size. A key that has been quiet until its burst is whole again is
//! as good as new, so its place is given away without loss; when all places that a key could take
//! are busy, it shares a limit with the others that found none.

mod config;
mod gcra;
mod keys;
mod layer;

pub use config::RateConfig;
pub use keys::{OneLimit, PerKey, RateKey};
pub(crate) use layer::{Rate, Turn};
pub use layer::{RateLimitHandle, RateLimitLayer};
