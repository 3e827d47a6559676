//! Telling the user.

/// Prints a line, as `println!` does, and goes on where no one reads it: a shop whose output was piped into
/// `head` still serves, and still ends well.
macro_rules! say {
    ($($line:tt)*) => {{
        use std::io::Write as _;
        let _closed = writeln!(std::io::stdout(), $($line)*);
    }};
}
