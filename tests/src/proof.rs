//! How long the long proofs run.

use std::{env, time::Duration};

/// The part of its full length that a proof runs, as `MESHWISE_PROOF` says: `full`, `tenth`, or, if
/// it is unset, a hundredth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proof {
    /// By what lengths are divided.
    divisor: u32,
}

impl Proof {
    /// Reads the environment.
    ///
    /// # Panics
    /// If the variable has another value.
    #[must_use]
    pub fn asked_for() -> Self {
        Self::parse(env::var("MESHWISE_PROOF").ok().as_deref())
    }

    fn parse(value: Option<&str>) -> Self {
        let divisor = match value {
            None | Some("") => 100,
            Some("tenth") => 10,
            Some("full") => 1,
            Some(other) => panic!("MESHWISE_PROOF is `{other}`; allowed: full, tenth, or unset"),
        };
        Self { divisor }
    }

    /// Returns the part of a time.
    #[must_use]
    pub fn time(self, full: Duration) -> Duration {
        full / self.divisor
    }

    /// Returns the part of a number of times, but no fewer than prove anything.
    #[must_use]
    pub fn times(self, full: u32, least: u32) -> u32 {
        (full / self.divisor).max(least)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_scaled() {
        let minute = Duration::from_secs(60);
        assert_eq!(Proof::parse(None).time(minute), Duration::from_millis(600));
        assert_eq!(Proof::parse(Some("tenth")).time(minute), Duration::from_secs(6));
        assert_eq!(Proof::parse(Some("full")).time(minute), minute);
        assert_eq!(Proof::parse(Some("tenth")).times(100, 4), 10);
        assert_eq!(Proof::parse(None).times(100, 4), 4);
    }

    #[test]
    #[should_panic(expected = "allowed: full, tenth, or unset")]
    fn another_length_is_refused() {
        Proof::parse(Some("half"));
    }
}
