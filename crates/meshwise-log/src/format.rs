//! What lines look like.

mod bounded;
mod ecs;
mod errors;
mod escape;
mod fields;
mod json;
mod names;
mod text;
mod time;

pub(crate) use fields::{Buffers, Fields, Parts};
pub(crate) use names::{ACCESS, Known, Place, Source};
pub(crate) use time::since_1970;

use crate::{
    Redaction,
    layer::Clock,
    sites::{Site, Sites},
    spans::{LayerId, SpanFields, SpanState},
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
    /// `deployment.environment.name`), `trace_id`, `span_id`, `trace_flags`, `request_id`, then the
    /// event's own fields. Those whose names are taken stand under `fields`; the `tracing` spans
    /// around the event under `spans`, the outermost first. Keys are unique in each object.
    Json,
    /// For people at a terminal.
    Pretty,
    /// `key=value` pairs: those of [`LogFormat::Json`]. Fields whose names are taken have `fields.`
    /// before them; `spans` names the spans, the outermost first, and their fields follow as
    /// `spans.0.order=7`.
    Logfmt,
    /// JSON after the Elastic Common Schema 9: `@timestamp`, `log.level`, `trace.id`, ...
    ///
    /// A field stands in the line itself if the schema has its name and the value is of its type;
    /// everything else stands under `labels`, as a text, with `_` for dots. `error` is
    /// `error.message`, and OpenTelemetry's names become the schema's. Spans stand under
    /// `meshwise.spans`. So no line is refused because of a field's name or type.
    Ecs,
    /// JSON as Google Cloud Logging reads it: `severity`, `logging.googleapis.com/trace`, ...; lines
    /// of the access log fill `httpRequest`.
    Gcp,
}

impl LogFormat {
    pub(crate) const fn as_word(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Pretty => "pretty",
            Self::Logfmt => "logfmt",
            Self::Ecs => "ecs",
            Self::Gcp => "gcp",
        }
    }

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

    /// Writes what every line says of the service: in the line itself, and first of its `labels`.
    pub(crate) fn service(self, resource: &Resource) -> (Box<[u8]>, Box<[u8]>) {
        let (line, labels) = match self.is_json() {
            true => json::service(self, resource),
            false => (text::service(resource), Vec::new()),
        };
        (line.into(), labels.into())
    }

    pub(crate) fn is_json(self) -> bool {
        matches!(self, Self::Json | Self::Ecs | Self::Gcp)
    }
}

/// Lists what each line says of the service: what is the same for all signals, but for an instance id
/// that is random, and would only make lines long.
fn identity(format: LogFormat, resource: &Resource) -> Vec<(&'static str, String)> {
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
    /// That of it which stands among ECS' `labels`.
    pub(crate) labels: Box<[u8]>,
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
    pub(crate) fn around_message(
        &self,
        level: Level,
        target: &str,
        place: Option<(&str, u32)>,
    ) -> (Box<[u8]>, Box<[u8]>) {
        let (mut before, mut after) = (Vec::new(), Vec::new());
        if self.format.is_json() {
            json::before_message(self.format, &mut before, level, target);
            json::after_message(self, &mut after, target, place);
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
        self.write(line, &head, &Parts::new(), |_| {});
    }

    /// Writes a line out of its parts; `spans` appends those that belong there.
    pub(crate) fn write(
        &self,
        line: &mut Vec<u8>,
        head: &Head<'_>,
        parts: &Parts,
        spans: impl FnOnce(&mut Vec<u8>),
    ) {
        if self.format.is_json() {
            json::write(self, line, head, parts, spans);
        } else {
            text::write(self, line, head, &parts.fields, spans);
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
    /// The layer that writes it.
    pub(crate) layer: LayerId,
    /// When it was made: so long after 1970.
    pub(crate) since_1970: Duration,
}

impl<S> Line<'_, S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    /// Writes the line; ids are those of OpenTelemetry's current context.
    pub(crate) fn write(&self, style: &Style, buffers: &mut Buffers) {
        let Buffers { line, parts, message, stamp, thread_ends, .. } = buffers;
        let time = stamp.at(self.since_1970);
        let mut write = |ids: Option<&SpanContext>, request_id: Option<&str>| {
            let metadata = self.metadata;
            let head = Head {
                time,
                level: *metadata.level(),
                target: metadata.target(),
                place: metadata.file().zip(metadata.line()),
                message,
                ids,
                request_id,
                site: self.site,
            };
            style.write(line, &head, parts, |line| self.write_spans(style, line));
        };
        if *thread_ends {
            return write(None, None);
        }
        Otel::map_current(|current| {
            let span = current.span();
            let info = current.get::<CallInfo>();
            let request_id = info.and_then(|info| info.request_id.as_ref());
            write(
                Some(span.span_context()).filter(|ids| ids.is_valid()),
                request_id.map(meshwise_core::RequestId::as_str),
            );
        });
    }

    fn write_spans(&self, style: &Style, line: &mut Vec<u8>) {
        if !style.span_fields {
            return;
        }
        let each = |write: &mut EachSpan<'_>| {
            let Some(scope) = self.cx.event_scope(self.event) else { return };
            let none = SpanFields::new();
            for span in scope.from_root() {
                let extensions = span.extensions();
                let state = extensions.get::<SpanState>();
                let fields = state.and_then(|state| state.get(self.layer)).unwrap_or(&none);
                write(Some((span.name(), fields)));
            }
            write(None);
        };
        match style.format {
            LogFormat::Json | LogFormat::Ecs | LogFormat::Gcp => json::spans(style, line, each),
            LogFormat::Logfmt => text::logfmt_spans(line, each),
            LogFormat::Pretty => text::pretty_spans(line, each),
        }
    }
}

/// Takes the spans around an event, name and fields, from the outermost; then `None`.
type EachSpan<'v> = dyn FnMut(Option<(&str, &SpanFields)>) + 'v;

/// The most bytes that the spans around an event take in its line.
const MAX_SPANS: usize = 64 << 10;

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
        let (service, labels) =
            LogFormat::Json.service(&meshwise_core::Service::new("orders", "1").into());
        Self {
            format: LogFormat::Json,
            service,
            labels,
            colour: false,
            span_fields: true,
            redaction: Redaction::default(),
            gcp_project: None,
            clock: std::time::SystemTime::now,
            sites: Sites::new(),
        }
    }
}
