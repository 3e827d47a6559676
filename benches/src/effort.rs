//! How much is run.

use std::time::Duration;

/// Says how much is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// Each contestant once or twice, to see that it works (`--test`).
    Quick,
    /// As much as figures need.
    Full,
}

impl Effort {
    /// Picks one of two numbers.
    #[must_use]
    pub const fn pick(self, quick: usize, full: usize) -> usize {
        match self {
            Self::Quick => quick,
            Self::Full => full,
        }
    }

    /// Returns how many rounds a contest has.
    #[must_use]
    pub const fn rounds(self) -> usize {
        self.pick(2, 40)
    }

    /// Returns how long one round of a contestant shall take, about.
    #[must_use]
    pub const fn round(self) -> Duration {
        match self {
            Self::Quick => Duration::from_micros(100),
            Self::Full => Duration::from_millis(3),
        }
    }
}
