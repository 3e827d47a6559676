//! `cargo meshwise config`: the settings of a service that meshwise is linked into.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use meshwise_core::{
    Env,
    settings::{MESHWISE_CONFIG, Settings, SettingsError, Shown, Source},
};
use serde_json::{Value as Json, json};

use super::Context;
use crate::{
    exit::{Exit, Failure},
    output::count,
};

/// What to do with settings.
#[derive(Debug, Subcommand)]
#[non_exhaustive]
pub(crate) enum ConfigCommand {
    /// Print the JSON Schema of a settings file, for editors
    Schema,
    /// Check a settings file, or all of a directory: what is wrong, in which line, and what is allowed
    Check(ConfigCheckOptions),
    /// Show each setting that would be in force, and what says so: default, file or variable
    ///
    /// What a service's code sets stands between the default and the file, and is not known here:
    /// `GET /config` on the ops routes shows it.
    Explain(ExplainOptions),
}

/// Options of `config check`.
#[derive(Debug, Args)]
#[non_exhaustive]
pub(crate) struct ConfigCheckOptions {
    /// The file or directory
    #[arg(value_name = "PATH", env = MESHWISE_CONFIG)]
    pub path: PathBuf,
}

/// Options of `config explain`.
#[derive(Debug, Args)]
#[non_exhaustive]
pub(crate) struct ExplainOptions {
    /// The file or directory; without it, only variables and defaults
    #[arg(value_name = "PATH", env = MESHWISE_CONFIG)]
    pub path: Option<PathBuf>,
    /// Leave out what is as by default
    #[arg(long)]
    pub changed: bool,
    /// Show only settings whose path begins with this, such as `peers.auth`
    #[arg(long, value_name = "PREFIX", default_value = "")]
    pub only: String,
}

/// Runs `cargo meshwise config`.
///
/// # Errors
/// Stdout's.
pub(crate) fn run(command: &ConfigCommand, context: &mut Context) -> Result<Exit, Failure> {
    match command {
        ConfigCommand::Schema => {
            let schema: Json = serde_json::from_str(&Settings::json_schema())?;
            context.out.json(&schema)?;
            Ok(Exit::Ok)
        }
        ConfigCommand::Check(options) => check(&options.path, context),
        ConfigCommand::Explain(options) => explain(options, context),
    }
}

fn check(path: &Path, context: &mut Context) -> Result<Exit, Failure> {
    match Settings::from_path(path) {
        Ok(settings) => {
            let found = meshwise_resilience::contradictions(&Settings::default(), &settings);
            if let Err(error) = SettingsError::check(found.certain) {
                return refuse(&error, context);
            }
            for likely in &found.likely {
                context.out.warning(format_args!("{likely}, unless code says otherwise"));
            }
            let set = settings.shown().iter().filter(|shown| is_set(shown)).count();
            let path = path.display().to_string();
            context
                .out
                .either(&json!({ "valid": true, "settings": set, "problems": [] }), |out| {
                    out.line(format_args!("{path} is valid: {}", count(set, "setting")))
                })?;
            Ok(Exit::Ok)
        }
        Err(error) => refuse(&error, context),
    }
}

/// Lists what is wrong, one a line.
fn refuse(error: &SettingsError, context: &mut Context) -> Result<Exit, Failure> {
    let problems: Vec<Json> = error
        .problems()
        .iter()
        .map(|problem| {
            let line = match &problem.source {
                Source::File { line, .. } => Some(*line),
                _ => None,
            };
            let source = match &problem.source {
                Source::File { path, .. } => path.to_string(),
                other => other.to_string(),
            };
            json!({ "source": source, "line": line, "key": problem.key, "problem": problem.problem })
        })
        .collect();
    context.out.either(&json!({ "valid": false, "problems": problems }), |out| {
        error.problems().iter().try_for_each(|problem| out.line(problem))
    })?;
    Ok(Exit::Usage)
}

fn explain(options: &ExplainOptions, context: &mut Context) -> Result<Exit, Failure> {
    let env = Env::process();
    let settings = match read(options.path.as_deref(), &env) {
        Ok(settings) => settings,
        Err(error) => return refuse(&error, context),
    };
    for finding in env.findings() {
        context.out.warning(format_args!("ignored: {finding}"));
    }
    let mut shown = settings.effective().shown();
    shown.retain(|shown| {
        shown.path.to_string().starts_with(&options.only)
            && (!options.changed || shown.source != Source::Default)
    });
    let settings: Vec<Json> = shown.iter().map(as_json).collect::<Result<_, _>>()?;
    context.out.either(&json!({ "settings": settings }), |out| {
        shown.iter().try_for_each(|shown| out.line(shown))
    })?;
    Ok(Exit::Ok)
}

/// Reads file, variables of ours and variables of others, the later over the earlier.
fn read(path: Option<&Path>, env: &Env) -> Result<Settings, SettingsError> {
    let mut settings = match path {
        Some(path) => Settings::from_path(path)?,
        None => Settings::default(),
    };
    settings.overlay(&Settings::from_env(env)?);
    settings.overlay(&Settings::from_standard_env(env)?);
    Ok(settings)
}

fn is_set(shown: &Shown) -> bool {
    shown.value.is_some() || shown.secret
}

fn as_json(shown: &Shown) -> Result<Json, Failure> {
    let value = match &shown.value {
        Some(value) => {
            let mut text = String::new();
            value.write_json(&mut text)?;
            serde_json::from_str(&text)?
        }
        None => Json::Null,
    };
    Ok(json!({
        "setting": shown.path.to_string(),
        "value": value,
        "secret": shown.secret,
        "source": shown.source.to_string(),
    }))
}
