//! Visiting an event's fields: each becomes text at once, in the format of the line.

use super::{LogFormat, Style, escape, json, time::Stamp};
use crate::sites::Site;
use meshwise_core::redaction::REDACTED;
use std::{error::Error, fmt, fmt::Write as _};
use tracing::field::{Field, Visit};

/// The most bytes of fields that a line has, and of one value.
const MAX_FIELDS: usize = 48 << 10;
const MAX_VALUE: usize = 16 << 10;
/// A secret that is cut off would not be known for one: more is looked at than is kept.
const LOOKED_AT: usize = MAX_VALUE + (2 << 10);
const CUT: &str = "[cut]";

/// Holds the parts of the line that is being made; kept from line to line.
pub(crate) struct Buffers {
    pub(crate) line: Vec<u8>,
    pub(crate) fields: Vec<u8>,
    /// Fields whose names the line uses itself.
    pub(crate) clashing: Vec<u8>,
    pub(crate) message: String,
    pub(crate) scratch: String,
    pub(crate) stamp: Stamp,
}

impl Buffers {
    pub(crate) const fn new() -> Self {
        Self {
            line: Vec::new(),
            fields: Vec::new(),
            clashing: Vec::new(),
            message: String::new(),
            scratch: String::new(),
            stamp: Stamp::new(),
        }
    }

    pub(crate) fn clear(&mut self) {
        let Self { line, fields, clashing, message, scratch, stamp: _ } = self;
        for buffer in [line, fields, clashing] {
            buffer.clear();
        }
        message.clear();
        scratch.clear();
    }

    pub(crate) fn capacity(&self) -> usize {
        self.line.capacity() + self.fields.capacity() + self.scratch.capacity()
    }
}

/// Says what becomes of a field because of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Verdict {
    /// Its text is the line's message.
    message: bool,
    /// It tells the origin of a record of the `log` facade, which the line has already.
    origin: bool,
    /// Its value is a secret.
    hidden: bool,
    /// The line itself uses its name.
    clashing: bool,
}

/// What is known of a field before it has a value.
#[derive(Debug)]
pub(crate) struct Known {
    verdict: Verdict,
    /// The name as it stands in the line, with what is around it.
    key: Box<[u8]>,
}

/// A field's name, known before or not.
#[derive(Clone, Copy)]
enum Name<'n> {
    Known(&'n Known),
    New(&'n str),
}

impl Style {
    /// Finds out what there is to know of a field.
    pub(crate) fn known(&self, name: &str) -> Known {
        let name = plain(name);
        let mut key = Vec::new();
        self.key(&mut key, name);
        Known { verdict: self.verdict(name), key: key.into() }
    }

    fn verdict(&self, name: &str) -> Verdict {
        Verdict {
            message: name == "message",
            origin: name.starts_with("log.") && self.format != LogFormat::Ecs,
            hidden: self.redaction.hides(name),
            clashing: self.format.is_json() && json::reserved(self.format).contains(&name),
        }
    }

    fn key(&self, out: &mut Vec<u8>, name: &str) {
        if self.format.is_json() {
            out.push(b',');
            escape::json_string(out, name);
            out.push(b':');
        } else {
            out.push(b' ');
            escape::key(out, name);
            out.push(b'=');
        }
    }
}

/// Writes fields into buffers.
pub(crate) struct Fields<'a> {
    style: &'a Style,
    site: Option<&'a Site>,
    fields: &'a mut Vec<u8>,
    clashing: Option<&'a mut Vec<u8>>,
    message: Option<&'a mut String>,
    scratch: &'a mut String,
}

impl<'a> Fields<'a> {
    pub(crate) fn of_event(
        style: &'a Style,
        site: Option<&'a Site>,
        buffers: &'a mut Buffers,
    ) -> Self {
        Self {
            style,
            site,
            fields: &mut buffers.fields,
            clashing: Some(&mut buffers.clashing),
            message: Some(&mut buffers.message),
            scratch: &mut buffers.scratch,
        }
    }

    pub(crate) fn of_span(
        style: &'a Style,
        site: Option<&'a Site>,
        fields: &'a mut Vec<u8>,
        scratch: &'a mut String,
    ) -> Self {
        Self { style, site, fields, clashing: None, message: None, scratch }
    }

