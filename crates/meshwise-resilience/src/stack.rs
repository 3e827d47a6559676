//! All guards of a neighbour in their order.
//!
//! ```text
//! deadline -> retry -> timeout -> breaker -> bulkhead -> rate limit -> your service
//! once a call          once an attempt
//! ```
//!
//! The order is the point. The deadline bounds all attempts together. Retries are outside of what
//! guards an attempt, so that each attempt asks the breaker, and an open breaker ends them. The
//! timeout is outside of the breaker and tells it of a neighbour that hangs; it covers the queue of
//! the bulkhead, which is no fault of the neighbour's. The service within is called once an attempt:
//! give it the telemetry layer, and there is one span an attempt.

mod config;
mod layer;
mod optional;

pub use config::NeighbourConfig;
pub use layer::{
    NeighbourBody, NeighbourFuture, NeighbourHandle, NeighbourLayer, NeighbourService,
};
