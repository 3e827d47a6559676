//! `cargo meshwise export`.

use clap::{Args, Subcommand};
use meshwise_api::Document;
use serde_json::json;
use url::Url;

use super::Context;
use crate::exit::{Exit, Failure};
use crate::export::{backstage, linkset, yaml};

/// The options of `export`.
#[derive(Debug, Args)]
pub struct Options {
    /// For whom
    #[command(subcommand)]
    pub target: Target,
}

/// Names a form that other tools read.
#[derive(Debug, Subcommand)]
#[non_exhaustive]
pub enum Target {
    /// An API catalog of RFC 9727 (application/linkset+json)
    Linkset {
        /// The URL under which a version's page is found as BASE/API/VERSION
        #[arg(long, value_name = "URL")]
        base: Url,
    },
    /// Entities for Backstage's catalog (catalog-info.yaml)
    Backstage,
}

/// Writes the dictionary for other tools.
///
/// # Errors
/// `Usage` for a base that is no http or https URL; what keeps the dictionary out of reach.
pub fn run(options: &Options, context: &mut Context) -> Result<Exit, Failure> {
    let today = context.today()?;
    if let Target::Linkset { base } = &options.target
        && !matches!(base.scheme(), "http" | "https")
    {
        let message = format!("{base} is no http or https URL");
        return Err(Failure::message(Exit::Usage, message));
    }
    let opened = context.open()?;
    let declarations: Vec<_> = opened.dictionary.services().map(Document::declaration).collect();
    match &options.target {
        Target::Linkset { base } => {
            let linkset = linkset(&declarations, base, today);
            // The linkset is JSON for people too.
            context.answer(&opened, Exit::Ok, &linkset, |out| out.json(&linkset))
        }
        Target::Backstage => {
            let entities = backstage(&declarations, today);
            let value = json!({ "entities": entities });
            context.answer(&opened, Exit::Ok, &value, |out| out.text(yaml(&entities)))
        }
    }
}
