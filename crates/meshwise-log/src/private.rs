//! Fields that only some may read: hidden in every output but one of their own.

use crate::{format::Style, layer::LogFormatter, output::LogOutput};
use meshwise_core::Redaction;
use tracing::{Event, Metadata, Subscriber, span::Id};
use tracing_subscriber::{layer::Context, registry::LookupSpan};

/// What is private, and where it goes.
#[derive(Debug, Default)]
pub(crate) struct PrivateConfig {
    /// Names of fields, as [`Redaction::with_name`] has them.
    pub(crate) fields: Vec<String>,
    /// Where lines with such fields go whole; without, these fields are nowhere.
    pub(crate) output: Option<LogOutput>,
}

impl PrivateConfig {
    /// Hides what is private besides what is secret.
    pub(crate) fn hiding(&self, secrets: Redaction) -> Redaction {
        self.fields.iter().fold(secrets, |redaction, name| redaction.with_name(name))
    }

    /// Returns the style of whole lines, in which secrets stay hidden.
    pub(crate) fn style(style: &Style, secrets: Redaction) -> Style {
        Style {
            format: style.format,
            service: style.service.clone(),
            labels: style.labels.clone(),
            colour: false,
            span_fields: style.span_fields,
            records: false,
            redaction: secrets,
            gcp_project: style.gcp_project.clone(),
            clock: style.clock,
        }
    }

    /// Returns what tells private fields by their names.
    pub(crate) fn names(&self) -> Redaction {
        self.hiding(Redaction::off())
    }
}

/// Writes lines with private fields whole.
#[derive(Debug)]
pub(crate) struct PrivateLines {
    pub(crate) names: Redaction,
    pub(crate) lines: LogFormatter,
}

impl PrivateLines {
    fn has(&self, metadata: &Metadata<'_>) -> bool {
        metadata.fields().iter().any(|field| self.names.hides(field.name()))
    }

    /// Tells whether an event, or a span around it, has a private field.
    pub(crate) fn concerns<S>(&self, event: &Event<'_>, cx: &Context<'_, S>) -> bool
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let mut spans = cx.event_scope(event).into_iter().flatten();
        self.has(event.metadata()) || spans.any(|span| self.has(span.metadata()))
    }

    /// Keeps fields of a span, if lines are to have them.
    pub(crate) fn keep<S>(
        &self,
        id: &Id,
        cx: &Context<'_, S>,
        visit: impl FnOnce(&mut dyn tracing::field::Visit),
    ) where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        self.lines.keep(id, cx, visit);
    }
}
