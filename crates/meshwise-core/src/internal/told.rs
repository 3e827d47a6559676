//! What the event says that layers are being told of: its values, formatted once for all of them.
//!
//! A value's `Display` or `Debug` is code of the application's, so that a subscriber of ours formats all
//! values before any layer hears of the event. Layers of ours read them here: to visit the event would
//! format them once more.

use std::{
    cell::{Cell, RefCell},
    error::Error,
    fmt,
    time::SystemTime,
};

/// Larger memory is not kept for the next event.
const KEEP_TEXT: usize = 16 << 10;
const KEEP_VALUES: usize = 256;

/// The values of one event, or of a span.
#[derive(Debug, Default)]
#[allow(clippy::exhaustive_structs, reason = "only this workspace makes one")]
pub struct ToldValues {
    /// Where texts lie.
    pub text: String,
    /// Each with the index of its field.
    pub values: Vec<(usize, ToldValue)>,
    pub errors: Vec<ToldError>,
}

/// One value (complete by nature: `tracing` has no others).
#[derive(Clone, Copy, Debug)]
#[allow(clippy::exhaustive_enums, reason = "complete by nature")]
pub enum ToldValue {
    Flag(bool),
    Real(f64),
    Signed(i64),
    /// One that is no signed one.
    Unsigned(u64),
    /// A text, somewhere among the texts.
    Text(TextRange),
    /// What was formatted.
    Formatted(TextRange),
    /// The error of this number.
    Error(usize),
}

/// Where a text lies among the texts.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::exhaustive_structs, reason = "only this workspace makes one")]
pub struct TextRange {
    pub from: usize,
    pub to: usize,
}

impl TextRange {
    /// Returns the text itself.
    #[must_use]
    #[inline]
    pub fn of(self, texts: &str) -> &str {
        texts.get(self.from..self.to).unwrap_or_default()
    }
}

/// What an error, and what caused it, say of themselves.
#[allow(clippy::exhaustive_structs, reason = "only this workspace makes one")]
pub struct ToldError {
    pub message: String,
    /// What its `Debug` begins with, which names its type or kind.
    pub debug: String,
    pub source: Option<Box<Self>>,
}

impl fmt::Debug for ToldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.debug)
    }
}

impl fmt::Display for ToldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for ToldError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

impl ToldValues {
    const NONE: Self = Self { text: String::new(), values: Vec::new(), errors: Vec::new() };

    #[inline]
    fn clear(&mut self) {
        self.text.clear();
        self.values.clear();
        self.errors.clear();
        if self.text.capacity() > KEEP_TEXT || self.values.capacity() > KEEP_VALUES {
            *self = Self::NONE;
        }
    }
}

thread_local! {
    /// The values of the event that is logged on this thread; what is logged meanwhile has its own.
    static VALUES: RefCell<ToldValues> = const { RefCell::new(ToldValues::NONE) };
    /// Whether these are in use, and where the event lies that layers are being told of: no other one does
    /// meanwhile.
    static EVENT: Cell<usize> = const { Cell::new(FREE) };
    /// When it was, if some layer has said so.
    static TIME: Cell<Option<SystemTime>> = const { Cell::new(None) };
}

const FREE: usize = 0;
/// No event lies there.
const FILLED: usize = 1;

/// Values that were written: the thread's, or those of what is logged within another event.
#[derive(Debug)]
pub struct Filled(Option<ToldValues>);

/// Has values written, by code that may log.
#[inline]
pub fn fill<T>(mut fill: impl FnMut(&mut ToldValues) -> T) -> (Filled, T) {
    if EVENT.get() == FREE {
        EVENT.set(FILLED);
        let filled = Filled(None);
        let result = VALUES
            .try_with(|values| values.try_borrow_mut().ok().map(|mut values| fill(&mut values)));
        if let Ok(Some(result)) = result {
            return (filled, result);
        }
    }
    let mut own = ToldValues::NONE;
    let result = fill(&mut own);
    (Filled(Some(own)), result)
}

