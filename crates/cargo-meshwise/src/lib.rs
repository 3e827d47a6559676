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
//! This library is what the binary calls, and no more: the interface of the command is its command
//! line: options, JSON output and exit codes.
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
//! Features: `console` (default) for `cargo meshwise console`; `tls` (default) for dictionaries behind `https:`, `http` without it; `aws`, `gcp`,
//! `azure` for buckets.

#![allow(
    clippy::exhaustive_enums,
    clippy::exhaustive_structs,
    reason = "its library is there for its own binary and tests"
)]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(
    not(feature = "http"),
    allow(
        dead_code,
        unused_imports,
        clippy::unused_self,
        reason = "what goes over the web is left out"
    )
)]

mod changelog;
mod cli;
mod commands;
mod context;
mod contract;
mod dashboards;
mod deploy;
mod dictionary;
mod dispatch;
mod doctor;
mod edit;
mod environment;
mod exit;
mod export;
mod files;
mod hooks;
mod impact;
mod journal;
mod judge;
mod live;
mod map;
mod notify;
mod output;
#[cfg(test)]
mod promql;
mod publish;
mod reindex;
mod removal;
mod rules;
mod select;
mod site;
mod store;
mod tested;
mod usage;

// For this package's binary and its tests; the command is what is promised.
#[doc(hidden)]
pub use cli::command;
#[doc(hidden)]
pub use dispatch::run;
#[doc(hidden)]
pub use exit::Exit;
