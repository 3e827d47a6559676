//! Visiting an event's or a span's fields: each becomes text at once, in the format of the line.

mod values;

use super::{
    call_site::CallSite,
    ecs, escape,
    log_format::LogFormat,
    names::{Form, Known, Place, SUPPRESSED},
    record::{AnyValue, Record},
    style::Style,
    time::Stamp,
};
use crate::spans::SpanFields;
use meshwise_core::internal::{REDACTED, bounded};
use std::{borrow::Cow, fmt, io::Write as _};
use tracing::field::Field;

/// The most bytes of fields that a line has, and of one value.
const MAX_FIELDS: usize = 48 << 10;
const MAX_VALUE: usize = 16 << 10;
/// How much more than is kept is looked through for secrets: one that is cut in two would not be
/// known for what it is.
const SLACK: usize = 4 << 10;
/// Stands at the end of a text that was longer.
pub(crate) const CUT: &str = "[cut]";

/// Holds the parts of the line that is being made; kept from line to line.
pub(crate) struct Buffers {
    pub(crate) line: Vec<u8>,
    pub(crate) parts: Parts,
    pub(crate) message: Message,
    pub(crate) span: SpanFields,
    pub(crate) scratch: String,
    pub(crate) stamp: Stamp,
    pub(crate) record: Record,
    /// The thread's own are gone, and what others keep for it.
    pub(crate) thread_ends: bool,
}

/// Holds what the line says first.
pub(crate) struct Message {
    pub(crate) text: String,
    /// One look told that it may stand in JSON as it is.
    pub(crate) is_plain: bool,
}

/// Holds an event's fields, by the object they stand in.
pub(crate) struct Parts {
    pub(crate) fields: Vec<u8>,
    pub(crate) nested: Vec<u8>,
    pub(crate) request: Vec<u8>,
    /// Keys that the call site does not know of, because they come of a value.
    derived: Vec<(Place, Box<[u8]>)>,
}

impl Parts {
    pub(crate) const fn new() -> Self {
        Self { fields: Vec::new(), nested: Vec::new(), request: Vec::new(), derived: Vec::new() }
    }

    fn part(&mut self, place: Place) -> &mut Vec<u8> {
        match place {
            Place::Nested => &mut self.nested,
            Place::Request => &mut self.request,
            _ => &mut self.fields,
        }
    }

    fn len(&self) -> usize {
        self.fields.len() + self.nested.len() + self.request.len()
    }
}

impl Buffers {
    pub(crate) const fn new() -> Self {
        Self {
            line: Vec::new(),
            parts: Parts::new(),
            message: Message { text: String::new(), is_plain: false },
            span: SpanFields::new(),
            scratch: String::new(),
            stamp: Stamp::new(),
            record: Record::new(),
            thread_ends: false,
        }
    }

    pub(crate) fn clear(&mut self) {
        let Self { line, parts, message, span, scratch, stamp: _, record: _, thread_ends: _ } =
            self;
        let Parts { fields, nested, request, derived } = parts;
        for buffer in [line, fields, nested, request] {
            buffer.clear();
        }
        derived.clear();
        message.text.clear();
        message.is_plain = false;
        span.clear();
        scratch.clear();
    }

    pub(crate) fn capacity(&self) -> usize {
        self.line.capacity()
            + self.parts.fields.capacity()
            + self.scratch.capacity()
            + self.record.capacity()
    }
}

impl Style {
    /// Makes of a text what may stand in a line: secrets are hidden, and what is longer than `room`
    /// is cut and says so. Every text value passes here. `whole` is false if there was more of it.
    pub(crate) fn text<'t>(&self, text: &'t str, whole: bool, room: usize) -> Cow<'t, str> {
        let looked_at = bounded::cut(text, room.saturating_add(SLACK));
        let whole = whole && looked_at.len() == text.len();
        let clean = self.redaction.text(looked_at);
        // What stands in a secret's place may be longer than it was, or shorter.
        if whole && clean.len() <= room {
            return clean;
        }
        Cow::Owned([bounded::cut(&clean, room), CUT].concat())
    }
}

/// A value that is no text.
#[derive(Clone, Copy)]
enum Bare {
    Unsigned(u64),
    Signed(i64),
    Real(f64),
    Flag,
}

