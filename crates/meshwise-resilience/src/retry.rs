//! Trying again, without making a failure worse.
//!
//! | question | answer, unless told otherwise |
//! |---|---|
//! | which requests | GET, HEAD, OPTIONS, TRACE, PUT, DELETE; any with `Idempotency-Key`; any marked [`Idempotent`]; gRPC methods listed as such |
//! | on what | what the peer never saw (any request, with attempts of its own for up to 1 s); 502, 503, 504; 429 with `Retry-After`; an attempt's own timeout; connections that break before the head; gRPC `UNAVAILABLE` in the head of the response |
//! | never on | an open breaker, a full bulkhead, a spent limit or deadline; a response whose head was 2xx, whatever its body does |
//! | how often | 3 attempts in all, fewer on behalf of a call that is a retry itself |
//! | when | after a random part of 25 ms, 50 ms ... at most 1 s; `Retry-After` (seconds and dates, up to 10 s) is waited before it, `grpc-retry-pushback-ms` instead of it, and a negative pushback stops; never past the deadline |
//! | how many | as many as the [`RetryBudget`] has: 20 % of the calls that went well in the last 10 s, and 10 a second |
//! | bodies | up to 64 KiB are kept while they flow; a longer one is sent once |
//!
//! A call that succeeds allocates what copying its headers takes, and nothing else: a body that lies
//! ready as a whole is copied by reference. A streaming one costs two allocations and, each frame, a
//! lock that no one else takes unless the call is tried again.

mod backoff;
mod budget;
mod config;
mod http_kind;
mod kept;
mod kind;
mod layer;
mod replay;
mod tries;

pub use backoff::Backoff;
pub use budget::{RetryBudget, Withdrawal};
pub use config::RetryConfig;
pub(crate) use config::check_attempts;
pub use http_kind::{HttpRetries, Idempotent, KeptRequest};
pub use kind::{AnyRetries, RetryVerdict};
pub use layer::{RetryHandle, RetryLayer};
pub use replay::ReplayBody;
pub(crate) use tries::{Retries, Tries};
