//! Lines that are JSON objects: our own, Elastic's and Google's.

use super::{
    ecs as schema, escape,
    fields::{CUT, Parts},
    head::{Head, RequestName},
    identity::identity,
    log_format::LogFormat,
    names::{FIELDS_CUT, Place},
    style::Style,
};
use crate::spans::{EachSpan, MAX_SPANS};
use meshwise_core::{Resource, SpanId, TraceId};
use tracing::Level;

pub(super) fn write(
    style: &Style,
    line: &mut Vec<u8>,
    head: &Head<'_>,
    parts: &Parts,
    spans: impl FnOnce(&mut Vec<u8>),
) {
    line.extend_from_slice(match style.format {
        LogFormat::Ecs => b"{\"@timestamp\":\"".as_slice(),
        LogFormat::Gcp => b"{\"time\":\"",
        _ => b"{\"timestamp\":\"",
    });
    line.extend_from_slice(head.time);
    match head.site {
        Some(site) => line.extend_from_slice(&site.before),
        None => before_message(style.format, line, head.level, head.target),
    }
    match head.is_plain {
        true => line.extend_from_slice(head.message.as_bytes()),
        false => escape::json(line, head.message),
    }
    match head.site {
        Some(site) => line.extend_from_slice(&site.after),
        None => after_message(style, line, head.target, head.place),
    }
    match style.format {
        LogFormat::Ecs => ecs(line, head),
        LogFormat::Gcp => gcp(style, line, head),
        _ => own(line, head),
    }
    line.extend_from_slice(&parts.fields);
    if !style.labels.is_empty() || !parts.nested.is_empty() {
        object(line, nested_name(style.format), [&style.labels[..], &parts.nested[..]].into_iter());
    }
    if !parts.request.is_empty() {
        object(line, "httpRequest", [&parts.request[..]].into_iter());
    }
    spans(line);
    line.push(b'}');
}

/// Returns the name of the object for fields that cannot stand in the line itself.
fn nested_name(format: LogFormat) -> &'static str {
    if format == LogFormat::Ecs { "labels" } else { "fields" }
}

/// Writes an object out of members, each with a comma before it; none if there are none.
fn object<'m>(line: &mut Vec<u8>, name: &str, members: impl Iterator<Item = &'m [u8]>) {
    let start = line.len();
    for member in members.filter(|member| !member.is_empty()) {
        if line.len() > start {
            line.extend_from_slice(member);
        } else {
            line.extend_from_slice(b",\"");
            line.extend_from_slice(name.as_bytes());
            line.extend_from_slice(b"\":{");
            line.extend_from_slice(&member[1..]); // without its comma
        }
    }
    if line.len() > start {
        line.push(b'}');
    }
}

/// Writes what every line says of the service: in the line itself, and first of its `labels`.
pub(super) fn service(format: LogFormat, resource: &Resource) -> (Vec<u8>, Vec<u8>) {
    let (mut out, mut labels) = (Vec::new(), Vec::new());
    let gcp = format == LogFormat::Gcp;
    if gcp {
        out.extend_from_slice(b",\"serviceContext\":{\"service\":");
        escape::json_string(&mut out, resource.service().name());
        let version = resource.service().version();
        if !version.is_empty() {
            member(&mut out, "version", version);
        }
        out.push(b'}');
    }
    let in_context = ["service.name", "service.version"];
    for (name, value) in identity(format, resource) {
        if format == LogFormat::Ecs && schema::find(name).is_none() {
            member(&mut labels, &schema::label(name), &value);
        } else if !gcp || !in_context.contains(&name) {
            member(&mut out, name, &value);
        }
    }
    if format == LogFormat::Ecs {
        member(&mut out, "event.dataset", resource.service().name());
    }
    (out, labels)
}

/// Writes the end of the time, the level, and the message's name and first quote.
pub(super) fn before_message(format: LogFormat, line: &mut Vec<u8>, level: Level, target: &str) {
    line.push(b'"');
    match format {
        LogFormat::Ecs => member(line, "log.level", level_name(level)),
        LogFormat::Gcp => member(line, "severity", severity(level)),
        _ => {
            member(line, "level", level.as_str());
            member(line, "target", target);
        }
    }
    line.extend_from_slice(b",\"message\":\"");
}

/// Writes the message's last quote, and what follows that is no news.
pub(super) fn after_message(
    style: &Style,
    line: &mut Vec<u8>,
    target: &str,
    place: Option<(&str, u32)>,
) {
    line.push(b'"');
    match style.format {
        LogFormat::Ecs => {
            member(line, "ecs.version", schema::version());
            member(line, "log.logger", target);
            if let Some((file, number)) = place {
                member(line, "log.origin.file.name", file);
                line.extend_from_slice(b",\"log.origin.file.line\":");
                line.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
            }
        }
        LogFormat::Gcp => member(line, "target", target),
        _ => {}
    }
    line.extend_from_slice(&style.service);
}

fn own(line: &mut Vec<u8>, head: &Head<'_>) {
    let mut request_id = head.request_id;
    if let Some(ids) = head.ids {
        // Appended in one piece: each piece costs as much as its digits.
        let start = line.len();
        line.extend_from_slice(OWN_IDS);
        if let Some(text) = line[start..].first_chunk_mut::<OWN_IDS_LEN>() {
            let trace = TraceId::from_bytes(ids.trace_id().to_bytes()).to_hex();
            text[OWN_TRACE..OWN_TRACE + 32].copy_from_slice(&trace);
            let span = SpanId::from_bytes(ids.span_id().to_bytes());
            text[OWN_SPAN..OWN_SPAN + 16].copy_from_slice(&span.to_hex());
            let flags = ids.trace_flags().to_u8();
            text[OWN_FLAGS] = HEX[usize::from(flags >> 4)];
            text[OWN_FLAGS + 1] = HEX[usize::from(flags & 15)];
            text[OWN_REQUEST..OWN_REQUEST + 32].copy_from_slice(&trace);
        }
        if request_id.take_if(|id| matches!(id, RequestName::Trace(_))).is_none() {
            line.truncate(start + OWN_IDS_END);
        }
    }
    if let Some(id) = request_id {
        id.with(|id| member(line, "request_id", id));
    }
}

