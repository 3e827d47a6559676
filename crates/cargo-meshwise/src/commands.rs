//! One module for each command.

pub mod begin;
pub mod changelog;
pub mod check;
pub mod config;
pub mod export;
pub mod graph;
pub mod index;
pub mod init;
pub mod lock;
pub mod publish;
pub mod schema;
pub mod site;
pub mod validate;
pub mod who_uses;

use crate::output::count;
use crate::store::{Store, git};

pub use crate::context::{Context, Opened, Source};

/// Tells whether this runs in continuous integration, as most systems say.
fn in_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| !value.is_empty() && value != "false")
}

/// Reminds of documents in a git checkout that others will not see before they are committed.
fn note_uncommitted(context: &mut Context, store: &Store) {
    let Some(folder) = store.location().folder() else {
        return;
    };
    match git::uncommitted(folder) {
        Some(files) if !files.is_empty() => context.out.note(format_args!(
            "note: {} in {} not committed; others see what is pushed",
            count(files.len(), "document"),
            folder.display()
        )),
        _ => {}
    }
}
