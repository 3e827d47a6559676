//! What lines look like.

mod escape;
mod fields;
mod json;
mod text;
mod time;

pub(crate) use fields::{Buffers, Fields, Known};
pub(crate) use time::since_1970;

use crate::{
    Redaction,
    layer::Clock,
    sites::{Site, Sites},
    spans::SpanFields,
};
use meshwise_core::{CallInfo, Resource};
use opentelemetry::{
    Context as Otel,
    trace::{SpanContext, TraceContextExt},
};
use std::{fmt, time::Duration};
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::{layer::Context, registry::LookupSpan};

/// Names what lines look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LogFormat {
    /// One JSON object a line: `timestamp`, `level`, `target`, `message`, `service.name`,
    /// `service.version` (and, if they are said, `service.namespace`, `service.instance.id` and
    /// `deployment.environment.name`), `trace_id`, `span_id`, `trace_flags`, `request_id`, then the event's own
    /// fields. Those whose names are taken stand under `fields`; the `tracing` spans around the
    /// event under `spans`, the outermost first.
    Json,
    /// For people at a terminal.
    Pretty,
    /// `key=value` pairs.
    Logfmt,
    /// JSON after the Elastic Common Schema: `@timestamp`, `log.level`, `trace.id`, ...
    Ecs,
    /// JSON as Google Cloud Logging reads it: `severity`, `logging.googleapis.com/trace`, ...
    Gcp,
}

impl LogFormat {
    pub(crate) const WORDS: &'static str = "json, pretty, logfmt, ecs or gcp";

    pub(crate) fn from_word(word: &str) -> Option<Self> {
        Some(match word {
            "json" => Self::Json,
            "pretty" => Self::Pretty,
            "logfmt" => Self::Logfmt,
            "ecs" => Self::Ecs,
            "gcp" => Self::Gcp,
            _ => return None,
        })
    }

    /// Writes what every line says of the service.
    pub(crate) fn service(self, resource: &Resource) -> Box<[u8]> {
        match self.is_json() {
            true => json::service(self, resource),
            false => text::service(resource),
        }
        .into()
    }

    pub(crate) fn is_json(self) -> bool {
        matches!(self, Self::Json | Self::Ecs | Self::Gcp)
    }
}

