//! Visiting an event's fields: each becomes text at once, in the format of the line.

use super::{LogFormat, Style, escape, json, time::Stamp};
use crate::redact::REDACTED;
use std::{error::Error, fmt, fmt::Write as _};
use tracing::field::{Field, Visit};

/// The most bytes of fields that a line has, and of one value.
const MAX_FIELDS: usize = 48 << 10;
const MAX_VALUE: usize = 16 << 10;
const CUT: &str = "[cut]";

/// Holds the parts of the line that is being made; kept from line to line.
pub(crate) struct Buffers {
    pub(crate) line: Vec<u8>,
    pub(crate) fields: Vec<u8>,
    /// Fields whose names the line uses itself.
    pub(crate) clashing: Vec<u8>,
    pub(crate) message: Vec<u8>,
    pub(crate) scratch: String,
    pub(crate) stamp: Stamp,
}

impl Buffers {
    pub(crate) const fn new() -> Self {
        Self {
            line: Vec::new(),
            fields: Vec::new(),
            clashing: Vec::new(),
            message: Vec::new(),
            scratch: String::new(),
            stamp: Stamp::new(),
        }
    }

    pub(crate) fn clear(&mut self) {
        let Self { line, fields, clashing, message, scratch, stamp: _ } = self;
        for buffer in [line, fields, clashing, message] {
            buffer.clear();
        }
        scratch.clear();
    }

    pub(crate) fn capacity(&self) -> usize {
        self.line.capacity() + self.fields.capacity() + self.scratch.capacity()
    }
}

/// Writes fields into buffers.
pub(crate) struct Fields<'a> {
    style: &'a Style,
    fields: &'a mut Vec<u8>,
    clashing: Option<&'a mut Vec<u8>>,
    message: Option<&'a mut Vec<u8>>,
    scratch: &'a mut String,
}

impl<'a> Fields<'a> {
    pub(crate) fn of_event(style: &'a Style, buffers: &'a mut Buffers) -> Self {
        Self {
            style,
            fields: &mut buffers.fields,
            clashing: Some(&mut buffers.clashing),
            message: Some(&mut buffers.message),
            scratch: &mut buffers.scratch,
        }
    }

    pub(crate) fn of_span(
        style: &'a Style,
        fields: &'a mut Vec<u8>,
        scratch: &'a mut String,
    ) -> Self {
        Self { style, fields, clashing: None, message: None, scratch }
    }

    fn json(&self) -> bool {
        self.style.format.is_json()
    }

    /// Writes the name and returns where the value goes.
    fn named(&mut self, name: &str) -> &mut Vec<u8> {
        let json = self.json();
        let out = match &mut self.clashing {
            Some(clashing) if json && json::reserved(self.style.format).contains(&name) => clashing,
            _ => &mut *self.fields,
        };
        if json {
            out.push(b',');
            escape::json_string(out, name);
            out.push(b':');
        } else {
            out.push(b' ');
            escape::key(out, name);
            out.push(b'=');
        }
        out
    }

    /// Writes a value that needs no quotes in any format.
    fn bare(&mut self, name: &str, value: &[u8]) {
        let name = plain(name);
        if self.style.redaction.hides(name) {
            return self.quoted(name, REDACTED);
        }
        self.named(name).extend_from_slice(value);
    }

    pub(crate) fn number(&mut self, name: &str, value: u64) {
        self.bare(name, itoa::Buffer::new().format(value).as_bytes());
    }

    /// Writes a text, what is secret in it hidden.
    fn text(&mut self, name: &str, value: &str) {
        let name = plain(name);
        if name == "message"
            && let Some(message) = &mut self.message
        {
            let clean = self.style.redaction.clean(cut(value, MAX_VALUE));
            message.extend_from_slice(clean.as_bytes());
            return;
        }
        // Records of the `log` facade carry their origin as fields; the line has it already.
        if name.starts_with("log.") && self.style.format != LogFormat::Ecs {
            return;
        }
        if self.style.redaction.hides(name) {
            return self.quoted(name, REDACTED);
        }
        let room = MAX_FIELDS.saturating_sub(self.fields.len()).min(MAX_VALUE);
        let kept = cut(value, room);
        let clean = self.style.redaction.clean(kept);
        if kept.len() == value.len() {
            self.quoted(name, &clean);
        } else {
            let shortened = clean.into_owned() + CUT;
            self.quoted(name, &shortened);
        }
    }

    fn quoted(&mut self, name: &str, value: &str) {
        let format = self.style.format;
        let out = self.named(name);
        match format {
            LogFormat::Pretty => escape::pretty(out, value),
            LogFormat::Logfmt => escape::logfmt(out, value),
            _ => escape::json_string(out, value),
        }
    }

    /// Formats a value and writes it as text.
    fn formatted(&mut self, name: &str, value: fmt::Arguments<'_>) {
        let mut scratch = std::mem::take(self.scratch);
        scratch.clear();
        // A `Debug` that fails has said what it could.
        let _ = scratch.write_fmt(value);
        self.text(name, &scratch);
        *self.scratch = scratch;
    }
}

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.formatted(field.name(), format_args!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field.name(), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.number(field.name(), value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.bare(field.name(), itoa::Buffer::new().format(value).as_bytes());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.bare(field.name(), if value { b"true" } else { b"false" });
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        if value.is_finite() {
            self.bare(field.name(), zmij::Buffer::new().format_finite(value).as_bytes());
        } else {
            // JSON has no such numbers.
            self.formatted(field.name(), format_args!("{value}"));
        }
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        match u64::try_from(value) {
            Ok(value) => self.record_u64(field, value),
            // Readers that hold numbers as doubles would round it.
            Err(_) => self.formatted(field.name(), format_args!("{value}")),
        }
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        match i64::try_from(value) {
            Ok(value) => self.record_i64(field, value),
            Err(_) => self.formatted(field.name(), format_args!("{value}")),
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        let name = plain(field.name());
        self.formatted(&format!("{name}.message"), format_args!("{value}"));
        let debug = format!("{value:?}");
        let end = debug.find(|c: char| !(c.is_alphanumeric() || c == '_'));
        let kind = &debug[..end.unwrap_or(debug.len())];
        if !kind.is_empty() {
            self.text(&format!("{name}.type"), kind);
        }
        let mut chain = String::new();
        let mut next = value.source();
        while let Some(cause) = next {
            if !chain.is_empty() {
                chain.push_str(": ");
            }
            let _ = write!(chain, "{cause}");
            next = cause.source();
        }
        if !chain.is_empty() {
            self.text(&format!("{name}.chain"), &chain);
        }
    }
}

/// Returns a field's name without the mark of a raw identifier.
fn plain(name: &str) -> &str {
    name.strip_prefix("r#").unwrap_or(name)
}

/// Cuts a text to at most `max` bytes, on a character boundary.
fn cut(text: &str, max: usize) -> &str {
    if text.len() <= max { text } else { &text[..text.floor_char_boundary(max)] }
}
