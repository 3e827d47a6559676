//! Time limits: a deadline for the whole call, a timeout for each attempt.
//!
//! | | [`DeadlineLayer`] | [`TimeoutLayer`] |
//! |---|---|---|
//! | stands | outermost, around the retries | inside the retries |
//! | limit | the earliest of its own total, the request's [`Deadline`](meshwise_core::Deadline) extension, its `grpc-timeout` or `x-request-timeout-ms`, the deadline of the incoming call and that of an enclosing layer | its own |
//! | when it is spent already | refuses without calling ([`Rule::DeadlineExceeded`](crate::Rule)) | |
//! | when it passes in flight | breaks the call off ([`Rule::TimedOut`](crate::Rule)) | the same |
//! | covers, unless told otherwise | head and body | the head |
//!
//! A call is broken off by dropping it. The guards within know the limits
//! ([`Limits`](meshwise_core::internal::Limits)), and judge the end by them: a deadline that others have set
//! counts against the peer only if it had at least 0.4 of the attempt's own limit.
//!
//! A limit never passes early. No timer is set for what is ready at once. Both layers need tokio's
//! timer.

mod config;
mod deadlines;
mod layer;
mod limit;

pub use config::{DeadlineConfig, TimeoutConfig};
pub(crate) use deadlines::{Deadlines, Told};
pub use layer::{DeadlineLayer, TimeoutLayer};
pub(crate) use limit::TimeLimit;
pub use limit::TimeLimitHandle;
