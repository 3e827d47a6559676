//! `cargo meshwise lock`.

use clap::Args;
use meshwise_api::{Answer, Lock, LockSource, Locked};
use serde_json::json;

use super::{Context, note_uncommitted};
use crate::{
    exit::{Exit, Failure},
    files,
    output::count,
    select::Select,
    store::{Need, OpenOptions},
};

/// The options of `lock`.
#[derive(Debug, Args)]
pub(crate) struct LockOptions {
    /// Which services
    #[command(flatten)]
    pub select: Select,
    /// Write nothing, and fail if api.lock would change
    #[arg(long)]
    pub locked: bool,
    /// Ask nothing but this machine: a folder or a cached dictionary
    #[arg(long)]
    pub offline: bool,
    /// Write api.lock anew even if it says the same, so that it counts as fresh
    #[arg(long, conflicts_with = "locked")]
    pub update: bool,
}

/// Resolves the requirements and writes the lock file.
///
/// A lock file that says the same and is fresh by the policy (`max-lock-age-days`) is left alone,
/// so that its date makes no noise in reviews.
///
/// # Errors
/// `Undetermined` when the dictionary is out of reach or damaged, or with `--locked` when the lock
/// file is missing, stale or says something else.
pub(crate) fn run(options: &LockOptions, context: &mut Context) -> Result<Exit, Failure> {
    let now = context.now()?;
    let declaration = context.declaration()?;
    let (previous, missing) = match context.lock() {
        Ok(lock) => (lock, "there was none"),
        // Half a merge, say. It is written anew, which is how it is mended.
        Err(_)
            if !options.locked
                && (context.global.dictionary.is_some()
                    || context.declared_dictionary().is_some()) =>
        {
            (None, "it was damaged")
        }
        // "Write it anew" is what this command was asked for.
        Err(_) if !options.locked => {
            let message = format!(
                "{} is damaged, and nothing else says where the dictionary is: give --dictionary, or write \
                 `dictionary` under [service] of api.toml",
                context.lock_path().display()
            );
            return Err(Failure::message(Exit::Undetermined, message));
        }
        Err(failure) => return Err(failure),
    };
    let open = OpenOptions { offline: options.offline, ..OpenOptions::default() };
    let mut opened = context.open_heads(&open, &Need::of(&declaration))?.judged()?;
    // Who says --update wants what the dictionary says now.
    opened.hold_to(previous.as_ref().filter(|_| !options.update), &mut context.out);
    let as_of = opened.store.as_of().unwrap_or(now);
    let lock = Lock::resolve(
        &declaration,
        &opened.dictionary,
        previous.as_ref(),
        opened.name.clone(),
        as_of,
    );
    let unresolved = |entry: &Locked| !matches!(entry.answer, Answer::Resolved(_));
    if !opened.unread.is_empty() && lock.entries.iter().any(unresolved) {
        let message = "api.lock was not written: it would not say what the dictionary said";
        return Err(Failure::message(Exit::Undetermined, message));
    }
    let limit = declaration.policy.max_lock_age_under(opened.dictionary.policy());
    let limit = i64::from(limit);
    let reason = match &previous {
        None => Some(missing),
        Some(previous) if !previous.agrees_with(&lock) => Some("its answers have changed"),
        // CI may well ask a mirror: --locked is about the answers.
        Some(previous)
            if !options.locked && !is_same(context, &previous.dictionary, &lock.dictionary) =>
        {
            Some("it was made from another dictionary")
        }
        Some(previous)
            if i64::from(now.date().days_since(previous.dictionary.fetched_at.date())) > limit =>
        {
            Some("it was stale")
        }
        Some(_) if options.update => Some("--update"),
        Some(_) => None,
    };
    let path = context.lock_path();
    let shown = path.display().to_string();
    if let Some(reason) = reason {
        if options.locked {
            let message = format!(
                "{shown} would change ({reason}), which --locked forbids; run `cargo meshwise lock`"
            );
            return Err(Failure::message(Exit::Undetermined, message));
        }
        files::replace(&path, lock.to_string().as_bytes())?;
    }
    for entry in &lock.entries {
        if !matches!(entry.answer, Answer::Resolved(_)) {
            context.out.warning(format_args!(
                "{} {} is not provided; `cargo meshwise check` says more",
                entry.api, entry.required
            ));
        }
    }
    note_uncommitted(context, &opened.store);
    let value = json!({
        "lock": shown,
        "written": reason.is_some(),
        "reason": reason,
        "dictionary": lock.dictionary.source,
        "head": lock.dictionary.head,
        "fetched_at": lock.dictionary.fetched_at,
        "requirements": lock.entries.len(),
    });
    context.out.either(&value, |out| match reason {
        Some(reason) => out.line(format_args!(
            "wrote {shown} with {} ({reason})",
            count(lock.entries.len(), "requirement")
        )),
        None => out.line(format_args!("{shown} is up to date")),
    })?;
    Ok(Exit::Ok)
}

/// Tells whether two lock files were made from one dictionary, however it is spelt: it is the same
/// place, or says the same.
fn is_same(context: &Context, before: &LockSource, now: &LockSource) -> bool {
    let place = |source: &str| context.folder().join(source).canonicalize().ok();
    before.source == now.source
        || before.head == now.head
        || place(&before.source).is_some_and(|before| Some(before) == place(&now.source))
}
