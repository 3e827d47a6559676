//! Dictionaries in a git checkout.

use std::{
    path::Path,
    process::{Command, Stdio},
};

/// Lists the documents in a folder that git knows to be uncommitted.
///
/// `None` when the folder is in no git checkout, or git is not there to be asked: a folder works
/// without git.
#[must_use]
pub(crate) fn uncommitted(folder: &Path) -> Option<Vec<String>> {
    let text =
        git(folder, &["status", "--porcelain", "-z", "--untracked-files=all", "--", "services"])?;
    let mut files: Vec<String> = text
        .split('\0')
        .filter_map(|entry| entry.get(3..))
        .filter(|path| path.ends_with(".json"))
        .map(str::to_owned)
        .collect();
    files.sort();
    Some(files)
}

/// Returns the commit that is checked out in a folder, with `-dirty` behind it when tracked files
/// have changed since.
#[must_use]
pub(crate) fn commit(folder: &Path) -> Option<String> {
    let text = git(folder, &["rev-parse", "--verify", "HEAD"])?;
    let commit = text.trim();
    let hex = (40..=64).contains(&commit.len()) && commit.bytes().all(|b| b.is_ascii_hexdigit());
    if !hex {
        return None;
    }
    let changed = git(folder, &["status", "--porcelain", "--untracked-files=no"])?;
    Some(if changed.trim().is_empty() { commit.to_owned() } else { format!("{commit}-dirty") })
}

fn git(folder: &Path, args: &[&str]) -> Option<String> {
    let output = Command::new("git")
        // The question must change nothing, not even git's index.
        .arg("--no-optional-locks")
        .args(args)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}
