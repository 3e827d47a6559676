//! The subcommand `cargo meshwise`: declare, check, lock, publish and query API versions; find what
//! fails in silence.
//!
//! ```text
//! $ cargo meshwise init        # writes a commented api.toml
//! $ cargo meshwise check       # judges it against the dictionary, today
//! $ cargo meshwise lock        # writes api.lock, which the build reads
//! $ cargo meshwise publish     # tells everyone else
//! ```
//!
//! This library is the command's inside, split off so that tests and benches reach it. Its
//! interface for others is the command line: options, JSON output and exit codes.
//!
//! | exit code | [`Exit`] | meaning |
//! |---|---|---|
//! | 0 | `Ok` | done, nothing wrong |
//! | 1 | `Violation` | a finding at level `deny`, or a clear no |
//! | 2 | `Usage` | the command line or `api.toml` is not valid |
//! | 3 | `Undetermined` | no answer: missing, stale, damaged, offline |
//! | 4 | `Conflict` | this service was published differently at the same time |
//! | 70 | `Internal` | the command itself failed |
//!
//! Results go to stdout, progress and diagnostics to stderr. With `--format json`, stdout carries
//! exactly one JSON document, also when the command fails.
//!
//! Features: `tls` (default) for dictionaries behind `https:`, `http` without it; `aws`, `gcp`,
//! `azure` for buckets.

#![allow(
    clippy::exhaustive_enums,
    clippy::exhaustive_structs,
    reason = "its library is there for its own binary and tests"
)]
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod changelog;
pub mod cli;
pub mod commands;
mod context;
pub mod contract;
pub mod dashboards;
pub mod dictionary;
mod dispatch;
pub mod doctor;
pub mod exit;
pub mod export;
mod files;
pub mod impact;
pub mod judge;
pub mod map;
pub mod notify;
pub mod output;
#[cfg(test)]
mod promql;
pub mod publish;
pub mod reindex;
pub mod removal;
pub mod rules;
pub mod site;
pub mod store;
pub mod usage;

pub use dispatch::run;
pub use exit::{Exit, Failure, OrExit};
pub use output::Output;
