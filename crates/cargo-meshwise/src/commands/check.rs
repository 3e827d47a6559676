//! `cargo meshwise check`.

use std::fmt::Write as _;

use clap::Args;
use meshwise_api::{Check, Digest, Lock, Report, Requirement, State, Verdict};
use serde::Serialize;

use super::{Context, Opened, in_ci};
use crate::{
    contract,
    exit::{Exit, Failure},
    judge, live,
    output::{count, paint, style},
    select::Select,
    store::{Need, OpenOptions},
};

/// The options of `check`.
#[derive(Debug, Args)]
pub(crate) struct CheckOptions {
    /// Which services
    #[command(flatten)]
    pub select: Select,
    /// Ask nothing but this machine: a folder, a cached dictionary, or else api.lock alone
    #[arg(long)]
    pub offline: bool,
    /// Judge as in continuous integration, where a missing api.lock is denied
    ///
    /// Default: when the variable CI is set, and is not "false".
    #[arg(long)]
    pub ci: bool,
    /// Ask a running service what it provides and requires (its /apis), and compare that with what
    /// was published of it, in place of the declaration
    #[arg(long, value_name = "URL")]
    pub live: Option<String>,
    /// Compare descriptions with another tool: "oasdiff breaking {old} {new}"
    ///
    /// Default: `contract-command` of the API, else meshwise's own comparison.
    #[arg(long, value_name = "COMMAND", env = "MESHWISE_CONTRACT_COMMAND")]
    pub contract_command: Option<String>,
}

#[derive(Serialize)]
struct CheckAnswer<'a> {
    service: &'a str,
    /// Where the dictionary is that was asked; none if only the lock file was.
    dictionary: Option<&'a str>,
    head: Option<Digest>,
    #[serde(flatten)]
    report: &'a Report,
    denied: usize,
    warned: usize,
}

/// Judges the declaration, today, by the dictionary or by the lock file.
///
/// # Errors
/// `Usage` for a declaration that is not valid; `Undetermined` when the dictionary is out of reach.
pub(crate) fn run(options: &CheckOptions, context: &mut Context) -> Result<Exit, Failure> {
    if let Some(url) = &options.live {
        return live::run(url, context);
    }
    let today = context.today()?;
    let declaration = context.declaration()?;
    let lock = context.lock()?;
    let mut opened = open(options, context, lock.as_ref(), &Need::of(&declaration))?;
    let judge = |opened: Option<&Opened>| {
        Check::new(&declaration, today)
            .with_lock(lock.as_ref())
            .with_dictionary(opened.map(|opened| &opened.dictionary))
            .with_unread(opened.map_or(&[][..], |opened| &opened.unread))
            .in_ci(options.ci || in_ci())
            .run()
    };
    let mut report = judge(opened.as_ref());
    let lacks = |requirement: &Requirement| requirement.verdict == Verdict::Incompatible;
    if opened.is_some() && report.requirements.iter().any(lacks) {
        // What is not there may be in what was not read, or under a name that is like it.
        opened = open(options, context, lock.as_ref(), &Need::All)?;
        report = judge(opened.as_ref());
    }
    if let Some(opened) = opened.as_mut().filter(|_| !report.is_undetermined()) {
        // Damage stops only answers that need what is damaged.
        opened.damage.clear();
    }
    let (described, missing) = contract::gather(&context.folder(), &declaration, today);
    report.diagnostics.extend(missing);
    if let Some(opened) = &opened {
        let contracts = contract::Judge {
            store: &opened.store,
            declaration: &declaration,
            today,
            ci: options.ci || in_ci(),
            command: options.contract_command.as_deref(),
        };
        let published = opened.dictionary.newest(&declaration.service.name);
        let around = &opened.dictionary;
        report.diagnostics.extend(contracts.run(&described, published, around));
    }
    if context.out.is_for_people() {
        context.out.diagnostics(&report.diagnostics);
    }
    let (denied, warned) = (report.denied().count(), report.warned().count());
    let service = &declaration.service.name;
    let answer = CheckAnswer {
        service,
        dictionary: opened.as_ref().map(|opened| opened.name.as_str()),
        head: opened.as_ref().map(|opened| opened.dictionary.head_digest()),
        report: &report,
        denied,
        warned,
    };
    let exit = judge::exit(&report);
    let by = match (&opened, &lock) {
        (Some(opened), _) => format!("dictionary {}", opened.name),
        (None, Some(lock)) => format!("api.lock of {}", lock.dictionary.fetched_at.date()),
        (None, None) => "nothing: there is no dictionary and no api.lock".to_owned(),
    };
    let human = |out: &mut crate::output::Output| {
        out.line(format_args!("{} on {today}, by {by}", paint(style::STRONG, service)))?;
        for requirement in &report.requirements {
            out.line(format_args!("  {}", line(requirement, today)))?;
        }
        let warnings = count(warned, "warning");
        out.line(format_args!("{}: {denied} denied, {warnings}", verdict(exit)))
    };
    match &opened {
        Some(opened) => context.answer(opened, exit, &answer, human),
        None => {
            context.out.either(&answer, human)?;
            Ok(exit)
        }
    }
}

/// Opens the dictionary, if one is named; offline one that is elsewhere and not cached is none.
fn open(
    options: &CheckOptions,
    context: &mut Context,
    lock: Option<&Lock>,
    need: &Need,
) -> Result<Option<Opened>, Failure> {
    if context.global.dictionary.is_none()
        && lock.is_none()
        && context.declared_dictionary().is_none()
    {
        return Ok(None);
    }
    let offline = OpenOptions { offline: options.offline, ..OpenOptions::default() };
    match context.open_heads(&offline, need) {
        Ok(opened) => {
            let mut opened = opened.judged()?;
            opened.hold_to(lock, &mut context.out);
            Ok(Some(opened))
        }
        Err(failure) if options.offline && lock.is_some() => {
            context.out.note(format_args!("{}; api.lock is asked alone", failure.error));
            Ok(None)
        }
        Err(failure) => Err(failure),
    }
}

fn verdict(exit: Exit) -> String {
    match exit {
        Exit::Ok => paint(style::GOOD, "compatible"),
        Exit::Undetermined => paint(style::WARNING, "undetermined"),
        _ => paint(style::ERROR, "violation"),
    }
}

fn line(requirement: &Requirement, today: meshwise_api::Date) -> String {
    let mut out = format!("{} {}: ", requirement.api, requirement.required);
    let Some(resolved) = &requirement.resolved else {
        out += &match requirement.verdict {
            Verdict::Unchecked => paint(style::WARNING, "not checked"),
            _ => paint(style::ERROR, "incompatible"),
        };
        return out;
    };
    let state = resolved.state_on(today);
    let colour = match state {
        State::Current => style::GOOD,
        State::Retired => style::ERROR,
        _ => style::WARNING,
    };
    // Writing to a String cannot fail.
    let _ = write!(out, "{} {} of {}", paint(colour, state), resolved.version, resolved.provider);
    if let Some(sunset) = resolved.sunset {
        let _ = write!(out, ", sunset {sunset}");
    }
    if let Some(successor) = &resolved.successor {
        let _ = write!(out, ", use {successor}");
    }
    out
}
