//! `cargo meshwise site`.

use std::path::PathBuf;

use clap::Args;
use meshwise_api::Date;

use super::Context;
use crate::exit::{Exit, Failure, OrExit as _};
use crate::site::Site;

/// The options of `site`.
#[derive(Debug, Args)]
pub struct Options {
    /// The folder for the pages, empty or written by this command before
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
}

/// Writes static pages of all APIs.
///
/// # Errors
/// `Usage` when the folder cannot be written or holds other things; what keeps the dictionary out of
/// reach.
pub fn run(options: &Options, context: &mut Context) -> Result<Exit, Failure> {
    let today: Date = context.today()?;
    let opened = context.open()?;
    let site = Site { dictionary: &opened.dictionary, store: &opened.store, today };
    let written = site.write(&options.folder).or_exit(Exit::Usage)?;
    context.answer(&opened, Exit::Ok, &written, |out| {
        let file = options.folder.join("index.html");
        out.line(format_args!("wrote {} pages; open {}", written["pages"], file.display()))
    })
}
