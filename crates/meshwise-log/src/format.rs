//! What lines look like.

mod call_site;
mod ecs;
mod errors;
mod escape;
mod fields;
mod head;
mod identity;
mod json;
mod log_format;
pub(crate) mod names;
pub(crate) mod record;
mod style;
mod text;
mod time;

pub(crate) use call_site::CallSite;
pub(crate) use fields::{Buffers, Fields, Parts};
pub use log_format::LogFormat;
pub(crate) use names::Source;
pub(crate) use style::{Clock, Style};
pub(crate) use time::{rfc3339, since_1970};

use crate::spans::{EachSpan, LayerId, SpanFields, SpanState};
use head::{Head, RequestName};
use meshwise_core::{CallInfo, Resource, TraceId};
use opentelemetry::{
    Context as Otel,
    trace::{SpanContext, TraceContextExt},
};
use std::time::Duration;
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::{layer::Context, registry::LookupSpan};

/// Writes what every line says of the service: in the line itself, and first of its `labels`.
pub(crate) fn service(format: LogFormat, resource: &Resource) -> (Box<[u8]>, Box<[u8]>) {
    let (line, labels) = match format.is_json() {
        true => json::service(format, resource),
        false => (text::service(resource), Vec::new()),
    };
    (line.into(), labels.into())
}

/// Writes what stands between time and message, and between message and ids: the same in all
/// lines of a call site. Formats that are no JSON have neither.
pub(crate) fn around_message(
    style: &Style,
    level: Level,
    target: &str,
    place: Option<(&str, u32)>,
) -> (Box<[u8]>, Box<[u8]>) {
    let (mut before, mut after) = (Vec::new(), Vec::new());
    if style.format.is_json() {
        json::before_message(style.format, &mut before, level, target);
        json::after_message(style, &mut after, target, place);
    }
    (before.into(), after.into())
}

/// Writes what is the same in all records of a call site; nothing if there are no records.
pub(crate) fn constant_record(style: &Style, metadata: &Metadata<'_>) -> Box<[u8]> {
    let mut out = Vec::new();
    if style.records {
        let place = metadata.file().zip(metadata.line());
        record::constant(&mut out, *metadata.level(), metadata.target(), place, metadata.name());
    }
    out.into()
}

impl Style {
    /// Writes a line of the pipeline's own, at `WARN`.
    pub(crate) fn own_line(&self, line: &mut Vec<u8>, message: &str) {
        let head = Head {
            time: &rfc3339(since_1970((self.clock)())),
            level: Level::WARN,
            target: "meshwise::log",
            place: None,
            message,
            is_plain: false,
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

/// An event whose fields have been visited.
pub(crate) struct Line<'a, S> {
    pub(crate) metadata: &'a Metadata<'a>,
    /// That of the metadata.
    pub(crate) site: Option<&'a CallSite>,
    /// What finds the spans around it; `None` if there are none.
    pub(crate) spans: Option<(&'a tracing::Event<'a>, &'a Context<'a, S>)>,
    /// The layer that writes it.
    pub(crate) layer: LayerId,
    /// When it was made: so long after 1970, and the same in nanoseconds.
    pub(crate) since_1970: Duration,
    pub(crate) nanoseconds: u64,
}

impl<S> Line<'_, S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    /// Writes the line, and the record if one is wanted; ids are those of OpenTelemetry's current context.
    pub(crate) fn write(&self, style: &Style, buffers: &mut Buffers) {
        let Buffers { line, parts, message, stamp, thread_ends, record, .. } = buffers;
        let time = stamp.at(self.since_1970);
        let mut write = |ids: Option<&SpanContext>, request_id: Option<RequestName<'_>>| {
            let metadata = self.metadata;
            let head = Head {
                time,
                level: *metadata.level(),
                target: metadata.target(),
                place: metadata.file().zip(metadata.line()),
                message: &message.text,
                is_plain: message.is_plain,
                ids,
                request_id,
                site: self.site,
            };
            style.write(line, &head, parts, |line| self.write_spans(style, line));
            if let Some(record) = record.wanted() {
                record.finish(&head, metadata.name(), self.nanoseconds);
            }
        };
        if *thread_ends {
            return write(None, None);
        }
        Otel::map_current(|current| {
            let span = current.span();
            let (ids, info) = (span.span_context(), current.get::<CallInfo>());
            let trace = TraceId::from_bytes(ids.trace_id().to_bytes());
            let request_id = info.and_then(|info| match &info.request_id {
                Some(id) => Some(RequestName::Own(id.as_str())),
                None if info.is_named_by_trace() && trace.is_valid() => {
                    Some(RequestName::Trace(trace))
                }
                None => None,
            });
            write(Some(ids).filter(|ids| ids.is_valid()), request_id);
        });
    }

    fn write_spans(&self, style: &Style, line: &mut Vec<u8>) {
        let Some((event, cx)) = self.spans.filter(|_| style.span_fields) else { return };
        let each = |write: &mut EachSpan<'_>| {
            let Some(scope) = cx.event_scope(event) else { return };
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
