//! The fields of spans and events, formatted once, before any layer sees them.
//!
//! A value's `Display` or `Debug` is code of the application's: it may return an error, panic, log, ask for
//! the current span, be endless. `tracing-opentelemetry` formats by `to_string` and `format!`, which panic
//! where an error is returned, for a new span while what the registry keeps of it is locked; and it
//! formats the whole of a value, and follows the causes of an error, however many. Layers keep, for
//! their thread, what their filters said of the event or span that is on its way, and what is logged
//! meanwhile changes that. So each value that is to be formatted is, here, within [`MAX_VALUE`], and the
//! layers get the text. An unsigned integer that is a signed one too is handed on as that:
//! `tracing-opentelemetry` knows no others, and made texts of them. (OpenTelemetry's "Mapping arbitrary data
//! to `AnyValue`" has integers of 64 bits as such, and only larger ones as decimal texts.)

use meshwise_core::internal::bounded;
use smallvec::{SmallVec, smallvec};
use std::{cell::Cell, error::Error, fmt, ops::Range, thread::LocalKey};
use tracing::field::{DebugValue, Field, FieldSet, Value, Visit, debug};
use tracing_core::field::ValueSet;

/// The most bytes of a value.
const MAX_VALUE: usize = 64 << 10;
/// Stands at the end of a value that was longer.
const CUT: &str = "[cut]";
/// How much of an error's `Debug` is looked at for a name.
const NAME: usize = 128;
/// How many causes of an error are followed: a chain may be a circle.
const MAX_CAUSES: usize = 32;
/// A larger buffer is not kept.
const KEEP_CAPACITY: usize = 16 << 10;

/// Has the values visited and hands them on, formatted in the buffer; `None` if all are as they should be.
pub(crate) fn with_formatted<T>(
    buffer: &'static LocalKey<Cell<String>>,
    fields: &FieldSet,
    visit: impl FnOnce(&mut dyn Visit),
    then: impl FnOnce(Option<&ValueSet<'_>>) -> T,
) -> T {
    if fields.is_empty() {
        return then(None);
    }
    let mut copied = Copied { text: buffer.take(), values: SmallVec::new(), changed: false };
    copied.text.clear();
    visit(&mut copied);
    let result = if copied.changed {
        let text = &*copied.text;
        let shown: SmallVec<[Shown<'_>; INLINE]> =
            copied.values.iter().map(|(_, value)| value.shown(text)).collect();
        let mut all: SmallVec<[Option<&dyn Value>; INLINE]> = smallvec![None; fields.len()];
        for ((index, _), shown) in copied.values.iter().zip(&shown) {
            if let Some(place) = all.get_mut(*index) {
                *place = Some(shown.value());
            }
        }
        then(Some(&fields.value_set_all(&all)))
    } else {
        then(None)
    };
    if copied.text.capacity() <= KEEP_CAPACITY {
        buffer.set(copied.text);
    }
    result
}

/// As many fields as nearly all events have.
const INLINE: usize = 6;

/// Copies the values of fields.
struct Copied {
    text: String,
    values: SmallVec<[(usize, Copy); INLINE]>,
    /// Some value had to be formatted, or is another integer.
    changed: bool,
}

enum Copy {
    Flag(bool),
    Real(f64),
    Signed(i64),
    Unsigned(u64),
    /// A text, somewhere in the buffer.
    Text(Range<usize>),
    /// What was formatted.
    Formatted(Range<usize>),
    Error(Box<CopiedError>),
}

/// A value whose formatting does no harm.
enum Shown<'t> {
    Flag(bool),
    Real(f64),
    Signed(i64),
    Unsigned(u64),
    Text(&'t str),
    Formatted(DebugValue<Plain<'t>>),
    Error(&'t (dyn Error + 'static)),
}

impl Copy {
    fn shown<'t>(&'t self, text: &'t str) -> Shown<'t> {
        match self {
            Self::Flag(value) => Shown::Flag(*value),
            Self::Real(value) => Shown::Real(*value),
            Self::Signed(value) => Shown::Signed(*value),
            Self::Unsigned(value) => Shown::Unsigned(*value),
            Self::Text(range) => Shown::Text(&text[range.clone()]),
            Self::Formatted(range) => Shown::Formatted(debug(Plain(&text[range.clone()]))),
            Self::Error(error) => Shown::Error(&**error),
        }
    }
}

impl Shown<'_> {
    fn value(&self) -> &dyn Value {
        match self {
            Self::Flag(value) => value,
            Self::Real(value) => value,
            Self::Signed(value) => value,
            Self::Unsigned(value) => value,
            Self::Text(value) => value,
            Self::Formatted(value) => value,
            Self::Error(value) => value,
        }
    }
}

impl Copied {
    fn put(&mut self, field: &Field, value: Copy) {
        self.values.push((field.index(), value));
    }
}

impl Visit for Copied {
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, Copy::Flag(value));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, Copy::Real(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, Copy::Signed(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        match i64::try_from(value) {
            Ok(value) => {
                self.changed = true;
                self.put(field, Copy::Signed(value));
            }
            Err(_) => self.put(field, Copy::Unsigned(value)),
        }
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        match i64::try_from(value) {
            Ok(value) => {
                self.changed = true;
                self.put(field, Copy::Signed(value));
            }
            Err(_) => self.record_debug(field, &value),
        }
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        match u64::try_from(value) {
            Ok(value) => self.record_u64(field, value),
            Err(_) => self.record_debug(field, &value),
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let from = self.text.len();
        self.text.push_str(value);
        self.put(field, Copy::Text(from..self.text.len()));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let from = self.text.len();
        append(&mut self.text, format_args!("{value:?}"));
        self.changed = true;
        self.put(field, Copy::Formatted(from..self.text.len()));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.changed = true;
        self.put(field, Copy::Error(Box::new(CopiedError::of(value))));
    }
}

fn append(out: &mut String, value: fmt::Arguments<'_>) {
    if !bounded::append(out, MAX_VALUE, value) {
        out.push_str(CUT);
    }
}

/// Shows a text as it stands.
struct Plain<'t>(&'t str);

impl fmt::Debug for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// What an error, and what caused it, say of themselves.
struct CopiedError {
    message: String,
    /// What its `Debug` begins with, which names its type or kind.
    debug: String,
    source: Option<Box<Self>>,
}

impl CopiedError {
    fn of(error: &(dyn Error + 'static)) -> Self {
        let (mut chain, mut next) = (SmallVec::<[(String, String); 4]>::new(), Some(error));
        while let Some(error) = next.filter(|_| chain.len() < MAX_CAUSES) {
            let (mut message, mut debug) = (String::new(), String::new());
            append(&mut message, format_args!("{error}"));
            match error.downcast_ref::<std::io::Error>() {
                Some(error) => {
                    bounded::append(&mut debug, NAME, format_args!("{:?}", error.kind()))
                }
                None => bounded::append(&mut debug, NAME, format_args!("{error:?}")),
            };
            chain.push((message, debug));
            next = error.source();
        }
        let whole = chain.into_iter().rev().fold(None, |source: Option<Self>, (message, debug)| {
            Some(Self { message, debug, source: source.map(Box::new) })
        });
        whole.unwrap_or_else(|| Self { message: String::new(), debug: String::new(), source: None })
    }
}

impl fmt::Debug for CopiedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.debug)
    }
}

impl fmt::Display for CopiedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for CopiedError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
