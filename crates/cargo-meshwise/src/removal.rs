//! `cargo meshwise can-i-remove`: whether a version of an API can go, with the proof.
//!
//! The answer is yes only if all of these hold; one that fails makes it no, one that is not known
//! makes it unknown, and no outweighs unknown:
//!
//! | question | no | unknown |
//! |---|---|---|
//! | is the version's sunset past? | it has none, or it is ahead | no one provides the version |
//! | does anyone still require it? | a service does | the dictionary is out of reach |
//! | did anyone call it over the window? | a caller did | no one could be asked |
//! | did the counters cover all of the window? | | a gap |

mod decide;
mod report;

use std::path::PathBuf;

use clap::Args;
use meshwise_api::{ApiId, Date, Dictionary, Transport};
use meshwise_core::internal::error_chain;

use crate::{
    commands::Context,
    exit::{Exit, Failure, OrExit as _},
    usage::{Usage, UsageError, Window},
};

pub(crate) use decide::{Answer, Decision, Dependant, Planned, Reason, decide};

/// The largest exported usage that is read, in bytes: 32 MiB.
const MAX_BYTES: u64 = 32 << 20;

/// The options of `can-i-remove`.
#[derive(Debug, Args)]
pub(crate) struct RemovalOptions {
    /// The version that is to go, such as auth@1.1
    #[arg(value_name = "API@VERSION")]
    pub api: ApiId,
    /// How far to look back for calls: a number and s, m, h, d or w
    #[arg(long, value_name = "LENGTH", default_value = "30d")]
    pub window: Window,
    /// A server with Prometheus's HTTP API; a bearer token is read from `MESHWISE_PROMETHEUS_TOKEN`
    #[arg(long, value_name = "URL", env = "MESHWISE_PROMETHEUS", conflicts_with = "usage")]
    pub prometheus: Option<String>,
    /// Calls exported to a file: the `usage` of this command's JSON output
    #[arg(long, value_name = "FILE")]
    pub usage: Option<PathBuf>,
    /// The Prometheus job of the service; without it, all that count calls of the version
    #[arg(long, value_name = "NAME")]
    pub job: Option<String>,
    /// Look only at instances with this label, `up` included
    #[arg(long = "match", value_name = "LABEL=VALUE", value_parser = label)]
    pub matches: Vec<(String, String)>,
    /// Holes in the metrics that are shorter than this are no gaps
    #[arg(long, value_name = "LENGTH", default_value = "5m")]
    pub resolution: Window,
    /// How many instances there are at least; fewer in the metrics, at any time, are a gap
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub instances: u32,
    /// How long to wait for each answer of the server
    #[arg(long, value_name = "LENGTH", default_value = "30s")]
    pub timeout: Window,
}

/// Answers whether a version can go.
///
/// # Errors
/// `Usage` if no version is named, or an option cannot be used. That something is not known is no
/// error but the answer, with exit code 3.
pub(crate) fn run(options: &RemovalOptions, context: &mut Context) -> Result<Exit, Failure> {
    let about = &options.api;
    let Some(version) = about.version() else {
        return Err(Failure::message(
            Exit::Usage,
            format!("name the version too: {}@VERSION", about.name()),
        ));
    };
    let today = context.today()?;
    let mut by_request = true;
    let (planned, dependants) = match context.open_api(about.name()) {
        Ok(opened) => {
            let mut providers = opened.dictionary.providers(about.name()).peekable();
            by_request = providers.peek().is_none()
                || providers.any(|(_, provides)| provides.transport != Transport::Messages);
            let found = dependants(&opened.dictionary, about.name(), version, today);
            // What is known to require it does, whatever else cannot be read.
            let dependants = match opened.damage.as_slice() {
                [first, ..] if found.is_empty() => Err(first.clone()),
                _ => Ok(found),
            };
            (planned(&opened.dictionary, about.name(), version), dependants)
        }
        Err(failure) if failure.exit == Exit::Undetermined => {
            (Planned::Unknown, Err(format!("{:#}", failure.error)))
        }
        Err(failure) => return Err(failure),
    };
    let progress = context.out.progress("asking who calls it", 0);
    let usage = usage(options, by_request, context.clock()?.to_unix_seconds())?;
    drop(progress);
    let decision =
        decide(planned, today, dependants, usage.as_ref().map_err(|error| error_chain(error)));
    let exit = match decision.answer {
        Answer::Yes => Exit::Ok,
        Answer::No => Exit::Violation,
        Answer::Unknown => Exit::Undetermined,
    };
    let document = report::document(about, options.window, today, &decision, usage.as_ref().ok());
    context
        .out
        .either(&document, |out| out.text(report::text(about, options.window, &decision)))?;
    Ok(exit)
}