/// What a line of a call says of it, with places for the digits of its trace, its span and its flags; last
/// comes the id of a request that is named by its trace.
const OWN_IDS: &[u8; OWN_IDS_LEN] = b",\"trace_id\":\"................................\",\
    \"span_id\":\"................\",\"trace_flags\":\"..\",\
    \"request_id\":\"................................\"";
const OWN_IDS_LEN: usize = 142;
const OWN_TRACE: usize = 13;
const OWN_SPAN: usize = OWN_TRACE + 32 + 13;
const OWN_FLAGS: usize = OWN_SPAN + 16 + 17;
const OWN_IDS_END: usize = OWN_FLAGS + 3;
const OWN_REQUEST: usize = OWN_IDS_END + 15;
const HEX: &[u8; 16] = b"0123456789abcdef";

fn ecs(line: &mut Vec<u8>, head: &Head<'_>) {
    if let Some(ids) = head.ids {
        hex(line, "trace.id", &ids.trace_id().to_bytes());
        hex(line, "span.id", &ids.span_id().to_bytes());
    }
    if let Some(id) = head.request_id {
        id.with(|id| member(line, "http.request.id", id));
    }
}

fn gcp(style: &Style, line: &mut Vec<u8>, head: &Head<'_>) {
    if let Some(ids) = head.ids {
        line.extend_from_slice(b",\"logging.googleapis.com/trace\":\"");
        if let Some(project) = &style.gcp_project {
            line.extend_from_slice(b"projects/");
            escape::json(line, project);
            line.extend_from_slice(b"/traces/");
        }
        digits(line, &ids.trace_id().to_bytes());
        line.push(b'"');
        hex(line, "logging.googleapis.com/spanId", &ids.span_id().to_bytes());
        let sampled: &[u8] = if ids.is_sampled() { b"true" } else { b"false" };
        line.extend_from_slice(b",\"logging.googleapis.com/trace_sampled\":");
        line.extend_from_slice(sampled);
    }
    if let Some((file, number)) = head.place {
        line.extend_from_slice(b",\"logging.googleapis.com/sourceLocation\":{\"file\":");
        escape::json_string(line, file);
        line.extend_from_slice(b",\"line\":\"");
        line.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
        line.extend_from_slice(b"\"}");
    }
    if let Some(id) = head.request_id {
        id.with(|id| member(line, "request_id", id));
    }
}

/// Writes the list of spans; `each` gives them one by one.
pub(super) fn spans(style: &Style, line: &mut Vec<u8>, each: impl Fn(&mut EachSpan<'_>)) {
    let start = line.len();
    let mut cut = false;
    each(&mut |span| {
        let Some((name, fields)) = span else {
            if line.len() > start {
                line.push(b']');
            }
            return;
        };
        if cut {
            return;
        }
        line.extend_from_slice(match (line.len() == start, style.format) {
            (false, _) => b",{\"name\":".as_slice(),
            (true, LogFormat::Ecs) => b",\"meshwise.spans\":[{\"name\":",
            (true, _) => b",\"spans\":[{\"name\":",
        });
        if line.len() - start > MAX_SPANS {
            cut = true;
            escape::json_string(line, CUT);
            return line.push(b'}');
        }
        escape::json_string(line, name);
        fields.of(Place::Line).for_each(|field| line.extend_from_slice(field));
        object(line, nested_name(style.format), fields.of(Place::Nested));
        if fields.is_cut() {
            line.extend_from_slice(b",\"");
            line.extend_from_slice(FIELDS_CUT.as_bytes());
            line.extend_from_slice(b"\":true");
        }
        line.push(b'}');
    });
}

/// Returns the level's name in lower case.
pub(super) fn level_name(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    }
}

/// Returns Cloud Logging's name of a level (`LogSeverity`).
fn severity(level: Level) -> &'static str {
    match level {
        Level::ERROR => "ERROR",
        Level::WARN => "WARNING",
        Level::INFO => "INFO",
        Level::DEBUG | Level::TRACE => "DEBUG",
    }
}

fn member(line: &mut Vec<u8>, name: &str, value: &str) {
    line.extend_from_slice(b",\"");
    line.extend_from_slice(name.as_bytes());
    line.extend_from_slice(b"\":");
    escape::json_string(line, value);
}

fn hex(line: &mut Vec<u8>, name: &str, bytes: &[u8]) {
    line.extend_from_slice(b",\"");
    line.extend_from_slice(name.as_bytes());
    line.extend_from_slice(b"\":\"");
    digits(line, bytes);
    line.push(b'"');
}

/// Appends bytes as hexadecimal digits; quickly if they are an id.
pub(super) fn digits(line: &mut Vec<u8>, bytes: &[u8]) {
    if let Ok(trace) = bytes.try_into().map(TraceId::from_bytes) {
        line.extend_from_slice(&trace.to_hex());
    } else if let Ok(span) = bytes.try_into().map(SpanId::from_bytes) {
        line.extend_from_slice(&span.to_hex());
    } else {
        line.extend(
            bytes
                .iter()
                .flat_map(|byte| [byte >> 4, byte & 15].map(|digit| HEX[usize::from(digit)])),
        );
    }
}
