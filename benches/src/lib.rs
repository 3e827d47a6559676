//! Running contestants in turn within one process, so that what the machine does besides hits all
//! of them alike, and comparing what they take.
//!
//! Absolute times mean little on shared machines; ratios and counts are the result.
//!
//! A [`Bench`] holds what the command line asked for and the table that is printed at the end. Each
//! row comes from a [`Contest`]: a few [`Contestant`]s that do the same thing, measured beside each
//! other.

#![allow(
    clippy::exhaustive_enums,
    clippy::exhaustive_structs,
    reason = "nothing outside of this workspace uses it"
)]

mod bench;
pub mod budgets;
mod callgrind;
mod contest;
mod contestant;
mod effort;
mod report;
mod threads;

pub use bench::Bench;
pub use callgrind::Callgrind;
pub use contest::{Contest, nanoseconds};
pub use contestant::Contestant;
pub use effort::Effort;
pub use report::{Report, Row};
pub use threads::Shared;
