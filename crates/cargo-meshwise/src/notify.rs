//! `cargo meshwise notify`: tells each dependent's owner what changes for them, and by when.
//!
//! Two states of the dictionary are compared: the one of `--since`, and today's. What is reported
//! is what makes people change their code: a version deprecated, its sunset set, moved or lifted,
//! retired by the passing of time, or gone from its provider's declaration; and that a version is new
//! which will do for what they require, urgent or not.
//!
//! With `--webhook` each notice is posted as JSON. A notice has one key (`Idempotency-Key`), the
//! same whenever the command is run again, so that a receiver can drop what it knows.

mod changes;
mod cursor;
mod deliver;
mod notices;
mod report;
#[cfg(feature = "http")]
mod webhook;

#[cfg(feature = "http")]
use std::collections::BTreeMap;
#[cfg(feature = "http")]
use std::time::Duration;
use std::{path::PathBuf, str::FromStr};

use clap::Args;
use meshwise_api::{Date, Dictionary, Timestamp};

use crate::{
    commands::Context,
    exit::{Exit, Failure, OrExit as _},
    files,
    usage::Window,
};

pub(crate) use cursor::Cursor;
pub(crate) use deliver::{Delivery, deliver};
#[cfg(feature = "http")]
pub(crate) use deliver::{Post, Posted, Refusal, attempt};
pub(crate) use notices::{Notice, Since, SinceError, notices};
#[cfg(feature = "http")]
pub(crate) use webhook::Webhook;

/// The options of `notify`.
#[derive(Debug, Args)]
pub(crate) struct NotifyOptions {
    /// Since when: a day, a moment, or the number of a service's document (see --provider)
    #[arg(
        long,
        value_name = "SEQ|DATE",
        allow_hyphen_values = true,
        required_unless_present = "since_state"
    )]
    pub since: Option<Given>,
    /// Since the run before, as this file keeps it; it is written once all is delivered
    #[arg(long, value_name = "FILE", conflicts_with = "since")]
    pub since_state: Option<PathBuf>,
    /// Report changes of this service alone; with a number for --since, that of api.toml
    #[arg(long, value_name = "SERVICE")]
    pub provider: Option<String>,
    /// Report to this owner alone
    #[arg(long, value_name = "OWNER")]
    pub owner: Option<String>,
    /// Post each notice here; a bearer token is read from `MESHWISE_WEBHOOK_TOKEN`, and with
    /// `MESHWISE_WEBHOOK_SECRET` each is signed
    #[arg(long, value_name = "URL", env = "MESHWISE_WEBHOOK")]
    pub webhook: Option<String>,
    /// How long one attempt to post may take
    #[arg(long, value_name = "LENGTH", default_value = "10s")]
    pub timeout: Window,
    /// Post to the address under `contacts` of each owner that has one (https: or http:); the others'
    /// go to --webhook
    #[arg(long)]
    pub to_owners: bool,
}

