//! `cargo meshwise site`.

use std::path::PathBuf;

use clap::Args;
use meshwise_api::Date;

use super::Context;
use crate::{
    environment::Environment,
    exit::{Exit, Failure},
    site::Site,
    store::{Store, StoreError},
    tested::Tested,
};

type Recorded = (Vec<(String, Environment)>, Tested);

/// Reads what is recorded of all environments and tests.
fn recorded(store: &Store) -> Result<Recorded, StoreError> {
    let environments = Environment::names(store)?.into_iter().map(|name| {
        let environment = Environment::read(store, &name)?;
        Ok((name, environment))
    });
    Ok((environments.collect::<Result<_, StoreError>>()?, Tested::read(store, None)?))
}

/// The options of `site`.
#[derive(Debug, Args)]
pub(crate) struct SiteOptions {
    /// The folder for the pages, empty or written by this command before
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
}

/// Writes static pages of all APIs.
///
/// # Errors
/// `Usage` when the folder cannot be written or holds other things; what keeps the dictionary out of
/// reach.
pub(crate) fn run(options: &SiteOptions, context: &mut Context) -> Result<Exit, Failure> {
    let today: Date = context.today()?;
    let opened = context.open()?;
    let recorded = recorded(&opened.store);
    let (environments, tested) = match recorded {
        Ok(recorded) => recorded,
        // Pages without what runs where are better than none.
        Err(error) if error.is_damage() => {
            context.out.warning(format_args!("what runs where is not shown: {error}"));
            Recorded::default()
        }
        Err(error) => return Err(error.into_failure()),
    };
    let (dictionary, store) = (&opened.dictionary, &opened.store);
    let is_whole = opened.unread.is_empty();
    let site = Site { is_whole, dictionary, store, environments, tested, today };
    let written = site.write(&options.folder).map_err(|error| {
        let folder = options.folder.display();
        Failure::message(Exit::Usage, format!("cannot write pages into {folder}: {error}"))
    })?;
    context.answer(&opened, Exit::Ok, &written, |out| {
        let file = options.folder.join("index.html");
        out.line(format_args!("wrote {} pages; open {}", written["pages"], file.display()))
    })
}
