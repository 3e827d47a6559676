//! The layer, and what it tells the world.

use super::{
    config::BreakerConfig,
    shared::{Listener, Pass, Shared},
    state::{BreakerState, Change},
};
use crate::{
    clock,
    config_error::ConfigError,
    count::{Refusals, counter},
    guard::{Gate, GuardLayer, HttpCalls, Untimed, layer},
    names,
};
use meshwise_core::{ErrorType, Refused, outcome::Rule};
use metrics::gauge;
use std::sync::Arc;

/// The breaker behind a layer, its services and handles.
#[derive(Debug)]
pub struct Breaker {
    /// Is told of each end by the call's ticket.
    pub(crate) shared: Shared,
    refusals: Refusals,
}

impl Breaker {
    pub(crate) fn new(peer: &Arc<str>, config: BreakerConfig) -> Result<Arc<Self>, ConfigError> {
        config.check()?;
        let shared = Shared::new(
            config,
            clock::coarse(),
            meshwise_core::internal::random::u64(),
            listener(peer),
        );
        let refusals = Refusals::new(peer, Rule::BreakerOpen);
        Ok(Arc::new(Self { shared, refusals }))
    }

    /// Says whether a call would be refused now, without making it one.
    #[inline(always)]
    pub(crate) fn is_open(&self) -> bool {
        self.shared.refuses(clock::coarse).is_some()
    }

    /// Admits a call while the breaker is closed.
    #[inline(always)]
    pub(crate) fn pass(&self) -> Option<Pass> {
        self.shared.pass(clock::coarse)
    }

    /// Admits a call, or refuses it.
    #[cold]
    pub(crate) fn admit(&self) -> Result<Pass, Refused> {
        self.shared.admit(clock::coarse).map_err(|left| self.refuse(left))
    }

    /// Refuses a call that was told to come without asking the inner service.
    #[cold]
    pub(crate) fn refuse_unready(&self) -> Refused {
        // It was open when asked. Were its time over just now, this call could still not be made:
        // the inner service was not asked. The next can.
        self.refuse(self.shared.refuses(clock::coarse).unwrap_or(Some(0)))
    }

    #[cold]
    fn refuse(&self, left: Option<u64>) -> Refused {
        self.refusals.refuse(left.map(clock::nanos))
    }
}

/// Stops calling a peer that fails, until it is well again.
pub type BreakerLayer<K = HttpCalls> = GuardLayer<Breaker, K>;

impl BreakerLayer {
    /// Creates a breaker for a peer, that judges HTTP and gRPC calls to the end of their bodies.
    ///
    /// Its metrics go to the recorder that is in place now.
    ///
    /// # Errors
    ///
    /// Returns what [`BreakerConfig::check`] finds.
    pub fn new(peer: impl Into<Arc<str>>, config: BreakerConfig) -> Result<Self, ConfigError> {
        let peer = peer.into();
        let breaker = Breaker::new(&peer, config)?;
        let gate = Gate { breaker: Some(Arc::clone(&breaker)), ..Gate::new(peer) };
        Ok(Self::front(gate, breaker, HttpCalls::new()))
    }
}

layer!(Breaker, Untimed);

/// Tells of changes of state through the facades.
fn listener(peer: &Arc<str>) -> Listener {
    let peer = Arc::clone(peer);
    let level = gauge!(names::BREAKER_STATE, names::PEER => Arc::clone(&peer));
    level.set(0.0);
    let transitions = BreakerState::ALL
        .map(|to| (to, counter(names::BREAKER_TRANSITIONS, &peer, (names::TO, to.as_str()))));
    Box::new(move |change: &Change| {
        level.set(change.to.level());
        if let Some((_, counter)) = transitions.iter().find(|(to, _)| *to == change.to) {
            counter.increment(1);
        }
        log(&peer, change);
    })
}

fn log(peer: &str, change: &Change) {
    let Change { from, to, why, counts, open_for } = *change;
    let (from, reason) = (from.as_str(), why.as_str());
    let told = match to {
        BreakerState::Closed => "closed",
        BreakerState::HalfOpen => "half-opened",
        BreakerState::Open => {
            tracing::warn!(
                target: names::TARGET,
                peer,
                from,
                reason,
                calls = counts.calls,
                failed = counts.failed,
                slow = counts.slow,
                open_ms = open_for / 1_000_000,
                { names::ERROR_TYPE } = ErrorType::BREAKER_OPEN.as_str(),
                "circuit breaker opened"
            );
            return;
        }
        BreakerState::ForcedOpen => "forced open",
        BreakerState::ForcedClosed => "forced closed",
        BreakerState::Disabled => "disabled",
    };
    match to {
        BreakerState::Closed | BreakerState::HalfOpen => {
            tracing::info!(target: names::TARGET, peer, from, reason, "circuit breaker {told}");
        }
        _ => tracing::warn!(target: names::TARGET, peer, from, reason, "circuit breaker {told}"),
    }
}
