//! The layer that answers for `tracing-opentelemetry`, which no span or event reaches.

use tracing::{Metadata, Subscriber, subscriber::Interest};
use tracing_subscriber::{
    Layer,
    filter::LevelFilter,
    layer::{Context, Filter},
};

/// Tells that a subscriber makes calls' spans on demand.
pub(crate) struct Demanded {
    pub(super) number: u64,
}

impl Demanded {
    pub(crate) fn number(&self) -> u64 {
        self.number
    }
}

impl<S: Subscriber> Layer<S> for Demanded {}

/// Lets nothing through.
pub(super) struct Nothing;

impl<S> Filter<S> for Nothing {
    fn enabled(&self, _: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        false
    }

    fn callsite_enabled(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::never()
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::OFF)
    }
}
