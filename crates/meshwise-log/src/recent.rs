//! The last lines that told of something wrong, kept for who asks.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Mutex, PoisonError},
};

/// How many lines are kept.
const LINES: usize = 200;
/// How much of a line is kept, in bytes.
const MAX_LINE: usize = 4 << 10;

/// Keeps the last lines, as they were written: what is secret is hidden in them.
#[derive(Default)]
pub(crate) struct RecentLines(Mutex<VecDeque<String>>);

impl RecentLines {
    pub(crate) fn push(&self, line: &[u8]) {
        let cut = &line[..line.len().min(MAX_LINE)];
        let text = String::from_utf8_lossy(cut).trim_end_matches('\n').to_owned();
        let oldest = {
            let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let oldest = if lines.len() >= LINES { lines.pop_front() } else { None };
            lines.push_back(text);
            oldest
        };
        drop(oldest);
    }

    pub(crate) fn list(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

impl fmt::Debug for RecentLines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecentLines(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_kept_and_long_ones_are_cut() {
        let recent = RecentLines::default();
        (0..LINES + 50).for_each(|i| recent.push(format!("{i}\n").as_bytes()));
        let lines = recent.list();
        assert_eq!((lines.len(), &*lines[0], &*lines[LINES - 1]), (LINES, "50", "249"));
        recent.push("é".repeat(MAX_LINE).as_bytes());
        recent.push(&[b'x'; 10 * MAX_LINE]);
        assert!(recent.list().iter().all(|line| line.len() <= MAX_LINE + 2));
    }
}
