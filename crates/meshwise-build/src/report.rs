//! What a check found, and what it did.

use std::path::PathBuf;

use meshwise_api::{Date, Declaration};

use crate::today::TodaySource;

/// Holds what a check found that does not fail the build.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Report {
    /// The declaration; none only on docs.rs, if it cannot be read.
    #[doc(hidden)]
    pub declaration: Option<Declaration>,
    /// What became of each requirement, and every warning.
    #[doc(hidden)]
    pub checked: meshwise_api::Report,
    /// Who told which day it is.
    #[doc(hidden)]
    pub source_of_today: TodaySource,
    /// The file that was written.
    #[doc(hidden)]
    pub generated: PathBuf,
}

impl Report {
    /// Returns the day that was taken for today.
    #[doc(hidden)]
    #[must_use]
    pub fn today(&self) -> Date {
        self.checked.today
    }
}
