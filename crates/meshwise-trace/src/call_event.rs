//! Events of a call whose `tracing` span was never made.
//!
//! `tracing-opentelemetry` adds an event to the span that is current in the registry. To make the call's
//! span for each line that a handler logs would cost some 10,000 instructions and four allocations ("server,
//! sampled, one log line" of docs/performance.md): so the event goes into the current OpenTelemetry span
//! itself. A span of this pipeline's keeps it as it was formatted ([`Logged`](crate::logged::Logged)); what
//! `tracing-opentelemetry` would make of it is made on the exporter's thread.

use crate::{
    formatted::copy,
    logged::{OFFERED, made},
};
use meshwise_core::internal::told::{self, ToldValues};
use opentelemetry::{
    Context,
    trace::{SpanRef, Status, TraceContextExt as _},
};
use std::time::SystemTime;
use tracing::{Event, Metadata};

/// Adds an event to the current OpenTelemetry span, if that records.
pub(crate) fn add(event: &Event<'_>) {
    let at = told::time().unwrap_or_else(opentelemetry::time::now);
    let metadata = event.metadata();
    if told::told(event, |values| offer(metadata, at, values)).is_none() {
        // It was logged while layers were told of another one.
        let mut values = ToldValues::default();
        copy(&mut values, |visitor| event.record(visitor));
        with_span(|span| add_made(span, metadata, at, &values));
    }
}

/// Offers the event to the span, which takes it as it is if it is one of this pipeline's.
fn offer(metadata: &'static Metadata<'static>, at: SystemTime, values: &ToldValues) {
    OFFERED.set(Some((metadata, at)));
    with_span(|span| {
        // This changes no span, and reaches one of ours in its lock, which takes the event ([`take`](crate::logged::take)).
        span.set_status(Status::Unset);
        if OFFERED.take().is_some() {
            add_made(span, metadata, at, values);
        }
    });
}