/// Where fields go.
enum Out<'a> {
    Event { parts: &'a mut Parts, message: &'a mut Message, record: Option<&'a mut Record> },
    Span(&'a mut SpanFields),
}

/// Writes fields into buffers.
pub(crate) struct Fields<'a> {
    style: &'a Style,
    site: &'a CallSite,
    out: Out<'a>,
    scratch: &'a mut String,
}

impl<'a> Fields<'a> {
    pub(crate) fn of_event(style: &'a Style, site: &'a CallSite, buffers: &'a mut Buffers) -> Self {
        let Buffers { parts, message, scratch, record, .. } = buffers;
        let record = record.wanted();
        Self { style, site, out: Out::Event { parts, message, record }, scratch }
    }

    pub(crate) fn of_span(
        style: &'a Style,
        site: &'a CallSite,
        fields: &'a mut SpanFields,
        scratch: &'a mut String,
    ) -> Self {
        Self { style, site, out: Out::Span(fields), scratch }
    }

    /// Fields come from the call site that this was made for, so their indices fit.
    fn known(&self, field: usize) -> Option<&'a Known> {
        self.site.fields.get(field)
    }

    /// Writes a key and its value.
    fn put(&mut self, known: &Known, spare: bool, value: impl FnOnce(&mut Vec<u8>)) {
        let (place, key) = match spare {
            false => (known.place, &known.key),
            true => (Place::Nested, &known.spare),
        };
        match &mut self.out {
            Out::Event { parts, .. } => {
                let part = parts.part(place);
                part.extend_from_slice(key);
                value(part);
            }
            Out::Span(fields) => fields.set(place, key, value),
        }
    }

    /// Writes a number of the line's own.
    pub(crate) fn suppressed(&mut self, count: u64) {
        let name =
            if self.style.format == LogFormat::Ecs { "meshwise.suppressed" } else { SUPPRESSED };
        let key = self.style.key(name);
        if let Out::Event { parts, record, .. } = &mut self.out {
            parts.fields.extend_from_slice(&key);
            parts.fields.extend_from_slice(itoa::Buffer::new().format(count).as_bytes());
            if let Some(record) = record {
                let count = i64::try_from(count).unwrap_or(i64::MAX);
                record.attribute(SUPPRESSED, AnyValue::Whole(count));
            }
        }
    }

    /// Adds an attribute to the record, if there is one.
    #[inline]
    fn attribute(&mut self, known: &Known, value: AnyValue<'_>) {
        if let Out::Event { record: Some(record), .. } = &mut self.out
            && !known.attribute.is_empty()
        {
            record.attribute(&known.attribute, value);
        }
    }

    /// Writes a value that is no text; `digits` is how it looks.
    fn bare(&mut self, field: usize, value: Bare, digits: &str) {
        let Some(known) = self.known(field) else { return };
        let redaction = &self.style.redaction;
        let by_value = match value {
            Bare::Unsigned(n) => redaction.hides_number(n),
            Bare::Signed(n) => u64::try_from(n).is_ok_and(|n| redaction.hides_number(n)),
            // Some languages and formats have no other numbers.
            Bare::Real(n) => n.fract() == 0.0 && redaction.hides_number(n as u64),
            Bare::Flag => false,
        };
        // `has_password = true` tells no secret.
        let by_name = known.hidden && !matches!(value, Bare::Flag);
        match known.place {
            Place::Nowhere => return,
            Place::Message => {
                return self.text(known, if by_value { REDACTED } else { digits }, true);
            }
            _ if by_name || by_value => {
                self.attribute(known, AnyValue::Text(REDACTED));
                return self.fitted(known, REDACTED);
            }
            _ => {}
        }
        self.attribute(
            known,
            match value {
                Bare::Unsigned(n) => match i64::try_from(n) {
                    Ok(n) => AnyValue::Whole(n),
                    // OTLP's whole numbers have a sign.
                    Err(_) => AnyValue::Text(digits),
                },
                Bare::Signed(n) => AnyValue::Whole(n),
                Bare::Real(n) => AnyValue::Real(n),
                Bare::Flag => AnyValue::Flag(digits == "true"),
            },
        );
        match known.form {
            Form::Plain => self.put(known, false, |out| out.extend_from_slice(digits.as_bytes())),
            form => self.formed(known, form, value, digits),
        }
    }

    /// Writes a value that is no text in a form of its field's own.
    fn formed(&mut self, known: &Known, form: Form, value: Bare, digits: &str) {
        let milliseconds = match value {
            Bare::Unsigned(n) => n as f64,
            Bare::Signed(n) => n as f64,
            Bare::Real(n) => n,
            Bare::Flag => f64::NAN,
        };
        let fits = match (form, value) {
            (Form::Long, Bare::Unsigned(n)) => i64::try_from(n).is_ok(),
            (Form::Long, Bare::Signed(_)) | (Form::Flag, Bare::Flag) => true,
            (Form::Integer, Bare::Unsigned(n)) => i32::try_from(n).is_ok(),
            (Form::Integer, Bare::Signed(n)) => i32::try_from(n).is_ok(),
            (Form::Float, _) => milliseconds.abs() <= f64::from(f32::MAX),
            // Until the year 9999.
            (Form::Date, Bare::Unsigned(n)) => n < 253_402_300_800_000,
            (Form::Date, Bare::Signed(n)) => (0..253_402_300_800_000).contains(&n),
            (Form::Nanoseconds, _) => (0.0..9e12).contains(&milliseconds),
            (Form::Seconds, _) => (0.0..9e12).contains(&milliseconds),
            _ => false,
        };
        match form {
            Form::Text | Form::HttpVersion => self.fitted(known, digits),
            Form::Nanoseconds if fits => {
                let nanoseconds = (milliseconds * 1e6).round() as u64;
                let mut buffer = itoa::Buffer::new();
                let digits = buffer.format(nanoseconds).as_bytes();
                self.put(known, false, |out| out.extend_from_slice(digits));
            }
            Form::Seconds if fits => {
                // To the microsecond, as three, six or no digits.
                let micros = (milliseconds * 1e3).round() as u64;
                let (seconds, micros) = (micros / 1_000_000, micros % 1_000_000);
                self.put(known, false, |out| {
                    // Writing into a `Vec` does not fail.
                    let _ = match micros {
                        0 => write!(out, "\"{seconds}s\""),
                        _ if micros % 1_000 == 0 => {
                            write!(out, "\"{seconds}.{:03}s\"", micros / 1_000)
                        }
                        _ => write!(out, "\"{seconds}.{micros:06}s\""),
                    };
                });
            }
            _ if fits => self.put(known, false, |out| out.extend_from_slice(digits.as_bytes())),
            // Labels are texts.
            _ if self.style.format == LogFormat::Ecs => self.quoted(known, true, digits),
            _ => self.put(known, true, |out| out.extend_from_slice(digits.as_bytes())),
        }
    }

    /// Writes a text, what is secret in it hidden. `whole` is false if there was more of it.
    fn text(&mut self, known: &Known, value: &str, whole: bool) {
        let style = self.style;
        if whole && self.put_plain(known, value) {
            return;
        }
        let room = match (&mut self.out, known.place) {
            (_, Place::Nowhere) => return,
            (Out::Event { message, .. }, Place::Message) => {
                message.is_plain =
                    whole && message.text.is_empty() && style.redaction.is_plain(value);
                return match message.is_plain {
                    true => message.text.push_str(value),
                    false => message.text.push_str(&style.text(value, whole, MAX_VALUE)),
                };
            }
            (Out::Event { parts, .. }, _) => MAX_FIELDS.saturating_sub(parts.len()).min(MAX_VALUE),
            (Out::Span(fields), place) => fields.room(place, &known.key),
        };
        let clean = match known.hidden {
            true => Cow::Borrowed(REDACTED),
            false => style.text(value, whole, room),
        };
        self.attribute(known, AnyValue::Text(&clean));
        self.fitted(known, &clean);
    }

    /// Writes a text of an event as it stands, in JSON, if one look tells that it may stand there: nearly
    /// all are short, and have nothing to hide or to escape.
    #[inline]
    fn put_plain(&mut self, known: &Known, value: &str) -> bool {
        let Self { style, out: Out::Event { parts, record, .. }, .. } = self else { return false };
        let fits = matches!(known.form, Form::Plain | Form::Text)
            && !matches!(known.place, Place::Nowhere | Place::Message)
            && !known.hidden
            && style.format.is_json()
            && style.redaction.is_plain(value)
            && parts.len() + value.len() <= MAX_FIELDS;
        if !fits {
            return false;
        }
        if let Some(record) = record
            && !known.attribute.is_empty()
        {
            record.attribute(&known.attribute, AnyValue::Text(value));
        }
        let part = parts.part(known.place);
        part.reserve(known.key.len() + value.len() + 2);
        part.extend_from_slice(&known.key);
        part.push(b'"');
        part.extend_from_slice(value.as_bytes());
        part.push(b'"');
        true
    }

    /// Writes a text under the field's key if its form takes texts like it.
    fn fitted(&mut self, known: &Known, value: &str) {
        match known.form {
            Form::Plain | Form::Text => self.quoted(known, false, value),
            Form::Date => self.quoted(known, !ecs::is_date(value), value),
            Form::Address => self.quoted(known, !ecs::is_address(value), value),
            Form::Outcome => match value {
                "success" | "failure" => self.quoted(known, false, value),
                // Its caller went away: whether it would have succeeded is not known.
                "cancelled" => self.quoted(known, false, "unknown"),
                _ => self.quoted(known, true, value),
            },
            Form::HttpVersion => self.put(known, false, |out| {
                out.extend_from_slice(b"\"HTTP/");
                escape::json(out, value);
                out.push(b'"');
            }),
            Form::Long
            | Form::Integer
            | Form::Float
            | Form::Flag
            | Form::Nanoseconds
            | Form::Seconds => self.quoted(known, true, value),
        }
    }

    fn quoted(&mut self, known: &Known, spare: bool, value: &str) {
        let format = self.style.format;
        self.put(known, spare, |out| match format {
            LogFormat::Pretty => escape::pretty(out, value),
            LogFormat::Logfmt => escape::logfmt(out, value),
            _ => escape::json_string(out, value),
        });
    }

    /// Formats a value and writes it as text.
    fn formatted(&mut self, known: &Known, value: fmt::Arguments<'_>) {
        if let (Place::Message, Out::Event { message, .. }) = (known.place, &mut self.out)
            && message.text.is_empty()
        {
            // Most lines have one message, and most of these are kept as they are.
            let whole = bounded::append(&mut message.text, MAX_VALUE + SLACK, value);
            message.is_plain = whole && self.style.redaction.is_plain(&message.text);
            if !message.is_plain
                && let Cow::Owned(clean) = self.style.text(&message.text, whole, MAX_VALUE)
            {
                message.text = clean;
            }
            return;
        }
        let mut scratch = std::mem::take(self.scratch);
        scratch.clear();
        let whole = bounded::append(&mut scratch, MAX_VALUE + SLACK, value);
        self.text(known, &scratch, whole);
        *self.scratch = scratch;
    }

    /// Writes what an error says of itself, under a name that comes of the field's.
    fn part_of_error(&mut self, field: &Field, suffix: &str, value: fmt::Arguments<'_>) {
        let Some(base) = self.known(field.index()) else { return };
        let name = format!("{}.{suffix}", field.name());
        let others = self.site.fields.iter().enumerate();
        let others = others.filter(|(index, _)| *index != field.index()).map(|(_, known)| known);
        let derived: &[_] = match &self.out {
            Out::Event { parts, .. } => &parts.derived,
            // A span's field that is recorded again replaces what it said before.
            Out::Span(_) => &[],
        };
        let free = |place: Place, key: &[u8]| {
            !others.clone().any(|known| known.uses(place, key))
                && !derived.iter().any(|(taken, name)| *taken == place && **name == *key)
        };
        let mut known = self.style.known(self.site.source, &name, free);
        known.hidden |= base.hidden;
        self.formatted(&known, value);
        if let Out::Event { parts, .. } = &mut self.out {
            if !known.spare.is_empty() {
                parts.derived.push((Place::Nested, known.spare));
            }
            if !known.attribute.is_empty() {
                parts.derived.push((Place::Attribute, known.attribute.into_boxed_bytes()));
            }
            parts.derived.push((known.place, known.key));
        }
    }
}
