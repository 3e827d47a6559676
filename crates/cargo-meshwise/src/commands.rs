//! One module for each command.

pub(crate) mod begin;
pub(crate) mod changelog;
pub(crate) mod check;
pub(crate) mod config;
#[cfg(feature = "console")]
pub(crate) mod console;
pub(crate) mod export;
pub(crate) mod graph;
pub(crate) mod index;
pub(crate) mod init;
pub(crate) mod lock;
pub(crate) mod publish;
pub(crate) mod record;
pub(crate) mod relocate;
pub(crate) mod schema;
pub(crate) mod site;
pub(crate) mod start_tests;
pub(crate) mod target;
pub(crate) mod validate;
pub(crate) mod who_uses;

use crate::{
    output::count,
    store::{Store, git},
};

pub(crate) use crate::context::{Context, Opened};

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