/// What `--since` was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Given {
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
pub(crate) fn run(options: &NotifyOptions, context: &mut Context) -> Result<Exit, Failure> {
    let today = context.today()?;
    let provider = match (&options.provider, options.since) {
        (Some(provider), _) => Some(provider.clone()),
        (None, Some(Given::Seq(_))) => Some(context.declaration()?.service.name),
        (None, Some(Given::Moment(_)) | None) => None,
    };
    let opened = context.open()?;
    if let Some(provider) = &provider
        && opened.dictionary.newest(provider).is_none()
    {
        let message = format!("the dictionary has no service {provider}");
        return Err(Failure::message(opened.or_undetermined(Exit::Usage), message));
    }
    let since = match options.since {
        Some(Given::Seq(seq)) => {
            Since::Document { service: provider.clone().unwrap_or_default(), seq }
        }
        Some(Given::Moment(moment)) => Since::Moment(moment),
        None => Since::Cursor(cursor(options, &opened.dictionary, today, context)?),
    };
    let mut found = notices(&opened.dictionary, &since, provider.as_deref(), today)
        .or_exit(Exit::Undetermined)?;
    if let Some(owner) = &options.owner {
        found.retain(|notice| notice.owner.as_ref() == Some(owner));
    }
    let deliveries = match (&options.webhook, options.to_owners) {
        (None, false) => None,
        (url, to_owners) => Some(send(url.as_deref(), to_owners, &found, today, options.timeout)?),
    };
    let failed = deliveries.iter().flatten().filter(|delivery| !delivery.is_delivered()).count();
    // Whether they know is not known.
    let exit = if failed > 0 { Exit::Undetermined } else { Exit::Ok };
    if let (Exit::Ok, Some(file)) = (exit, &options.since_state) {
        // What could not be read may hold news: the next run looks again.
        if opened.damage.is_empty() {
            let text = serde_json::to_string_pretty(&Cursor::of(&opened.dictionary, today))?;
            files::replace(file, text.as_bytes()).or_exit(Exit::Usage)?;
        }
    }
    let document = report::document(&since, today, &found, deliveries.as_deref());
    context.answer(&opened, exit, &document, |out| {
        out.text(report::text(&since, &found, deliveries.as_deref()))
    })
}

/// Reads what the run before has seen; the first run has seen what is there now.
fn cursor(
    options: &NotifyOptions,
    dictionary: &Dictionary,
    today: Date,
    context: &mut Context,
) -> Result<Cursor, Failure> {
    let Some(file) = &options.since_state else { return Ok(Cursor::of(dictionary, today)) };
    let bytes = match std::fs::read(file) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            context.out.note(format_args!(
                "{} is not there yet: what the dictionary says now counts as told, and the next run tells \
                 what is new",
                file.display()
            ));
            return Ok(Cursor::of(dictionary, today));
        }
        Err(error) => {
            let message = format!("cannot read {}: {error}", file.display());
            return Err(Failure::message(Exit::Usage, message));
        }
    };
    serde_json::from_slice(&bytes)
        .map_err(|error| {
            anyhow::Error::new(error).context(format!("{} is damaged", file.display()))
        })
        .or_exit(Exit::Undetermined)
}

#[cfg(feature = "http")]
fn send(
    url: Option<&str>,
    to_owners: bool,
    notices: &[Notice],
    today: Date,
    timeout: Window,
) -> Result<Vec<Delivery>, Failure> {
    let timeout = Duration::from_secs(timeout.seconds().unsigned_abs());
    let receiver = |url: &str| Webhook::with_timeout(url, timeout);
    let common = url.map(receiver).transpose().or_exit(Exit::Usage)?;
    let mut deliveries = Vec::new();
    // One receiver after the other, so that one which is gone holds up only its own.
    let mut by_address: BTreeMap<Option<&str>, Vec<Notice>> = BTreeMap::new();
    for notice in notices {
        let own =
            notice.contacts.iter().find(|it| it.starts_with("https:") || it.starts_with("http:"));
        let own = own.filter(|_| to_owners).map(String::as_str);
        by_address.entry(own).or_default().push(notice.clone());
    }
    for (address, notices) in by_address {
        let own = address.map(receiver).transpose();
        let receiver = match &own {
            Ok(own) => own.as_ref().or(common.as_ref()),
            Err(_) => common.as_ref(),
        };
        match receiver {
            Some(receiver) => {
                deliveries.extend(deliver(&notices, today, receiver, &mut std::thread::sleep));
            }
            None => deliveries.extend(notices.iter().map(Delivery::nowhere)),
        }
    }
    Ok(deliveries)
}

#[cfg(not(feature = "http"))]
fn send(
    _: Option<&str>,
    _: bool,
    _: &[Notice],
    _: Date,
    _: Window,
) -> Result<Vec<Delivery>, Failure> {
    Err(Failure::message(Exit::Usage, "built without the feature `http`, so nothing can be posted"))
}

#[cfg(all(test, feature = "http"))]
mod tests;