/// Lists what each line says of the service: what is the same for all signals, but for an instance id
/// that is random, and would only make lines long.
pub(crate) fn identity(format: LogFormat, resource: &Resource) -> Vec<(&'static str, String)> {
    let ecs = format == LogFormat::Ecs;
    let service = resource.service();
    let text = |value: &str| Some(value.to_owned()).filter(|value| !value.is_empty());
    let said = |_: &&str| !resource.is_instance_random();
    let environment = resource.get("deployment.environment.name").map(ToString::to_string);
    let all = [
        ("service.name", Some(service.name().to_owned())),
        ("service.version", text(service.version())),
        ("service.namespace", service.namespace().and_then(text)),
        (
            if ecs { "service.node.name" } else { "service.instance.id" },
            service.instance().filter(said).and_then(text),
        ),
        (
            if ecs { "service.environment" } else { "deployment.environment.name" },
            environment.as_deref().and_then(text),
        ),
    ];
    all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

/// Holds everything that lines have in common.
pub(crate) struct Style {
    pub(crate) format: LogFormat,
    /// What every line says of the service, as the format has it.
    pub(crate) service: Box<[u8]>,
    pub(crate) colour: bool,
    pub(crate) span_fields: bool,
    pub(crate) redaction: Redaction,
    pub(crate) gcp_project: Option<String>,
    pub(crate) clock: Clock,
    pub(crate) sites: Sites,
}

impl Style {
    /// Writes what stands between time and message, and between message and ids: the same in all
    /// lines of a call site. Formats that are no JSON have neither.
    pub(crate) fn around_message(&self, level: Level, target: &str) -> (Box<[u8]>, Box<[u8]>) {
        let (mut before, mut after) = (Vec::new(), Vec::new());
        if self.format.is_json() {
            json::before_message(self.format, &mut before, level, target);
            json::after_message(self, &mut after, target);
        }
        (before.into(), after.into())
    }

    /// Writes a line of the pipeline's own, at `WARN`.
    pub(crate) fn own_line(&self, line: &mut Vec<u8>, message: &str) {
        let head = Head {
            time: &time::rfc3339(since_1970((self.clock)())),
            level: Level::WARN,
            target: "meshwise::log",
            place: None,
            message,
            ids: None,
            request_id: None,
            site: None,
        };
        self.write(line, &head, &[], &[], |_| {});
    }

    /// Writes a line out of its parts; `spans` appends those that belong there.
    pub(crate) fn write(
        &self,
        line: &mut Vec<u8>,
        head: &Head<'_>,
        fields: &[u8],
        clashing: &[u8],
        spans: impl FnOnce(&mut Vec<u8>),
    ) {
        if self.format.is_json() {
            json::write(self, line, head, fields, clashing, spans);
        } else {
            text::write(self, line, head, fields, spans);
        }
        line.push(b'\n');
    }
}

/// What a line says besides its fields.
pub(crate) struct Head<'a> {
    /// In RFC 3339.
    pub(crate) time: &'a [u8; 27],
    pub(crate) level: Level,
    pub(crate) target: &'a str,
    /// File and line of the call site.
    pub(crate) place: Option<(&'a str, u32)>,
    pub(crate) message: &'a str,
    pub(crate) ids: Option<&'a SpanContext>,
    pub(crate) request_id: Option<&'a str>,
    /// Knows what level and target make of the line.
    pub(crate) site: Option<&'a Site>,
}

/// An event whose fields have been visited.
pub(crate) struct Line<'a, S> {
    pub(crate) metadata: &'a Metadata<'a>,
    /// That of the metadata.
    pub(crate) site: Option<&'a Site>,
    pub(crate) event: &'a tracing::Event<'a>,
    pub(crate) cx: &'a Context<'a, S>,
    /// When it was made: so long after 1970.
    pub(crate) since_1970: Duration,
}

impl<S> Line<'_, S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    /// Writes the line; ids are those of OpenTelemetry's current context.
    pub(crate) fn write(&self, style: &Style, buffers: &mut Buffers) {
        let Buffers { line, fields, clashing, message, stamp, .. } = buffers;
        let time = stamp.at(self.since_1970);
        Otel::map_current(|current| {
            let span = current.span();
            let info = current.get::<CallInfo>();
            let request_id = info.and_then(|info| info.request_id.as_ref());
            let metadata = self.metadata;
            let head = Head {
                time,
                level: *metadata.level(),
                target: metadata.target(),
                place: metadata.file().zip(metadata.line()),
                message,
                ids: Some(span.span_context()).filter(|ids| ids.is_valid()),
                request_id: request_id.map(meshwise_core::call::RequestId::as_str),
                site: self.site,
            };
            style.write(line, &head, fields, clashing, |line| self.write_spans(style, line));
        });
    }

    fn write_spans(&self, style: &Style, line: &mut Vec<u8>) {
        if !style.span_fields {
            return;
        }
        let Some(scope) = self.cx.event_scope(self.event) else { return };
        let mut first = true;
        for span in scope.from_root() {
            let extensions = span.extensions();
            let fields = extensions.get::<SpanFields>().map_or(&[][..], |fields| &fields.0);
            if style.format.is_json() {
                json::write_span(line, span.name(), fields, first);
            } else {
                text::write_span(style, line, span.name(), fields, first);
            }
            first = false;
        }
        if style.format.is_json() && !first {
            line.push(b']');
        }
    }
}

impl fmt::Debug for Style {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Style")
            .field("format", &self.format)
            .field("colour", &self.colour)
            .field("span_fields", &self.span_fields)
            .field("redaction", &self.redaction)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
impl Style {
    pub(crate) fn for_tests() -> Self {
        Self {
            format: LogFormat::Json,
            service: LogFormat::Json.service(&meshwise_core::Service::new("orders", "1").into()),
            colour: false,
            span_fields: true,
            redaction: Redaction::default(),
            gcp_project: None,
            clock: std::time::SystemTime::now,
            sites: Sites::new(),
        }
    }
}
