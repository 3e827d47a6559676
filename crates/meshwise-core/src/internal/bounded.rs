//! Formatting of values that are not ours: it ends at a limit, and whatever they do it does no harm.

use std::{
    fmt::{self, Write},
    panic::{AssertUnwindSafe, catch_unwind},
};

/// Stands where a value's `Display` or `Debug` returned an error, or panicked.
pub const FAILED: &str = "[formatting failed]";

/// Appends what is formatted, `max` bytes at most, and tells whether that is all of it.
///
/// At the limit the formatting itself is ended, so that the `Debug` of a value of any size formats
/// no more of it, and takes no more memory, than there is room for. One that returns an error or
/// panics has said what it could, and [`FAILED`] says so: `to_string` would panic.
pub fn append(out: &mut String, max: usize, value: fmt::Arguments<'_>) -> bool {
    let mut bounded = Bounded { out, left: max, whole: true };
    let formatted = catch_unwind(AssertUnwindSafe(|| bounded.write_fmt(value)));
    if bounded.whole && !matches!(formatted, Ok(Ok(()))) {
        bounded.out.push_str(FAILED);
    }
    bounded.whole
}

/// Cuts a text to at most `max` bytes, on a character boundary.
#[must_use]
pub fn cut(text: &str, max: usize) -> &str {
    if text.len() <= max { text } else { &text[..text.floor_char_boundary(max)] }
}

struct Bounded<'a> {
    out: &'a mut String,
    left: usize,
    whole: bool,
}

impl Write for Bounded<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if text.len() <= self.left {
            self.left -= text.len();
            self.out.push_str(text);
            return Ok(());
        }
        self.out.push_str(cut(text, self.left));
        self.left = 0;
        self.whole = false;
        Err(fmt::Error)
    }
}

#[cfg(test)]
mod tests {
    use super::append;
    use std::{cell::Cell, fmt};

    #[test]
    fn a_value_is_formatted_no_further_than_to_the_limit() {
        struct Counted<'c>(&'c Cell<usize>);
        impl fmt::Debug for Counted<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.set(self.0.get() + 1);
                f.write_str("one")
            }
        }
        let count = Cell::new(0);
        let list: Vec<_> = (0..100_000).map(|_| Counted(&count)).collect();
        let mut out = String::new();
        assert!(!append(&mut out, 100, format_args!("{list:?}")));
        assert_eq!(out.len(), 100);
        assert!(count.get() <= 25, "{}", count.get());
    }

    #[test]
    fn a_character_is_never_cut_in_two() {
        let mut out = String::new();
        assert!(!append(&mut out, 3, format_args!("üü")));
        assert_eq!(out, "ü");
        out.clear();
        assert!(append(&mut out, 4, format_args!("üü")));
        assert_eq!(out, "üü");
    }

    #[test]
    fn what_fails_or_panics_says_so_after_what_it_has_written() {
        struct Fails(bool);
        impl fmt::Display for Fails {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("begun ")?;
                assert!(self.0, "on purpose");
                Err(fmt::Error)
            }
        }
        for returns in [true, false] {
            let mut out = String::from("it has ");
            assert!(append(&mut out, 100, format_args!("{}, {}", Fails(returns), 7)));
            assert_eq!(out, "it has begun [formatting failed]");
        }
    }
}
