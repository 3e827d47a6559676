//! `cargo meshwise changelog`.

use clap::Args;
use meshwise_api::ApiId;
use serde::Serialize;

use super::Context;
use crate::{
    changelog::{Changelog, html, markdown, text},
    cli::Format,
    exit::{Exit, Failure},
};

/// The options of `changelog`.
#[derive(Debug, Args)]
pub(crate) struct ChangelogOptions {
    /// The API
    #[arg(value_name = "API")]
    pub api: ApiId,
    /// Only the versions of this provider, where several services provide the API
    #[arg(long, value_name = "SERVICE")]
    pub provider: Option<String>,
}

#[derive(Serialize)]
struct ChangelogAnswer<'a> {
    changelogs: &'a [Changelog],
}

/// Shows an API's history, current versions and plan.
///
/// # Errors
/// `Usage` when no one provides the API, or a version is given; what keeps the dictionary out of
/// reach.
pub(crate) fn run(options: &ChangelogOptions, context: &mut Context) -> Result<Exit, Failure> {
    if options.api.version().is_some() {
        let message = format!("a changelog is of all versions: give {}", options.api.name());
        return Err(Failure::message(Exit::Usage, message));
    }
    let today = context.today()?;
    let opened = context.open_api(options.api.name())?;
    opened.known_api(&options.api)?;
    let api = options.api.name();
    let changelogs: Vec<Changelog> = opened
        .dictionary
        .providers(api)
        .filter(|(document, _)| {
            options.provider.as_deref().is_none_or(|provider| provider == document.service())
        })
        .map(|(document, provides)| {
            Changelog::new(&document.declaration().service, provides, &opened.dictionary, today)
        })
        .collect();
    if changelogs.is_empty() {
        return Err(opened.unknown_api(&options.api));
    }
    let format = context.out.format();
    context.answer(&opened, Exit::Ok, &ChangelogAnswer { changelogs: &changelogs }, |out| {
        for (at, changelog) in changelogs.iter().enumerate() {
            if at > 0 {
                out.line("")?;
            }
            out.text(match format {
                Format::Html => html(changelog),
                Format::Markdown => markdown(changelog),
                _ => text(changelog),
            })?;
        }
        Ok(())
    })
}
