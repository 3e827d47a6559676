//! The layer that tries again.

use super::{HttpRetries, Retries, RetryBudget, RetryConfig, config::check_attempts};
use crate::{
    config_error::ConfigError,
    guard::{Gate, GuardLayer, Handle, Untimed, layer},
};
use std::sync::{Arc, atomic::Ordering::Relaxed};

/// Tries calls again that failed in passing; see the crate's table of what is retried and when.
///
/// Put it outside of what guards each attempt (timeout, breaker, bulkhead) and inside the
/// [`DeadlineLayer`](crate::DeadlineLayer). A call that the peer never saw, and that is made again for
/// that, counts in such a breaker once (for HTTP and gRPC: a request says so in its extensions); in a
/// [`PeerLayer`](crate::PeerLayer) it does not count at all if it goes well in the end. What is retried, [`with_calls`](GuardLayer::with_calls)
/// says:
///
/// ```
/// use meshwise_resilience::{HttpRetries, RetryConfig, RetryLayer};
/// let layer = RetryLayer::new("stock", RetryConfig::new())?
///     .with_calls(HttpRetries::new().with_idempotent_method("stock.Stock/Get"));
/// # Ok::<(), meshwise_resilience::ConfigError>(())
/// ```
pub type RetryLayer<K = HttpRetries> = GuardLayer<Retries, K>;

impl RetryLayer {
    /// Creates the layer for HTTP and gRPC calls to a peer.
    ///
    /// # Errors
    ///
    /// Says what is allowed if a setting makes no sense.
    #[allow(clippy::needless_pass_by_value, reason = "as all layers take theirs")]
    pub fn new(peer: impl Into<Arc<str>>, config: RetryConfig) -> Result<Self, ConfigError> {
        let peer = peer.into();
        let retries = Retries::new(&peer, &config)?;
        let gate = Gate { retry: Some(Arc::clone(&retries)), ..Gate::new(peer) };
        Ok(Self::front(gate, retries, HttpRetries::new()))
    }
}

layer!(Retries, Untimed, Clone);

/// Reads and changes retries at run time.
pub type RetryHandle = Handle<Retries>;

impl RetryHandle {
    /// Returns how many attempts are made in all.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.guard.attempts.load(Relaxed)
    }

    /// Sets how many attempts are made in all; 1 turns retries off.
    ///
    /// # Errors
    ///
    /// Says what is allowed if it is none, or more than 10; nothing is changed then.
    pub fn set_attempts(&self, attempts: u32) -> Result<(), ConfigError> {
        check_attempts(attempts)?;
        self.guard.attempts.store(attempts, Relaxed);
        Ok(())
    }

    /// Returns the budget.
    #[must_use]
    pub fn budget(&self) -> &RetryBudget {
        &self.guard.budget
    }
}