impl Filled {
    /// Reads the values; `None` on a thread that ends.
    pub fn read<T>(&self, read: impl FnOnce(&ToldValues) -> T) -> Option<T> {
        match &self.0 {
            Some(own) => Some(read(own)),
            None => with_values(read),
        }
    }

    /// Has layers told of an event, which find its values. `false`, and no one was told, if it was logged
    /// within another one.
    #[inline]
    pub fn tell<E>(&self, event: &E, tell: impl FnOnce()) -> bool {
        if self.0.is_some() {
            return false;
        }
        TIME.set(None);
        EVENT.set(std::ptr::from_ref(event).addr());
        tell();
        EVENT.set(FILLED);
        true
    }
}

impl Drop for Filled {
    #[inline]
    fn drop(&mut self) {
        if self.0.is_none() {
            let _ending = VALUES.try_with(|values| {
                if let Ok(mut values) = values.try_borrow_mut() {
                    values.clear();
                }
            });
            EVENT.set(FREE);
        }
    }
}

/// Reads what the event says that is being told of, if it is this one.
#[inline]
pub fn told<E, T>(event: &E, read: impl FnOnce(&ToldValues) -> T) -> Option<T> {
    if EVENT.get() == std::ptr::from_ref(event).addr() { with_values(read) } else { None }
}

/// Reads what the event says that is being told of, whichever it is.
#[inline]
pub fn current<T>(read: impl FnOnce(&ToldValues) -> T) -> Option<T> {
    if EVENT.get() > FILLED { with_values(read) } else { None }
}

/// Says when the event was that is being told of, for layers that come later.
#[inline]
pub fn set_time(at: SystemTime) {
    TIME.set(Some(at));
}

/// Tells when the event was that is being told of, if some layer has said so.
#[must_use]
#[inline]
pub fn time() -> Option<SystemTime> {
    TIME.get()
}

#[inline]
fn with_values<T>(read: impl FnOnce(&ToldValues) -> T) -> Option<T> {
    VALUES.try_with(|values| values.try_borrow().ok().map(|values| read(&values))).ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(text: &str) -> Filled {
        let write = |values: &mut ToldValues| values.text.push_str(text);
        fill(write).0
    }

    fn text<E>(event: &E) -> Option<String> {
        told(event, |values| values.text.clone())
    }

    #[test]
    fn only_the_event_that_is_told_of_is_read() {
        let (event, other) = (1, 2);
        let values = filled("outer");
        assert_eq!((text(&event), text(&FREE), text(&FILLED)), (None, None, None));
        assert!(values.tell(&event, || {
            assert_eq!((text(&event).as_deref(), text(&other)), (Some("outer"), None));
            set_time(SystemTime::UNIX_EPOCH);
        }));
        assert_eq!(text(&event), None);
        drop(values);
        assert!(filled("x").tell(&event, || {
            assert_eq!((text(&event).as_deref(), time()), (Some("x"), None));
        }));
    }

    #[test]
    fn what_is_logged_within_has_values_of_its_own_and_tells_no_one() {
        let event = 1;
        let within = || {
            let inner = filled("inner");
            assert_eq!(inner.read(|values| values.text.clone()).as_deref(), Some("inner"));
            assert!(!inner.tell(&2, || unreachable!("it was logged within another")));
        };
        let (values, ()) = fill(|values| {
            values.text.push_str("outer");
            within();
        });
        within();
        assert!(values.tell(&event, || {
            within();
            told(&event, |_| within());
            assert_eq!(text(&event).as_deref(), Some("outer"));
            assert_eq!(current(|values| values.text.len()), Some(5));
        }));
    }

    #[test]
    fn a_panic_leaves_nothing_behind() {
        let event = 1;
        for fails in [true, false] {
            let panicked = std::panic::catch_unwind(|| {
                let (values, ()) = fill(|_| assert!(!fails, "on purpose"));
                values.tell(&event, || panic!("on purpose"));
            });
            assert!(panicked.is_err());
            assert_eq!(text(&event), None);
            assert!(filled("").tell(&event, || ()));
        }
    }
}
