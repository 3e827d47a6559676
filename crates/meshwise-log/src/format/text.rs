//! Lines that are no JSON: `key=value` pairs, and lines for people.

use super::{
    escape,
    fields::CUT,
    head::Head,
    identity::identity,
    json::{digits, level_name},
    log_format::LogFormat,
    names::{FIELDS_CUT, Place},
    style::Style,
};
use crate::spans::{EachSpan, MAX_SPANS};
use meshwise_core::Resource;
use tracing::Level;

const DIM: &str = "\x1b[2m";
const RESET: &str = "\x1b[0m";

pub(super) fn write(
    style: &Style,
    line: &mut Vec<u8>,
    head: &Head<'_>,
    fields: &[u8],
    spans: impl FnOnce(&mut Vec<u8>),
) {
    match style.format {
        LogFormat::Logfmt => logfmt(style, line, head, fields, spans),
        _ => pretty(style, line, head, fields, spans),
    }
}

fn logfmt(
    style: &Style,
    line: &mut Vec<u8>,
    head: &Head<'_>,
    fields: &[u8],
    spans: impl FnOnce(&mut Vec<u8>),
) {
    line.extend_from_slice(b"timestamp=");
    line.extend_from_slice(head.time);
    pair(line, "level", level_name(head.level));
    pair(line, "target", head.target);
    pair(line, "message", head.message);
    line.extend_from_slice(&style.service);
    if let Some(ids) = head.ids {
        line.extend_from_slice(b" trace_id=");
        digits(line, &ids.trace_id().to_bytes());
        line.extend_from_slice(b" span_id=");
        digits(line, &ids.span_id().to_bytes());
        line.extend_from_slice(b" trace_flags=");
        digits(line, &[ids.trace_flags().to_u8()]);
    }
    if let Some(id) = head.request_id {
        id.with(|id| pair(line, "request_id", id));
    }
    line.extend_from_slice(fields);
    spans(line);
}

/// Writes what every line says of the service.
pub(super) fn service(resource: &Resource) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in identity(LogFormat::Logfmt, resource) {
        pair(&mut out, name, &value);
    }
    out
}

fn pair(line: &mut Vec<u8>, name: &str, value: &str) {
    line.push(b' ');
    line.extend_from_slice(name.as_bytes());
    line.push(b'=');
    escape::logfmt(line, value);
}

/// `04:31:00.123  INFO orders::stock: reserved item=7 in place{..} trace_id=..`
fn pretty(
    style: &Style,
    line: &mut Vec<u8>,
    head: &Head<'_>,
    fields: &[u8],
    spans: impl FnOnce(&mut Vec<u8>),
) {
    let paint = |line: &mut Vec<u8>, colour: &str| {
        if style.colour {
            line.extend_from_slice(colour.as_bytes());
        }
    };
    paint(line, DIM);
    line.extend_from_slice(&head.time[11..23]);
    paint(line, RESET);
    let (colour, name) = match head.level {
        Level::ERROR => ("\x1b[31m", " ERROR "),
        Level::WARN => ("\x1b[33m", "  WARN "),
        Level::INFO => ("\x1b[32m", "  INFO "),
        Level::DEBUG => ("\x1b[34m", " DEBUG "),
        Level::TRACE => ("\x1b[35m", " TRACE "),
    };
    paint(line, colour);
    line.extend_from_slice(name.as_bytes());
    paint(line, RESET);
    paint(line, DIM);
    escape::pretty(line, head.target);
    line.extend_from_slice(b": ");
    paint(line, RESET);
    escape::pretty(line, head.message);
    line.extend_from_slice(fields);
    spans(line);
    if let Some(ids) = head.ids {
        paint(line, DIM);
        line.extend_from_slice(b" trace_id=");
        digits(line, &ids.trace_id().to_bytes());
        paint(line, RESET);
    }
}

/// Writes the names of the spans, then their fields; `each` gives the spans one by one.
pub(super) fn logfmt_spans(line: &mut Vec<u8>, each: impl Fn(&mut EachSpan<'_>)) {
    let start = line.len();
    let mut cut = false;
    each(&mut |span| {
        let Some((name, _)) = span.filter(|_| !cut) else { return };
        line.extend_from_slice(if line.len() == start { b" spans=" } else { b":" });
        cut = line.len() - start > MAX_SPANS;
        escape::key(line, if cut { CUT } else { name });
    });
    let mut index = 0;
    let mut buffer = itoa::Buffer::new();
    each(&mut |span| {
        let Some((_, fields)) = span.filter(|_| !cut) else { return };
        let mut field = |line: &mut Vec<u8>, field: &[u8]| {
            line.extend_from_slice(b" spans.");
            line.extend_from_slice(buffer.format(index).as_bytes());
            line.push(b'.');
            line.extend_from_slice(field);
        };
        cut = line.len() - start > MAX_SPANS;
        if !cut {
            fields.of(Place::Line).for_each(|bytes| field(line, &bytes[1..])); // without its space
        }
        if cut || fields.is_cut() {
            field(line, FIELDS_CUT.as_bytes());
            line.extend_from_slice(b"=true");
        }
        index += 1;
    });
}

/// Does the same for people: `in outer{a=1} > inner`.
pub(super) fn pretty_spans(line: &mut Vec<u8>, each: impl Fn(&mut EachSpan<'_>)) {
    let start = line.len();
    let mut cut = false;
    each(&mut |span| {
        let Some((name, fields)) = span.filter(|_| !cut) else { return };
        line.extend_from_slice(if line.len() == start { b" in " } else { b" > " });
        cut = line.len() - start > MAX_SPANS;
        if cut {
            return line.extend_from_slice(CUT.as_bytes());
        }
        escape::pretty(line, name);
        let open = line.len();
        for field in fields.of(Place::Line) {
            line.push(if line.len() == open { b'{' } else { b' ' });
            line.extend_from_slice(&field[1..]); // without its space
        }
        if fields.is_cut() {
            line.push(if line.len() == open { b'{' } else { b' ' });
            line.extend_from_slice(CUT.as_bytes());
        }
        if line.len() > open {
            line.push(b'}');
        }
    });
}
