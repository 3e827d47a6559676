//! From arguments to an exit code.

use std::{
    ffi::OsString,
    sync::{Arc, Mutex, PoisonError},
};

use clap::Parser as _;
use serde_json::json;

use crate::{
    cli::{Cli, Command, Format, without_subcommand_name},
    commands::{
        Context, begin, changelog, check, config, export, graph, index, init, lock, publish,
        record, relocate, schema, site, start_tests, validate, who_uses,
    },
    deploy, doctor,
    exit::{Exit, Failure},
    notify,
    output::Output,
    removal,
    select::Select,
};

/// Runs the command line given, whose first item is the program's name.
///
/// Both `cargo meshwise check` (cargo passes `meshwise` on as the first argument) and
/// `cargo-meshwise check` work.
#[must_use]
pub fn run(args: impl IntoIterator<Item = OsString>) -> Exit {
    let args: Vec<OsString> = without_subcommand_name(args).collect();
    let mut cli = match Cli::try_parse_from(&args) {
        Ok(cli) => cli,
        Err(error) => return usage(&error, &args),
    };
    // A variable that is set to nothing is how CI systems say that it is not set.
    for text in [&mut cli.global.dictionary, &mut cli.global.today] {
        text.take_if(|text| text.is_empty());
    }
    let color = match cli.global.color {
        clap::ColorChoice::Auto => anstream::ColorChoice::Auto,
        clap::ColorChoice::Always => anstream::ColorChoice::Always,
        clap::ColorChoice::Never => anstream::ColorChoice::Never,
    };
    let mut context =
        Context { out: Output::standard(cli.global.format, color), global: cli.global };
    let result = check_format(&cli.command, context.global.format)
        .and_then(|()| dispatch_all(&cli.command, &mut context))
        .and_then(|exit| Ok(context.out.flush().map(|()| exit)?));
    match result {
        Ok(exit) => exit,
        Err(failure) => {
            if failure.exit != Exit::Ok {
                context.out.failure(&failure);
            }
            failure.exit
        }
    }
}

/// Ends a command line that was not understood, or that asks for help or the version.
fn usage(error: &clap::Error, args: &[OsString]) -> Exit {
    // Help and version come as "errors" too, but as ones for stdout.
    if !error.use_stderr() {
        let _ = error.print();
        return Exit::Ok;
    }
    let _ = error.print();
    // A caller that asked for JSON gets JSON, though the arguments could not be parsed.
    let words: Vec<_> = args.iter().filter_map(|arg| arg.to_str()).collect();
    if words.contains(&"--format=json") || words.windows(2).any(|pair| pair == ["--format", "json"])
    {
        let message = error.to_string();
        let message = message.lines().next().unwrap_or_default();
        let failure = Failure::message(Exit::Usage, message.trim_start_matches("error: "));
        let mut out = Output::to_writers(Format::Json, std::io::stdout(), std::io::sink());
        out.failure(&failure);
    }
    Exit::Usage
}

/// Runs a command for each service that is selected; what is worst is the exit code.
fn dispatch_all(command: &Command, context: &mut Context) -> Result<Exit, Failure> {
    let selected = command.select().map(Select::declarations).transpose()?.flatten();
    let Some(files) = selected else { return dispatch(command, context) };
    let mut worst = Exit::Ok;
    let mut results = Vec::new();
    for file in files {
        let shown = file.display().to_string();
        context.global.declaration = file;
        let exit = if context.out.format() == Format::Json {
            let written = Buffer::default();
            let out = Output::to_writers(Format::Json, written.clone(), std::io::stderr());
            let own = std::mem::replace(&mut context.out, out);
            let exit = one(command, context);
            context.out = own;
            let text = written.take();
            let result: serde_json::Value = serde_json::from_slice(&text).unwrap_or_default();
            results.push(json!({"declaration": shown, "exit": exit.name(), "result": result}));
            exit
        } else {
            context.out.note(format_args!("== {shown}"));
            one(command, context)
        };
        if exit.severity() > worst.severity() {
            worst = exit;
        }
    }
    if context.out.format() == Format::Json {
        context.out.json(&json!({ "services": results }))?;
    }
    Ok(worst)
}

/// Runs a command for one of several services, whose failure ends the others' no sooner.
fn one(command: &Command, context: &mut Context) -> Exit {
    match dispatch(command, context).and_then(|exit| Ok(context.out.pause().map(|()| exit)?)) {
        Ok(exit) => exit,
        Err(failure) => {
            if failure.exit != Exit::Ok {
                context.out.failure(&failure);
            }
            failure.exit
        }
    }
}

/// What one of several services writes as JSON, to be put together with the others'.
#[derive(Clone, Debug, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Buffer {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl std::io::Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn dispatch(command: &Command, context: &mut Context) -> Result<Exit, Failure> {
    match command {
        Command::CanIRemove(options) => removal::run(options, context),
        Command::CanIDeploy(options) => deploy::run(options, context),
        Command::RecordDeployment(options) => record::deployment(options, context),
        Command::RecordResult(options) => record::result(options, context),
        Command::StartTests(options) => start_tests::run(options, context),
        Command::Notify(options) => notify::run(options, context),
        Command::Doctor(options) => doctor::run(options, context),
        Command::Begin => begin::run(context),
        Command::Init(options) => init::run(options, context),
        Command::Validate(_) => validate::run(context),
        Command::Rename(options) => relocate::rename(options, context),
        Command::HandOver(options) => relocate::hand_over(options, context),
        Command::Retire(options) => relocate::retire(options, context),
        Command::Check(options) => check::run(options, context),
        Command::Lock(options) => lock::run(options, context),
        Command::Publish(options) => publish::run(options, context),
        Command::Index => index::run(context),
        Command::Schema => schema::run(context),
        Command::Config(command) => config::run(command, context),
        Command::Graph(options) => graph::run(options, context),
        Command::WhoUses(options) => who_uses::run(options, context),
        Command::Changelog(options) => changelog::run(options, context),
        Command::Dashboards(options) => export::dashboards(options, context),
        Command::Rules(options) => export::rules(options, context),
        #[cfg(feature = "console")]
        Command::Console(options) => crate::commands::console::run(options, context),
        Command::Site(options) => site::run(options, context),
        Command::Export(options) => export::run(options, context),
    }
}

/// Refuses a format that the command does not write, rather than printing something else.
fn check_format(command: &Command, format: Format) -> Result<(), Failure> {
    let always = [Format::Human, Format::Json];
    if always.contains(&format) || command.extra_formats().contains(&format) {
        return Ok(());
    }
    let names: Vec<String> = always
        .iter()
        .chain(command.extra_formats())
        .map(|format| format!("{format:?}").to_lowercase())
        .collect();
    Err(Failure::message(
        Exit::Usage,
        format!("this command has no such format; use --format {}", names.join(" or ")),
    ))
}
