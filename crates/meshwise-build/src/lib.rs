//! Checks a service's `api.toml` while it is built: a call to an API that is gone fails here, not in
//! production.
//!
//! ```no_run
//! // build.rs
//! fn main() -> Result<(), meshwise_build::Error> {
//!     meshwise_build::check()?;
//!     Ok(())
//! }
//! ```
//!
//! with `meshwise-build` among the `[build-dependencies]`, and in the program
//! `meshwise_api::declared!()`, which includes what the check wrote.
//!
//! | it | how |
//! |---|---|
//! | reads | `api.toml` and `api.lock` beside `Cargo.toml`, and a dictionary's folder if told; never the network |
//! | writes | `OUT_DIR/meshwise_api.rs`, nothing else |
//! | prints | a `cargo::warning` for each warning, and what makes a rebuild check again |
//! | returns | an error that shows the lines of `api.toml` and what to write instead; you decide what becomes of it |
//!
//! | variable | meaning |
//! |---|---|
//! | `MESHWISE_TODAY` | the day that is taken for today, `YYYY-MM-DD`; without it the day of `SOURCE_DATE_EPOCH` (seconds), without that the clock's, in UTC |
//! | `MESHWISE_DICTIONARY` | a dictionary's folder, from the package's folder or the nearest above; it is asked in place of `api.lock`. A URL is ignored: `api.lock` is there |
//! | `CI` | if set, and not to `false` or `0`, a missing `api.lock` is an error |
//! | `DOCS_RS` | if set, errors become warnings: documentation is built, whatever the day |
//!
//! Cargo cannot know that a day has passed: what a build found stays found until a file changes. So
//! the day is part of what the check prints and writes, and CI runs `cargo meshwise check` too.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod check;
mod dictionary;
mod error;
mod generate;
mod output;
mod report;
mod today;

pub use check::{Check, check};
pub use error::Error;
pub use report::Report;
pub use today::TodaySource;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
