//! `cargo meshwise graph`.

use clap::Args;
use meshwise_api::Date;
use serde::Serialize;

use super::Context;
use crate::{
    cli::Format,
    exit::{Exit, Failure},
    map::{self, Map},
    store::{Need, OpenOptions},
};

/// The options of `graph`.
#[derive(Debug, Args)]
pub(crate) struct GraphOptions {
    /// Show only this service, what it requires and who requires its APIs
    #[arg(long, value_name = "NAME")]
    pub service: Option<String>,
}

#[derive(Serialize)]
struct GraphAnswer<'a> {
    today: Date,
    #[serde(flatten)]
    map: &'a Map,
}

/// Draws who needs what from whom.
///
/// # Errors
/// `Usage` when the one service asked for is not in the dictionary; what keeps the dictionary out
/// of reach.
pub(crate) fn run(options: &GraphOptions, context: &mut Context) -> Result<Exit, Failure> {
    let today = context.today()?;
    let opened = context.open_heads(&OpenOptions::default(), &Need::All)?;
    let mut map = Map::of(&opened.dictionary, opened.unread.is_empty(), today);
    if let Some(service) = &options.service {
        map = map.around(service).ok_or_else(|| {
            let message = format!("{} has no service {service}", opened.store.location());
            Failure::message(opened.or_undetermined(Exit::Usage), message)
        })?;
    }
    let format = context.out.format();
    context.answer(&opened, Exit::Ok, &GraphAnswer { today, map: &map }, |out| {
        out.text(match format {
            Format::Dot => map::dot(&map),
            Format::Mermaid => map::mermaid(&map),
            _ => map::text(&map),
        })
    })
}
