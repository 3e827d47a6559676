//! Lines that are JSON objects: our own, Elastic's and Google's.

use super::{Head, LogFormat, Style, escape, identity};
use meshwise_core::{Resource, SpanId, TraceId};
use tracing::Level;

/// The version of the Elastic Common Schema that lines follow.
const ECS_VERSION: &str = "8.11.0";

/// Lists the names that the line itself uses.
pub(super) fn reserved(format: LogFormat) -> &'static [&'static str] {
    match format {
        LogFormat::Ecs => &[
            "@timestamp",
            "log.level",
            "message",
            "ecs.version",
            "log.logger",
            "service.name",
            "service.version",
            "service.namespace",
            "service.node.name",
            "service.environment",
            "event.dataset",
            "trace.id",
            "span.id",
            "http.request.id",
            "fields",
            "spans",
        ],
        LogFormat::Gcp => &[
            "time",
            "severity",
            "message",
            "target",
            "serviceContext",
            "service.namespace",
            "service.instance.id",
            "deployment.environment.name",
            "request_id",
            "fields",
            "spans",
            "logging.googleapis.com/trace",
            "logging.googleapis.com/spanId",
            "logging.googleapis.com/trace_sampled",
            "logging.googleapis.com/sourceLocation",
        ],
        _ => &[
            "timestamp",
            "level",
            "target",
            "message",
            "service.name",
            "service.version",
            "service.namespace",
            "service.instance.id",
            "deployment.environment.name",
            "trace_id",
            "span_id",
            "trace_flags",
            "request_id",
            "fields",
            "spans",
        ],
    }
}

pub(super) fn write(
    style: &Style,
    line: &mut Vec<u8>,
    head: &Head<'_>,
    fields: &[u8],
    clashing: &[u8],
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
    escape::json_string(line, head.message);
    match head.site {
        Some(site) => line.extend_from_slice(&site.after),
        None => after_message(style, line, head.target),
    }
    match style.format {
        LogFormat::Ecs => ecs(line, head),
        LogFormat::Gcp => gcp(style, line, head),
        _ => own(line, head),
    }
    line.extend_from_slice(fields);
    if !clashing.is_empty() {
        line.extend_from_slice(b",\"fields\":{");
        line.extend_from_slice(&clashing[1..]); // without its first comma
        line.push(b'}');
    }
    spans(line);
    line.push(b'}');
}

/// Writes what every line says of the service.
pub(super) fn service(format: LogFormat, resource: &Resource) -> Vec<u8> {
    let mut out = Vec::new();
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
        if !gcp || !in_context.contains(&name) {
            member(&mut out, name, &value);
        }
    }
    if format == LogFormat::Ecs {
        member(&mut out, "event.dataset", resource.service().name());
    }
    out
}

/// Writes the end of the time, the level, and the message's name.
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
    line.extend_from_slice(b",\"message\":");
}

/// Writes what follows the message and is no news.
pub(super) fn after_message(style: &Style, line: &mut Vec<u8>, target: &str) {
    match style.format {
        LogFormat::Ecs => {
            member(line, "ecs.version", ECS_VERSION);
            member(line, "log.logger", target);
        }
        LogFormat::Gcp => member(line, "target", target),
        _ => {}
    }
    line.extend_from_slice(&style.service);
}

fn own(line: &mut Vec<u8>, head: &Head<'_>) {
    if let Some(ids) = head.ids {
        hex(line, "trace_id", &ids.trace_id().to_bytes());
        hex(line, "span_id", &ids.span_id().to_bytes());
        hex(line, "trace_flags", &[ids.trace_flags().to_u8()]);
    }
    if let Some(id) = head.request_id {
        member(line, "request_id", id);
    }
}

fn ecs(line: &mut Vec<u8>, head: &Head<'_>) {
    if let Some(ids) = head.ids {
        hex(line, "trace.id", &ids.trace_id().to_bytes());
        hex(line, "span.id", &ids.span_id().to_bytes());
    }
    if let Some(id) = head.request_id {
        member(line, "http.request.id", id);
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
        member(line, "request_id", id);
    }
}

/// Appends a span to the list of spans; the first opens it.
pub(super) fn write_span(line: &mut Vec<u8>, name: &str, fields: &[u8], first: bool) {
    line.extend_from_slice(if first { b",\"spans\":[{\"name\":" } else { b",{\"name\":" });
    escape::json_string(line, name);
    line.extend_from_slice(fields);
    line.push(b'}');
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
    const HEX: &[u8; 16] = b"0123456789abcdef";
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