fn with_span(work: impl FnOnce(&SpanRef<'_>)) {
    Context::map_current(|cx| work(&cx.span()));
}

fn add_made(
    span: &SpanRef<'_>,
    metadata: &'static Metadata<'static>,
    at: SystemTime,
    values: &ToldValues,
) {
    if span.is_recording() {
        let made = made(metadata, at, &values.text, &values.values, &values.errors);
        span.add_event_with_timestamp(made.name, made.timestamp, made.attributes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CallSpan, MemorySpans, SpanExport, SpanFilter, TraceConfig, test_util::Collected};
    use meshwise_core::{Env, Service, settings::Settings};
    use opentelemetry::trace::{Tracer as _, TracerProvider as _};
    use opentelemetry_sdk::trace::{SpanEvents, SpanLimits};
    use std::{error::Error, fmt};
    use tracing_subscriber::{Registry, layer::SubscriberExt as _};

    #[derive(Debug)]
    struct Outer(std::io::Error);

    impl fmt::Display for Outer {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("outer")
        }
    }

    impl Error for Outer {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&self.0)
        }
    }

    /// Logs while it is formatted, of which `tracing` tells no layer.
    struct Logs;

    impl fmt::Debug for Logs {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            tracing::info!(inner = 1, "within");
            f.write_str("logs")
        }
    }

    fn log() {
        let error = Outer(std::io::Error::other("disk full"));
        let source = &error as &(dyn Error + 'static);
        tracing::info!("plain");
        tracing::info!(
            yes = true,
            int = -7,
            unsigned = 7_u64,
            float = 1.5,
            text = "a",
            "with fields"
        );
        tracing::warn!(debug = ?Some(1), display = %2, number = 3, "shown {}", 4);
        tracing::error!(error = source, "with an error");
        tracing::error!(error = source);
        tracing::error!(%error);
        tracing::error!(error = "a text");
        tracing::info!(target: "elsewhere", alone = 1);
        tracing::info!(logs = ?Logs, "and logs");
        tracing::info!(parent: None, "of no span");
        tracing::trace!("not wanted");
    }

    /// Has a span of the application's and a call log the same, and returns their events.
    fn of_both(limits: SpanLimits, length: Option<&str>, is_queued: bool) -> [SpanEvents; 2] {
        let (spans, queued) = (MemorySpans::new(), Collected::default());
        let export = match is_queued {
            true => SpanExport::custom(queued.clone()),
            false => SpanExport::memory(&spans),
        };
        let pairs = length.map(|length| ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", length));
        let env = Env::from_pairs(pairs);
        let standard =
            Settings::from_standard_env_of(&env, |path| path.is_in("traces")).unwrap().traces;
        let config = TraceConfig::new(Service::new("test", "0")).with_span_limits(limits);
        let config = config.with_standard(&standard, &env).unwrap();
        let tracing = config.with_exporter(export).build().unwrap();
        let layers = Registry::default().with(tracing.layer(SpanFilter::new("info").unwrap()));
        let log_all = || {
            log();
            Context::map_current(|cx| cx.span().add_event("in between", Vec::new()));
            log();
        };
        tracing::dispatcher::with_default(&tracing.on_demand(layers), || {
            tracing::info_span!("own").in_scope(log_all);
            let cx = Context::new().with_span(tracing.tracer().start("call").of_call());
            let call = CallSpan::new(&cx, None);
            {
                let _attached = cx.clone().attach();
                let _entered = call.enter();
                log_all();
                // What is logged in a span of the application's is that one's.
                tracing::info_span!("inside").in_scope(|| tracing::info!("inside"));
            }
            crate::end_as_owner(&cx.span(), None, None, |_| ());
        });
        tracing.provider().force_flush().unwrap();
        let all = match is_queued {
            true => queued.spans(),
            false => spans.spans(),
        };
        let events = |name: &str| {
            let mut events = all.iter().find(|span| span.name == name).unwrap().events.clone();
            events.events.iter_mut().for_each(|event| event.timestamp = SystemTime::UNIX_EPOCH);
            events
        };
        assert_eq!(events("inside").len(), limits.max_events_per_span.min(1) as usize);
        [events("own"), events("call")]
    }

    #[test]
    fn an_event_is_what_it_would_be_in_a_span_of_its_own() {
        let few = SpanLimits { max_events_per_span: 12, ..SpanLimits::default() };
        let none = SpanLimits { max_events_per_span: 0, ..SpanLimits::default() };
        let narrow = SpanLimits { max_attributes_per_event: 4, ..SpanLimits::default() };
        for is_queued in [true, false] {
            for length in [None, Some("3")] {
                for (limits, kept) in
                    [(SpanLimits::default(), 19), (few, 12), (none, 0), (narrow, 19)]
                {
                    let [own, call] = of_both(limits, length, is_queued);
                    assert_eq!(own, call, "{limits:?} {length:?} {is_queued}");
                    assert_eq!((call.len(), call.dropped_count), (kept, 19 - kept as u32));
                }
            }
        }
    }

    #[test]
    fn a_span_of_another_s_has_the_same_events() {
        let spans = MemorySpans::new();
        let config = TraceConfig::new(Service::new("test", "0"));
        let tracing = config.with_exporter(SpanExport::memory(&spans)).build().unwrap();
        let layers = Registry::default().with(tracing.layer(SpanFilter::new("info").unwrap()));
        tracing::dispatcher::with_default(&tracing.on_demand(layers), || {
            let call = Context::new().with_span(tracing.tracer().start("call").of_call());
            let frame = CallSpan::new(&call, None);
            let sdk = tracing.provider().tracer("another").start("sdk's");
            {
                let _attached = call.attach();
                let _entered = frame.enter();
                let _within = Context::current_with_span(sdk).attach();
                log();
            }
        });
        let span = spans.spans().into_iter().find(|span| span.name == "sdk's").unwrap();
        assert_eq!((span.events.len(), span.status), (9, Status::Unset));
    }
}
