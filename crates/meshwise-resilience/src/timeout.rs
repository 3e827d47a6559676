//! Time limits: a deadline for the whole call, a timeout for each attempt.
//!
//! | | [`DeadlineLayer`] | [`TimeoutLayer`] |
//! |---|---|---|
//! | stands | outermost, around the retries | inside the retries |
//! | limit | the earliest of its own total, the request's [`Deadline`](meshwise_core::Deadline) extension, the deadline of the incoming call and that of an enclosing layer | its own |
//! | when it is spent already | refuses without calling ([`Rule::DeadlineExceeded`](crate::Rule)) | |
//! | when it passes under way | breaks the call off ([`Rule::TimedOut`](crate::Rule)) | the same |
//! | covers, unless told otherwise | head and body | the head |
//!
//! A call is broken off by dropping it. Breaker and bulkhead within count it as failed then, and not
//! as given up by its caller, if they bear the same neighbour's name: give all guards of a neighbour
//! one name. A deadline that is not the layer's own total blames nobody.
//!
//! A limit never passes early. One of 100 ms and more passes up to 50 ms late if the call's future is
//! first polled so long after it was made. No timer is set for what is ready at once. Both layers need
//! tokio's timer.

mod body;
mod config;
mod cover;
mod deadline;
mod future;
mod layer;
mod limit;
mod scope;
#[cfg(test)]
mod tests;

pub use body::TimeoutBody;
pub use config::{DeadlineConfig, TimeoutConfig};
pub use cover::{CoverAny, CoverHttp, Covers};
pub use deadline::{DeadlineFuture, DeadlineLayer, DeadlineService};
pub use future::TimeoutFuture;
pub use layer::{TimeoutLayer, TimeoutService};
pub use limit::{TimeLimitHandle, Until};
pub use scope::{current_deadline, timed_out};

pub(crate) use future::poll_sleep;
pub(crate) use limit::has_passed;
pub(crate) use scope::not_the_neighbour;
