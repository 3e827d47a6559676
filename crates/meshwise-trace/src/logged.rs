//! Events of records as they were logged.
//!
//! A log line of a sampled call is an event of its span. To make one of OpenTelemetry's takes three
//! allocations and a dozen moves on the thread that logs; here its values are copied into memory that is
//! kept, of the record and then of the queue, and it is made on the exporter's thread.

use crate::names::{EXCEPTION, EXCEPTION_MESSAGE, EXCEPTION_STACKTRACE};
use meshwise_core::internal::{
    spares,
    told::{self, ToldError, ToldValue, ToldValues},
};
use opentelemetry::{KeyValue, StringValue, Value, trace::Event as OtelEvent};
use std::{
    borrow::Cow,
    cell::{Cell, RefCell},
    time::SystemTime,
};
use tracing::Metadata;

thread_local! {
    /// The event that is offered to the current span, and when it was.
    pub(crate) static OFFERED: Cell<Option<(&'static Metadata<'static>, SystemTime)>> =
        const { Cell::new(None) };
    /// Memory for the events of records.
    #[allow(clippy::vec_box, reason = "records hold boxes")]
    static POOL: RefCell<Vec<Box<Logged>>> = const { RefCell::new(Vec::new()) };
}

/// Larger memory is not kept.
const KEEP_TEXT: usize = 16 << 10;
const KEEP_VALUES: usize = 512;
/// So much a thread keeps, for as many calls at once.
const KEEP_LOGGED: usize = 16;
/// What most spans have: two events of a few values.
const SPANS: usize = 16;
const VALUES: usize = 4;
const TEXT: usize = 48;

/// Events of one record, or of some, in their order; none of them has an error.
#[derive(Debug, Default)]
pub(crate) struct Logged {
    entries: Vec<Entry>,
    values: Vec<(usize, ToldValue)>,
    text: String,
}

#[derive(Debug)]
struct Entry {
    /// Which of some records it belongs to.
    span: usize,
    metadata: &'static Metadata<'static>,
    at: SystemTime,
    /// How many values it has, and how much text.
    values: usize,
    text: usize,
}

impl Logged {
    /// Takes memory that the thread keeps, or none yet.
    pub(crate) fn kept() -> Box<Self> {
        spares::take(&POOL).unwrap_or_default()
    }