    /// Fields come from the call site that this was made for, so their indices fit.
    fn name(&self, field: &Field) -> Name<'a> {
        match self.site.and_then(|site| site.fields.get(field.index())) {
            Some(known) => Name::Known(known),
            None => Name::New(plain(field.name())),
        }
    }

    fn verdict(&self, name: Name<'_>) -> Verdict {
        match name {
            Name::Known(known) => known.verdict,
            Name::New(name) => self.style.verdict(name),
        }
    }

    /// Writes the name and returns where the value goes.
    fn named(&mut self, name: Name<'_>, verdict: Verdict) -> &mut Vec<u8> {
        let out = match &mut self.clashing {
            Some(clashing) if verdict.clashing => clashing,
            _ => &mut *self.fields,
        };
        match name {
            Name::Known(known) => out.extend_from_slice(&known.key),
            Name::New(name) => self.style.key(out, name),
        }
        out
    }

    /// Writes a value that needs no quotes in any format.
    fn bare(&mut self, name: Name<'_>, value: &[u8]) {
        let verdict = self.verdict(name);
        if verdict.hidden {
            return self.quoted(name, verdict, REDACTED);
        }
        self.named(name, verdict).extend_from_slice(value);
    }

    /// Writes a number of the line's own.
    pub(crate) fn number(&mut self, name: &str, value: u64) {
        self.bare(Name::New(name), itoa::Buffer::new().format(value).as_bytes());
    }

    /// Writes a text, what is secret in it hidden.
    fn text(&mut self, name: Name<'_>, value: &str) {
        let verdict = self.verdict(name);
        if verdict.message
            && let Some(message) = &mut self.message
        {
            message.push_str(cut(&self.style.redaction.text(cut(value, LOOKED_AT)), MAX_VALUE));
            return;
        }
        if verdict.origin {
            return;
        }
        if verdict.hidden {
            return self.quoted(name, verdict, REDACTED);
        }
        let room = MAX_FIELDS.saturating_sub(self.fields.len()).min(MAX_VALUE);
        let clean = self.style.redaction.text(cut(value, LOOKED_AT));
        let kept = cut(&clean, room);
        if kept.len() == clean.len() && value.len() <= LOOKED_AT {
            self.quoted(name, verdict, kept);
        } else {
            self.quoted(name, verdict, &[kept, CUT].concat());
        }
    }

    fn quoted(&mut self, name: Name<'_>, verdict: Verdict, value: &str) {
        let format = self.style.format;
        let out = self.named(name, verdict);
        match format {
            LogFormat::Pretty => escape::pretty(out, value),
            LogFormat::Logfmt => escape::logfmt(out, value),
            _ => escape::json_string(out, value),
        }
    }

    /// Formats a value and writes it as text.
    fn formatted(&mut self, name: Name<'_>, value: fmt::Arguments<'_>) {
        if let (Name::Known(Known { verdict: Verdict { message: true, .. }, .. }), Some(message)) =
            (name, &mut self.message)
            && message.is_empty()
        {
            // Most lines have one message, and most of these are kept as they are.
            let _ = message.write_fmt(value);
            if message.len() > MAX_VALUE || self.style.redaction.finds(message) {
                let whole = std::mem::take(*message);
                self.text(name, &whole);
            }
            return;
        }
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
        self.formatted(self.name(field), format_args!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(self.name(field), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        let name = self.name(field);
        if self.style.redaction.hides_number(value) {
            return self.quoted(name, self.verdict(name), REDACTED);
        }
        self.bare(name, itoa::Buffer::new().format(value).as_bytes());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        let name = self.name(field);
        if u64::try_from(value).is_ok_and(|value| self.style.redaction.hides_number(value)) {
            return self.quoted(name, self.verdict(name), REDACTED);
        }
        self.bare(name, itoa::Buffer::new().format(value).as_bytes());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        // `has_password = true` tells no secret.
        let name = self.name(field);
        let text: &[u8] = if value { b"true" } else { b"false" };
        self.named(name, self.verdict(name)).extend_from_slice(text);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        // Some languages and formats have no other numbers.
        if value.fract() == 0.0 && self.style.redaction.hides_number(value as u64) {
            let name = self.name(field);
            return self.quoted(name, self.verdict(name), REDACTED);
        }
        if value.is_finite() {
            self.bare(self.name(field), zmij::Buffer::new().format_finite(value).as_bytes());
        } else {
            // JSON has no such numbers.
            self.formatted(self.name(field), format_args!("{value}"));
        }
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        match u64::try_from(value) {
            Ok(value) => self.record_u64(field, value),
            // Readers that hold numbers as doubles would round it.
            Err(_) => self.formatted(self.name(field), format_args!("{value}")),
        }
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        match i64::try_from(value) {
            Ok(value) => self.record_i64(field, value),
            Err(_) => self.formatted(self.name(field), format_args!("{value}")),
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        let name = plain(field.name());
        self.formatted(Name::New(&format!("{name}.message")), format_args!("{value}"));
        let debug = format!("{value:?}");
        let end = debug.find(|c: char| !(c.is_alphanumeric() || c == '_'));
        let kind = &debug[..end.unwrap_or(debug.len())];
        if !kind.is_empty() {
            self.text(Name::New(&format!("{name}.type")), kind);
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
            self.text(Name::New(&format!("{name}.chain")), &chain);
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
