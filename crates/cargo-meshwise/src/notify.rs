//! `cargo meshwise notify`: tells each dependent's owner what changes for them, and by when.
//!
//! Two states of the dictionary are compared: the one of `--since`, and today's. What is reported
//! is what makes somebody change their code: a version deprecated, its sunset set, moved or lifted,
//! retired by the passing of time, or gone from its provider's declaration.
//!
//! With `--webhook` each notice is posted as JSON. A notice has one key (`Idempotency-Key`), the
//! same whenever the command is run again, so that a receiver can drop what it knows.

mod changes;
mod deliver;
mod notices;
mod report;
#[cfg(feature = "http")]
mod webhook;

use std::str::FromStr;

use clap::Args;
use meshwise_api::{Date, Timestamp};

use crate::commands::Context;
use crate::exit::{Exit, Failure, OrExit as _};

pub use changes::Change;
pub use deliver::{Delivery, Post, Posted, Refusal, deliver};
pub use notices::{Notice, Since, SinceError, notices};
#[cfg(feature = "http")]
pub use webhook::Webhook;

/// The options of `notify`.
#[derive(Debug, Args)]
pub struct Options {
    /// Since when: a day, a moment, or the number of a service's document (see --provider)
    #[arg(long, value_name = "SEQ|DATE", allow_hyphen_values = true)]
    pub since: Given,
    /// Report changes of this service alone; with a number for --since, that of api.toml
    #[arg(long, value_name = "SERVICE")]
    pub provider: Option<String>,
    /// Report to this owner alone
    #[arg(long, value_name = "OWNER")]
    pub owner: Option<String>,
    /// Post each notice here; a bearer token is read from `MESHWISE_WEBHOOK_TOKEN`
    #[arg(long, value_name = "URL", env = "MESHWISE_WEBHOOK")]
    pub webhook: Option<String>,
}

/// What `--since` was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Given {
    /// The number of a document.
    Seq(u64),
    /// A moment; a day is its first one.
    Moment(Timestamp),
}

impl FromStr for Given {
    type Err = SinceError;

    fn from_str(text: &str) -> Result<Self, SinceError> {
        let seq = || text.parse().ok().map(Self::Seq);
        let day = || text.parse::<Date>().ok().map(|day| Self::Moment(day.into()));
        let moment = || text.parse().ok().map(Self::Moment);
        seq().or_else(day).or_else(moment).ok_or_else(|| SinceError::new(text))
    }
}

/// Reports what changed for whom, and delivers it.
///
/// # Errors
/// `Usage` when the service of a number is not named, `Undetermined` when the dictionary is out of
/// reach. A notice that was not delivered makes the exit code 1.
pub fn run(options: &Options, context: &mut Context) -> Result<Exit, Failure> {
    let today = context.today()?;
    let provider = match (&options.provider, options.since) {
        (Some(provider), _) => Some(provider.clone()),
        (None, Given::Seq(_)) => Some(context.declaration()?.service.name),
        (None, Given::Moment(_)) => None,
    };
    let opened = context.open()?;
    if let Some(provider) = &provider
        && opened.dictionary.newest(provider).is_none()
    {
        let message = format!("the dictionary has no service {provider}");
        return Err(Failure::message(opened.or_undetermined(Exit::Usage), message));
    }
    let since = match options.since {
        Given::Seq(seq) => Since::Document { service: provider.clone().unwrap_or_default(), seq },
        Given::Moment(moment) => Since::Moment(moment),
    };
    let mut found = notices(&opened.dictionary, &since, provider.as_deref(), today)
        .or_exit(Exit::Undetermined)?;
    if let Some(owner) = &options.owner {
        found.retain(|notice| notice.owner.as_ref() == Some(owner));
    }
    let deliveries = match &options.webhook {
        Some(url) => Some(send(url, &found, today)?),
        None => None,
    };
    let failed = deliveries.iter().flatten().filter(|delivery| !delivery.is_delivered()).count();
    let exit = if failed > 0 { Exit::Violation } else { Exit::Ok };
    let document = report::document(&since, today, &found, deliveries.as_deref());
    context.answer(&opened, exit, &document, |out| {
        out.text(report::text(&since, &found, deliveries.as_deref()))
    })
}

#[cfg(feature = "http")]
fn send(url: &str, notices: &[Notice], today: Date) -> Result<Vec<Delivery>, Failure> {
    let webhook = Webhook::new(url).or_exit(Exit::Usage)?;
    Ok(deliver(notices, today, &webhook, &mut std::thread::sleep))
}

#[cfg(not(feature = "http"))]
fn send(_: &str, _: &[Notice], _: Date) -> Result<Vec<Delivery>, Failure> {
    Err(Failure::message(Exit::Usage, "built without the feature `http`, so nothing can be posted"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_is_a_number_a_day_or_a_moment() {
        assert_eq!("7".parse(), Ok(Given::Seq(7)));
        let moment: Timestamp = "2026-11-01T00:00:00Z".parse().expect("a moment");
        assert_eq!("2026-11-01".parse(), Ok(Given::Moment(moment)));
        assert_eq!("2026-11-01T00:00:00Z".parse(), Ok(Given::Moment(moment)));
        for text in ["", "-1", "yesterday", "2026-02-30", "2026-11-01 08:00", "1.5"] {
            assert!(text.parse::<Given>().is_err(), "{text}");
        }
    }
}
