//! Faults on purpose: delays and aborts, to prove that the other guards do their work.
//!
//! As Envoy's and Istio's fault filters have it: a share of the requests, all of them or those with
//! certain headers, is delayed, answered with an error instead, or both. It is built in only with
//! the feature `fault`, and does nothing until it is switched on.

mod config;
mod layer;

pub use config::{Abort, FaultConfig};
pub use layer::{FaultFuture, FaultHandle, FaultLayer, FaultService};