/// Lists who would fail without the version.
fn dependants(dictionary: &Dictionary, api: &str, version: &str, today: Date) -> Vec<Dependant> {
    let uses = dictionary.who_uses(api, Some(version), today);
    uses.iter()
        .map(|usage| Dependant {
            service: usage.caller.service().to_owned(),
            owner: usage.caller.declaration().service.owner.clone(),
            requires: usage.requires.version.clone(),
        })
        .collect()
}

/// Finds the plan for a version, in the newest documents of all that provide it.
fn planned(dictionary: &Dictionary, api: &str, version: &str) -> Planned {
    let releases: Vec<_> =
        dictionary.providers(api).filter_map(|(_, provides)| provides.version(version)).collect();
    match releases.as_slice() {
        [] => Planned::NotProvided,
        // Several providers: the last one decides, and all must have a sunset.
        all => match all.iter().map(|release| release.sunset).collect::<Option<Vec<_>>>() {
            Some(sunsets) => sunsets.into_iter().max().map_or(Planned::NoSunset, Planned::Sunset),
            None => Planned::NoSunset,
        },
    }
}

/// Asks who calls the version.
fn usage(
    options: &RemovalOptions,
    by_request: bool,
    now: i64,
) -> Result<Result<Usage, UsageError>, Failure> {
    if let Some(path) = &options.usage {
        let shown = path.display();
        let size = std::fs::metadata(path).map(|metadata| metadata.len()).unwrap_or_default();
        if size > MAX_BYTES {
            let message = format!("{shown} is larger than {MAX_BYTES} bytes");
            return Err(Failure::message(Exit::Usage, message));
        }
        let bytes = std::fs::read(path)
            .map_err(|error| anyhow::Error::new(error).context(format!("cannot read {shown}")))
            .or_exit(Exit::Usage)?;
        return Ok(Usage::from_json(&bytes, &options.api, Some(options.window), now));
    }
    match &options.prometheus {
        Some(url) => ask(options, url, now, by_request),
        None => Ok(Err(UsageError::NotAsked)),
    }
}

#[cfg(feature = "http")]
fn ask(
    options: &RemovalOptions,
    url: &str,
    now: i64,
    by_request: bool,
) -> Result<Result<Usage, UsageError>, Failure> {
    use crate::usage::{Prometheus, web::Server};

    let timeout = u64::try_from(options.timeout.seconds()).unwrap_or(1);
    let server = Server::new(url, std::time::Duration::from_secs(timeout)).or_exit(Exit::Usage)?;
    let prometheus = Prometheus::new(server, options.resolution)
        .with_job(options.job.clone())
        .with_matches(options.matches.clone())
        .with_instances(options.instances)
        .with_requests(by_request);
    Ok(prometheus.usage(&options.api, options.window, now))
}

#[cfg(not(feature = "http"))]
fn ask(_: &RemovalOptions, _: &str, _: i64, _: bool) -> Result<Result<Usage, UsageError>, Failure> {
    Err(Failure::message(Exit::Usage, "built without the feature `http`; give --usage FILE"))
}

/// Reads `LABEL=VALUE`, the label as Prometheus allows it.
fn label(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write LABEL=VALUE")?;
    let first = |c: char| c.is_ascii_alphabetic() || c == '_';
    let rest = |c: char| first(c) || c.is_ascii_digit();
    if !name.starts_with(first) || !name.chars().all(rest) {
        return Err(format!("{name:?} is no label's name"));
    }
    Ok((name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    #[test]
    fn labels_are_checked_before_they_go_into_a_question() {
        assert_eq!(super::label("app=a=b").expect("valid"), ("app".into(), "a=b".into()));
        for text in ["app", "=x", "1a=x", "a-b=x", "a{=x", "é=x"] {
            assert!(super::label(text).is_err(), "{text}");
        }
    }
}
