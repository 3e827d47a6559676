//! `cargo meshwise can-i-deploy`: whether a publication may go to an environment.
//!
//! Yes only if all of these hold; one that fails makes it no, one that is not known makes it unknown,
//! and no outweighs unknown:
//!
//! | question | no | unknown |
//! |---|---|---|
//! | is all there that it requires? | a provider runs there without such a version; no service provides it | nothing is recorded of the provider there |
//! | do those that run there keep what they require of it? | one would lose it | one of which nothing is recorded would |
//! | did tests with those that run there pass? | one failed | one was started and has no result; with `--tested`, one has none |

mod decide;
mod report;

use crate::{
    commands::{
        Context,
        target::{self, Target},
    },
    environment::Environment,
    exit::{Exit, Failure},
    removal::Answer,
    store::{Need, OpenOptions, StoreError},
    tested::Tested,
};
use clap::Args;

use decide::{Asked, decide};

/// The options of `can-i-deploy`.
#[derive(Debug, Args)]
pub(crate) struct DeployOptions {
    /// The service and what to deploy of it: its own version (`publish --release`), the number of a
    /// document, or a commit; without it the newest document
    #[arg(value_name = "SERVICE[@VERSION]")]
    pub service: Target,
    /// The environment, such as prod
    #[arg(long, value_name = "NAME", env = "MESHWISE_ENVIRONMENT")]
    pub env: String,
    /// Demand that the tests of each consumer passed, and those against each provider
    #[arg(long)]
    pub tested: bool,
}

/// Answers whether a publication may be deployed.
///
/// # Errors
/// `Usage` when there is no such service or version. That something is not known is no error but the
/// answer, with exit code 3.
pub(crate) fn run(options: &DeployOptions, context: &mut Context) -> Result<Exit, Failure> {
    let today = context.today()?;
    target::environment(&options.env)?;
    let opened = context.open_heads(&OpenOptions::default(), &Need::All)?;
    let document = target::publication(&opened.store, &options.service)?;
    let read = |error: StoreError| error.into_failure();
    let environment = Environment::read(&opened.store, &options.env).map_err(read)?;
    let tested = Tested::read(&opened.store, Some(document.service())).map_err(read)?;
    let decision = decide(&Asked {
        document: &document,
        environment: &environment,
        tested: &tested,
        dictionary: &opened.dictionary,
        unread: &opened.unread,
        must_be_tested: options.tested,
        today,
    });
    let exit = match decision.answer {
        Answer::Yes => Exit::Ok,
        Answer::No => Exit::Violation,
        Answer::Unknown => Exit::Undetermined,
    };
    let value = report::document(&document, &options.env, today, &decision);
    context.out.either(&value, |out| out.text(report::text(&document, &options.env, &decision)))?;
    Ok(exit)
}
