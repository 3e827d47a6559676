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

use meshwise_core::internal::{
    bounded, error_sources,
    told::{TextRange, ToldError, ToldValue, ToldValues},
};
use smallvec::{SmallVec, smallvec};
use std::{error::Error, fmt};
use tracing::field::{DebugValue, Field, FieldSet, Value, Visit, debug};
use tracing_core::field::ValueSet;

/// The most bytes of a value.
const MAX_VALUE: usize = 64 << 10;
/// Stands at the end of a value that was longer.
const CUT: &str = "[cut]";
/// How much of an error's `Debug` is looked at for a name.
const NAME: usize = 128;

/// Has values visited, and copies them formatted; tells whether some had to be formatted, or is another
/// integer.
#[inline]
pub(crate) fn copy(into: &mut ToldValues, visit: impl FnOnce(&mut dyn Visit)) -> bool {
    let mut copied = Copied { values: into, changed: false };
    visit(&mut copied);
    copied.changed
}

/// Hands copied values on in `tracing`'s form.
pub(crate) fn hand_on<T>(
    values: &ToldValues,
    fields: &FieldSet,
    then: impl FnOnce(&ValueSet<'_>) -> T,
) -> T {
    let shown: SmallVec<[Shown<'_>; INLINE]> =
        values.values.iter().filter_map(|(_, value)| Shown::of(value, values)).collect();
    let mut all: SmallVec<[Option<&dyn Value>; INLINE]> = smallvec![None; fields.len()];
    for ((index, _), shown) in values.values.iter().zip(&shown) {
        if let Some(place) = all.get_mut(*index) {
            *place = Some(shown.value());
        }
    }
    then(&fields.value_set_all(&all))
}

/// As many fields as nearly all events have.
const INLINE: usize = 6;

/// Copies the values of fields.
struct Copied<'v> {
    values: &'v mut ToldValues,
    changed: bool,
}

impl Copied<'_> {
    fn put(&mut self, field: &Field, value: ToldValue) {
        self.values.values.push((field.index(), value));
    }
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

impl<'t> Shown<'t> {
    /// All errors are among those of the values.
    fn of(value: &'t ToldValue, among: &'t ToldValues) -> Option<Self> {
        Some(match value {
            ToldValue::Flag(value) => Self::Flag(*value),
            ToldValue::Real(value) => Self::Real(*value),
            ToldValue::Signed(value) => Self::Signed(*value),
            ToldValue::Unsigned(value) => Self::Unsigned(*value),
            ToldValue::Text(range) => Self::Text(range.of(&among.text)),
            ToldValue::Formatted(range) => Self::Formatted(debug(Plain(range.of(&among.text)))),
            ToldValue::Error(number) => Self::Error(among.errors.get(*number)?),
        })
    }

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

impl Visit for Copied<'_> {
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, ToldValue::Flag(value));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, ToldValue::Real(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, ToldValue::Signed(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        match i64::try_from(value) {
            Ok(value) => {
                self.changed = true;
                self.put(field, ToldValue::Signed(value));
            }
            Err(_) => self.put(field, ToldValue::Unsigned(value)),
        }
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        match i64::try_from(value) {
            Ok(value) => {
                self.changed = true;
                self.put(field, ToldValue::Signed(value));
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
        let text = &mut self.values.text;
        let from = text.len();
        text.push_str(value);
        let range = TextRange { from, to: text.len() };
        self.put(field, ToldValue::Text(range));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = &mut self.values.text;
        let from = text.len();
        append(text, format_args!("{value:?}"));
        let range = TextRange { from, to: text.len() };
        self.changed = true;
        self.put(field, ToldValue::Formatted(range));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.changed = true;
        let number = self.values.errors.len();
        self.values.errors.push(copied_error(value));
        self.put(field, ToldValue::Error(number));
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

/// Copies what an error, and what caused it, say of themselves.
fn copied_error(error: &(dyn Error + 'static)) -> ToldError {
    let mut chain = SmallVec::<[(String, String); 4]>::new();
    for error in error_sources(error) {
        let (mut message, mut debug) = (String::new(), String::new());
        append(&mut message, format_args!("{error}"));
        match error.downcast_ref::<std::io::Error>() {
            Some(error) => bounded::append(&mut debug, NAME, format_args!("{:?}", error.kind())),
            None => bounded::append(&mut debug, NAME, format_args!("{error:?}")),
        };
        chain.push((message, debug));
    }
    let whole =
        chain.into_iter().rev().fold(None, |source: Option<ToldError>, (message, debug)| {
            Some(ToldError { message, debug, source: source.map(Box::new) })
        });
    whole.unwrap_or_else(|| ToldError {
        message: String::new(),
        debug: String::new(),
        source: None,
    })
}