    /// Leaves the memory to the thread's next record that logs.
    pub(crate) fn keep(mut self: Box<Self>) {
        if !self.entries.is_empty() {
            self.clear();
        }
        spares::keep(&POOL, KEEP_LOGGED, self);
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Adds an event of the first record.
    #[inline]
    pub(crate) fn push(
        &mut self,
        metadata: &'static Metadata<'static>,
        at: SystemTime,
        told: &ToldValues,
    ) {
        let (values, text) = (told.values.len(), told.text.len());
        self.entries.push(Entry { span: 0, metadata, at, values, text });
        self.values.extend_from_slice(&told.values);
        self.text.push_str(&told.text);
    }

    /// Moves all events of others behind its own: their first record is to be the one of this number.
    pub(crate) fn append(&mut self, others: &mut Self, first: usize) {
        if others.entries.is_empty() {
            return;
        }
        if self.entries.capacity() == 0 {
            self.entries.reserve(SPANS);
            self.values.reserve(SPANS * VALUES);
            self.text.reserve(SPANS * TEXT);
        }
        let moved = others.entries.drain(..);
        self.entries.extend(moved.map(|entry| Entry { span: first + entry.span, ..entry }));
        self.values.append(&mut others.values);
        self.text.push_str(&others.text);
        others.clear();
    }

    /// Moves the events of its first `n` records behind those of others, `first` in number.
    pub(crate) fn move_first(&mut self, n: usize, into: &mut Self, first: usize) {
        let count = self.entries.iter().take_while(|entry| entry.span < n).count();
        let (mut values, mut text) = (0, 0);
        for entry in self.entries.drain(..count) {
            values += entry.values;
            text += entry.text;
            into.entries.push(Entry { span: first + entry.span, ..entry });
        }
        self.entries.iter_mut().for_each(|entry| entry.span -= n);
        into.values.extend(self.values.drain(..values));
        into.text.push_str(&self.text[..text]);
        self.text.drain(..text);
    }

    /// Makes the events, each with the number of its record.
    pub(crate) fn made(&self) -> impl Iterator<Item = (usize, OtelEvent)> {
        let (mut values, mut text) = (&*self.values, &*self.text);
        self.entries.iter().map(move |entry| {
            let own;
            (own, values) = values.split_at(entry.values);
            let own_text;
            (own_text, text) = text.split_at(entry.text);
            (entry.span, made(entry.metadata, entry.at, own_text, own, &[]))
        })
    }

    /// Makes the events of one record, behind others.
    pub(crate) fn make_all(&mut self, events: &mut Vec<OtelEvent>) {
        events.extend(self.made().map(|(_, event)| event));
        self.clear();
    }

    fn clear(&mut self) {
        self.entries.clear();
        self.values.clear();
        self.text.clear();
        if self.text.capacity() > KEEP_TEXT || self.values.capacity() > KEEP_VALUES {
            *self = Self::default();
        }
    }
}

/// Hands the event that is offered on to a record, if one is.
#[inline]
pub(crate) fn take(to: impl FnOnce(&'static Metadata<'static>, SystemTime, &ToldValues)) {
    if let Some((metadata, at)) = OFFERED.take() {
        told::current(|values| to(metadata, at, values));
    }
}

/// Makes what `tracing-opentelemetry` would make of an event whose values are these.
pub(crate) fn made(
    metadata: &'static Metadata<'static>,
    at: SystemTime,
    text: &str,
    values: &[(usize, ToldValue)],
    errors: &[ToldError],
) -> OtelEvent {
    let mut attributes = Vec::with_capacity(2 + values.len());
    attributes.push(KeyValue::new("level", metadata.level().as_str()));
    attributes.push(KeyValue::new("target", metadata.target()));
    let mut made = OtelEvent::new(Cow::Borrowed(""), at, attributes, 0);
    for (index, value) in values {
        if let Some(field) = metadata.fields().iter().nth(*index) {
            set(&mut made, field.name(), value, text, errors);
        }
    }
    if made.name.is_empty() {
        made.name = Cow::Borrowed(metadata.name());
    }
    made
}

fn set(
    made: &mut OtelEvent,
    name: &'static str,
    value: &ToldValue,
    text: &str,
    errors: &[ToldError],
) {
    let mut plain = |value: Value| match name {
        "message" => made.name = value.to_string().into(),
        name => made.attributes.push(KeyValue::new(name, value)),
    };
    match value {
        ToldValue::Flag(value) => plain((*value).into()),
        ToldValue::Real(value) => plain((*value).into()),
        ToldValue::Signed(value) => plain((*value).into()),
        ToldValue::Unsigned(value) => set_text(made, name, value.to_string(), |text| text),
        ToldValue::Text(range) => {
            set_text(made, name, range.of(text).to_owned(), |text| format!("{text:?}"));
        }
        ToldValue::Formatted(range) => {
            set_text(made, name, range.of(text).to_owned(), |text| text);
        }
        ToldValue::Error(number) => {
            errors.iter().skip(*number).take(1).for_each(|error| set_error(made, name, error));
        }
    }
}

/// Sets a text. Of an event without a message, one that is called `error` is an exception's.
fn set_text(
    made: &mut OtelEvent,
    name: &'static str,
    text: String,
    error: impl FnOnce(String) -> String,
) {
    match name {
        "message" => made.name = text.into(),
        "error" if made.name.is_empty() => {
            made.name = EXCEPTION.into();
            made.attributes.push(KeyValue::new(EXCEPTION_MESSAGE, error(text)));
        }
        name => made.attributes.push(KeyValue::new(name, text)),
    }
}

fn set_error(made: &mut OtelEvent, name: &'static str, error: &ToldError) {
    let mut chain: Vec<StringValue> = Vec::new();
    let mut source = &error.source;
    while let Some(error) = source {
        chain.push(error.message.clone().into());
        source = &error.source;
    }
    let attributes = &mut made.attributes;
    attributes.push(KeyValue::new(EXCEPTION_MESSAGE, error.message.clone()));
    attributes.push(KeyValue::new(EXCEPTION_STACKTRACE, Value::Array(chain.clone().into())));
    attributes.push(KeyValue::new(name, error.message.clone()));
    attributes.push(KeyValue::new(format!("{name}.chain"), Value::Array(chain.into())));
}
