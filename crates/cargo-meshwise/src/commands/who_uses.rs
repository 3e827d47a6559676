//! `cargo meshwise who-uses`.

use clap::Args;
use meshwise_api::{ApiId, Date};
use serde::Serialize;

use super::Context;
use crate::{
    exit::{Exit, Failure},
    map::{self, Edge},
    output::{paint, style},
};

/// The options of `who-uses`.
#[derive(Debug, Args)]
pub(crate) struct WhoUsesOptions {
    /// The API, as API or API@VERSION
    ///
    /// With a version: who would fail today if just this one vanished.
    #[arg(value_name = "API[@VERSION]")]
    pub api: ApiId,
}

#[derive(Serialize)]
struct WhoUsesAnswer<'a> {
    api: &'a str,
    version: Option<&'a str>,
    today: Date,
    users: &'a [Edge],
}

/// Lists the services that need an API.
///
/// # Errors
/// `Usage` when no one provides such an API and no one requires it; what keeps the dictionary out
/// of reach.
pub(crate) fn run(options: &WhoUsesOptions, context: &mut Context) -> Result<Exit, Failure> {
    let today = context.today()?;
    let opened = context.open_api(options.api.name())?;
    let (api, version) = (options.api.name(), options.api.version());
    let is_whole = opened.unread.is_empty();
    let users: Vec<Edge> = opened
        .dictionary
        .who_uses(api, version, today)
        .iter()
        .map(|usage| Edge::new(usage.caller, usage.requires, &usage.found, is_whole))
        .collect();
    if users.is_empty() {
        // "No one" about a misspelt name would be a dangerous answer.
        opened.known_api(&options.api)?;
    }
    let answer = WhoUsesAnswer { api, version, today, users: &users };
    context.answer(&opened, Exit::Ok, &answer, |out| {
        let callers = callers(&users);
        let all = opened.services;
        out.line(format_args!(
            "{} is used by {callers} of {all} services",
            paint(style::STRONG, &options.api)
        ))?;
        for edge in &users {
            let owner = edge.owner.as_deref().map_or(String::new(), |owner| format!(" ({owner})"));
            let reason =
                edge.reason.as_deref().map_or(String::new(), |reason| format!(": {reason}"));
            out.line(format_args!("  {}{owner}{reason}", edge.caller))?;
            out.line(format_args!(
                "    asks for {}, gets {}",
                edge.required,
                map::resolution(edge)
            ))?;
        }
        Ok(())
    })
}

fn callers(users: &[Edge]) -> usize {
    let mut names: Vec<&str> = users.iter().map(|edge| edge.caller.as_str()).collect();
    names.dedup();
    names.len()
}
