//! What the engine finds, sorted by what it means for a command.

use meshwise_api::{
    Check, Date, Declaration, Diagnostic, Diagnostics, Dictionary, Document, Finding, Level, Report,
};

use crate::{
    exit::{Exit, Failure},
    output::Output,
};

/// Judges a declaration without its requirements: by itself, and by what its service published.
///
/// A service may publish before those it needs have: two that need each other could not begin
/// otherwise.
#[must_use]
pub(crate) fn declaration(
    declaration: &Declaration,
    today: Date,
    published: Option<&Document>,
    dictionary: Option<&Dictionary>,
    force: Option<&str>,
) -> Vec<Diagnostic> {
    let mut alone = declaration.clone();
    alone.requires.clear();
    let alone = Check::new(&alone, today)
        .with_published(published)
        .with_dictionary(dictionary)
        .with_force(force);
    // Two of the same are found without a dictionary.
    let form = Check::new(declaration, today).run().diagnostics.into_iter();
    let form = form.filter(|diagnostic| diagnostic.finding == Finding::DUPLICATE_ENTRY);
    let mut diagnostics = alone.run().diagnostics;
    diagnostics.extend(form.filter(|found| !diagnostics.contains(found)).collect::<Vec<_>>());
    diagnostics
}

/// Fails with this exit code if something is denied; else writes the warnings.
///
/// # Errors
/// All that is denied.
pub(crate) fn enforce(
    diagnostics: Vec<Diagnostic>,
    exit: Exit,
    out: &mut Output,
) -> Result<(), Failure> {
    let (denied, warned): (Vec<_>, Vec<_>) =
        diagnostics.into_iter().partition(|diagnostic| diagnostic.level == Level::Deny);
    out.diagnostics(&warned);
    if denied.is_empty() { Ok(()) } else { Err(Failure::new(exit, Diagnostics::new(denied))) }
}

/// Gives the exit code of a check.
///
/// What is denied only because nothing or nothing fresh was there to check against is
/// [`Exit::Undetermined`], and so is a requirement that was not checked, whatever its level is.
#[must_use]
pub(crate) fn exit(report: &Report) -> Exit {
    let nothing_known = [Finding::MISSING_LOCK, Finding::STALE_LOCK, Finding::INVALID_LOCK];
    let unknown = |diagnostic: &&Diagnostic| nothing_known.contains(&diagnostic.finding);
    if report.denied().any(|diagnostic| !unknown(&diagnostic)) {
        Exit::Violation
    } else if report.is_undetermined() || report.is_denied() {
        Exit::Undetermined
    } else {
        Exit::Ok
    }
}
