//! Events of a call whose `tracing` span was never made.
//!
//! `tracing-opentelemetry` adds an event to the span that is current in the registry. To make the call's
//! span for each line that a handler logs would cost some 10,000 instructions and four allocations ("server,
//! sampled, one log line" of docs/performance.md): so the event is written into the current OpenTelemetry
//! span itself, with the name and the attributes that `tracing-opentelemetry` would give it.

use crate::names::{EXCEPTION, EXCEPTION_MESSAGE, EXCEPTION_STACKTRACE};
use opentelemetry::{
    Context, KeyValue, StringValue, Value,
    trace::{Event as OtelEvent, TraceContextExt as _},
};
use std::{
    borrow::Cow,
    error::Error,
    fmt::{self, Write as _},
};
use tracing::{
    Event,
    field::{Field, Visit},
};

/// Adds an event to the current OpenTelemetry span.
pub(crate) fn add(event: &Event<'_>) {
    let metadata = event.metadata();
    let mut attributes = Vec::with_capacity(2 + metadata.fields().len());
    attributes.push(KeyValue::new("level", metadata.level().as_str()));
    attributes.push(KeyValue::new("target", metadata.target()));
    let mut made = OtelEvent::new(Cow::Borrowed(""), opentelemetry::time::now(), attributes, 0);
    event.record(&mut Fields(&mut made));
    if made.name.is_empty() {
        made.name = Cow::Borrowed(metadata.name());
    }
    // Values are formatted before the current context is looked at: their code may attach one.
    Context::map_current(|cx| {
        cx.span().add_event_with_timestamp(made.name, made.timestamp, made.attributes);
    });
}

/// Takes a text, which most often comes as a whole: then it gets as much memory as it needs.
struct OnePiece(String);

impl fmt::Write for OnePiece {
    fn write_str(&mut self, piece: &str) -> fmt::Result {
        if self.0.is_empty() {
            self.0.reserve_exact(piece.len());
        }
        self.0.push_str(piece);
        Ok(())
    }
}

/// Writes a `tracing` event's fields as attributes.
struct Fields<'a>(&'a mut OtelEvent);

impl Fields<'_> {
    fn set(&mut self, field: &Field, value: impl Into<Value> + fmt::Display) {
        match field.name() {
            "message" => self.0.name = value.to_string().into(),
            name => self.0.attributes.push(KeyValue::new(name, value)),
        }
    }

    /// Sets a text. Of an event without a message, one that is called `error` is an exception's.
    fn set_text(&mut self, field: &Field, text: String, error: impl FnOnce(String) -> String) {
        match field.name() {
            "message" => self.0.name = text.into(),
            "error" if self.0.name.is_empty() => {
                self.0.name = EXCEPTION.into();
                self.0.attributes.push(KeyValue::new(EXCEPTION_MESSAGE, error(text)));
            }
            name => self.0.attributes.push(KeyValue::new(name, text)),
        }
    }
}

impl Visit for Fields<'_> {
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.set(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        match i64::try_from(value) {
            Ok(value) => self.set(field, value),
            Err(_) => self.record_debug(field, &value),
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.set_text(field, value.to_owned(), |text| format!("{text:?}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let mut text = OnePiece(String::new());
        // A `String` takes whatever is written.
        let _never_fails = write!(text, "{value:?}");
        self.set_text(field, text.0, |text| text);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        let mut chain: Vec<StringValue> = Vec::new();
        let mut source = value.source();
        while let Some(error) = source {
            chain.push(error.to_string().into());
            source = error.source();
        }
        let message = value.to_string();
        let attributes = &mut self.0.attributes;
        attributes.push(KeyValue::new(EXCEPTION_MESSAGE, message.clone()));
        attributes.push(KeyValue::new(EXCEPTION_STACKTRACE, Value::Array(chain.clone().into())));
        attributes.push(KeyValue::new(field.name(), message));
        let name = format!("{}.chain", field.name());
        attributes.push(KeyValue::new(name, Value::Array(chain.into())));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CallSpan, MemorySpans, SpanExport, SpanFilter, TraceConfig};
    use meshwise_core::Service;
    use opentelemetry::trace::Tracer as _;
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

    #[test]
    fn an_event_is_what_it_would_be_in_a_span_of_its_own() {
        let spans = MemorySpans::new();
        let config = TraceConfig::new(Service::new("test", "0"));
        let tracing = config.with_exporter(SpanExport::memory(&spans)).build().unwrap();
        let layers = Registry::default().with(tracing.layer(SpanFilter::new("info").unwrap()));
        tracing::dispatcher::with_default(&tracing.on_demand(layers), || {
            tracing::info_span!("own").in_scope(log);
            let cx = Context::new().with_span(tracing.tracer().start("call").of_call());
            let call = CallSpan::new(&cx, None);
            {
                let _attached = cx.clone().attach();
                let _entered = call.enter();
                log();
                // What is logged in a span of the application's is that one's.
                tracing::info_span!("inside").in_scope(|| tracing::info!("inside"));
            }
            crate::as_owner(|| cx.span().end());
        });
        let events = |name: &str| {
            let span = spans.spans().into_iter().find(|span| span.name == name).unwrap();
            let events = span.events.events.into_iter();
            events.map(|event| (event.name.into_owned(), event.attributes)).collect::<Vec<_>>()
        };
        let of_call = events("call");
        assert_eq!(of_call, events("own"));
        assert_eq!(of_call.len(), 9, "{of_call:?}");
        assert_eq!(events("inside").len(), 1);
    }
}
