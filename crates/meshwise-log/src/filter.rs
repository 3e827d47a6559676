//! The filter, which can be changed while the service runs.

use arc_swap::ArcSwap;
use meshwise_core::internal::{SPAN_TARGET, not_a_target};
use std::{fmt, sync::Arc};
use tracing::{
    Metadata, Subscriber,
    span::{Attributes, Id, Record},
    subscriber::Interest,
};
use tracing_subscriber::{
    EnvFilter,
    filter::LevelFilter,
    layer::{Context, Filter},
    registry::LookupSpan,
};

/// Says what is wrong with filter directives.
#[derive(Debug, thiserror::Error)]
#[error("`{directives}` is no log filter: {reason}; write directives such as `info,orders=debug`")]
pub struct FilterError {
    directives: String,
    reason: String,
}

/// Decides which events are logged; shared by the layer and its handle.
#[doc(hidden)]
#[derive(Clone)]
pub struct LogFilter(Arc<ArcSwap<Directives>>);

struct Directives {
    text: String,
    filter: EnvFilter,
}

impl LogFilter {
    pub(crate) fn new(directives: &str) -> Result<Self, FilterError> {
        Ok(Self(Arc::new(ArcSwap::from_pointee(Self::directives(directives)?))))
    }

    pub(crate) fn parse(directives: &str) -> Result<EnvFilter, FilterError> {
        // The lossy constructors print to standard error and go on; a typo deserves better.
        let parsed = match not_a_target(directives) {
            Some(target) => {
                Err(format!("`{target}` is no target, and commas stand between directives"))
            }
            None => EnvFilter::builder().parse(directives).map_err(|error| error.to_string()),
        };
        parsed.map_err(|reason| FilterError {
            directives: directives.chars().take(200).collect(),
            reason,
        })
    }

    fn directives(text: &str) -> Result<Directives, FilterError> {
        Ok(Directives { filter: Self::parse(text)?, text: text.to_owned() })
    }

    pub(crate) fn set(&self, directives: &str) -> Result<(), FilterError> {
        self.0.store(Arc::new(Self::directives(directives)?));
        // Call sites remember whether any filter wanted them.
        tracing::callsite::rebuild_interest_cache();
        Ok(())
    }

    pub(crate) fn text(&self) -> String {
        self.0.load().text.clone()
    }
}

impl fmt::Debug for LogFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LogFilter").field(&self.text()).finish()
    }
}

/// Tells whether a span stands for a call: lines have its ids, and need no span object of it.
fn is_call(metadata: &Metadata<'_>) -> bool {
    metadata.is_span() && metadata.target() == SPAN_TARGET
}

impl<S> Filter<S> for LogFilter
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn enabled(&self, metadata: &Metadata<'_>, cx: &Context<'_, S>) -> bool {
        !is_call(metadata) && Filter::<S>::enabled(&self.0.load().filter, metadata, cx)
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        if is_call(metadata) {
            return Interest::never();
        }
        Filter::<S>::callsite_enabled(&self.0.load().filter, metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Filter::<S>::max_level_hint(&self.0.load().filter)
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, cx: Context<'_, S>) {
        Filter::<S>::on_new_span(&self.0.load().filter, attributes, id, cx);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, cx: Context<'_, S>) {
        Filter::<S>::on_record(&self.0.load().filter, id, values, cx);
    }

    fn on_enter(&self, id: &Id, cx: Context<'_, S>) {
        Filter::<S>::on_enter(&self.0.load().filter, id, cx);
    }

    fn on_exit(&self, id: &Id, cx: Context<'_, S>) {
        Filter::<S>::on_exit(&self.0.load().filter, id, cx);
    }

    fn on_close(&self, id: Id, cx: Context<'_, S>) {
        Filter::<S>::on_close(&self.0.load().filter, id, cx);
    }
}
