//! The layer that answers for `tracing-opentelemetry`, which no span reaches.

use super::frame::HIDDEN;
use tracing::{Event, Metadata, Subscriber, subscriber::Interest};
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

impl<S: Subscriber> Layer<S> for Demanded {
    fn on_event(&self, _: &Event<'_>, _: Context<'_, S>) {
        // Not every event is looked up a span for.
        HIDDEN.set(false);
    }
}

/// Lets no span through.
pub(super) struct Nothing;

impl<S> Filter<S> for Nothing {
    fn enabled(&self, metadata: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        metadata.is_event()
    }

    fn callsite_enabled(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::never()
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::OFF)
    }
}
