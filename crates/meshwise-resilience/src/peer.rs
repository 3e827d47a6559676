//! All guards of a peer, in the order that works.
//!
//! ```text
//! deadline -> retry -> [ attempt limit, breaker, bulkhead, rate limit: one gate ] -> transport
//! ```
//!
//! One call is one decision of the retry budget; each attempt passes the gate.

mod config;
mod handle;
mod layer;
mod settings;

pub use config::{PeerConfig, RouteConfig};
pub use handle::PeerHandle;
pub use layer::{PeerBody, PeerFuture, PeerLayer, PeerService};
