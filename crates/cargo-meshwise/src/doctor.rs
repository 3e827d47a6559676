//! `cargo meshwise doctor`: finds what fails in silence.
//!
//! Telemetry that is set up wrongly mostly compiles, starts and says nothing; it is missed on the
//! day it is needed. The doctor reads what Cargo knows of the service in this folder, its source
//! and the variables it will run with, and names what is wrong, why it matters and the line to
//! change.
//!
//! The rules are data ([`rules`]), each with fixtures that pass and fail. A rule can be allowed on
//! the command line or in the manifest:
//!
//! ```toml
//! [package.metadata.meshwise.doctor]
//! allow = ["panic-abort"]
//! ```

mod directives;
mod facts;
mod gather;
mod graph;
mod manifest;
mod place;
mod report;
mod rule;
mod rules;
mod source;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use anyhow::bail;
use clap::Args;
use serde_json::json;

use crate::{
    commands::Context,
    exit::{Exit, Failure, OrExit as _},
};
use facts::Facts;
use rule::{Finding, Rule, Severity};

/// The options of `doctor`.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "switches of a command line are what they are")]
pub(crate) struct DoctorOptions {
    /// The package's Cargo.toml
    #[arg(long, value_name = "PATH")]
    pub manifest_path: Option<PathBuf>,
    /// The package to examine, in a workspace of several
    #[arg(long, short, value_name = "NAME")]
    pub package: Option<String>,
    /// Features that it is built with, besides its default ones
    #[arg(long, short = 'F', value_delimiter = ',', value_name = "FEATURES")]
    pub features: Vec<String>,
    /// It is built with all features
    #[arg(long)]
    pub all_features: bool,
    /// It is built without its default features
    #[arg(long)]
    pub no_default_features: bool,
    /// The platform it is built for; without it, this machine's
    #[arg(long, value_name = "TRIPLE")]
    pub target: Option<String>,
    /// Read the variables of the deployment from a file of NAME=value lines
    ///
    /// Without it, the variables of this process are taken.
    #[arg(long, value_name = "FILE")]
    pub env_file: Option<PathBuf>,
    /// Leave a rule out; `package.metadata.meshwise.doctor.allow` in Cargo.toml does the same
    #[arg(long, value_delimiter = ',', value_name = "RULE")]
    pub allow: Vec<String>,
    /// List the rules, and do no more
    #[arg(long)]
    pub list: bool,
    /// Let Cargo use no network
    #[arg(long)]
    pub offline: bool,
    /// Let Cargo leave Cargo.lock as it is
    #[arg(long)]
    pub locked: bool,
    /// Both: --locked --offline
    #[arg(long)]
    pub frozen: bool,
}

/// Examines the service in this folder.
///
/// # Errors
/// `Undetermined` when Cargo cannot say what the package is made of, `Usage` for the name of a rule or package
/// that does not exist.
pub(crate) fn run(options: &DoctorOptions, context: &mut Context) -> Result<Exit, Failure> {
    let rules = rules::all();
    if options.list {
        return list(&rules, context);
    }
    known(&rules, &options.allow).or_exit(Exit::Usage)?;
    let progress = context.out.progress("asking cargo", 0);
    let facts = gather::facts(options).map_err(|error| match error.is::<graph::Unnamed>() {
        true => Failure::new(Exit::Usage, error),
        false => Failure::new(Exit::Undetermined, error),
    })?;
    drop(progress);
    let mut allowed = options.allow.clone();
    allowed.extend(allowed_in_manifest(&facts));
    known(&rules, &allowed).or_exit(Exit::Usage)?;
    let findings = rule::examine(&rules, &facts, &allowed);

    let package = facts.graph.root().name();
    let errors = findings.iter().filter(|f| f.severity == Severity::Error).count();
    let exit = if errors > 0 { Exit::Violation } else { Exit::Ok };
    context.out.either(&document(package, &rules, &allowed, &findings), |out| {
        for finding in &findings {
            out.line(report::text(finding))?;
        }
        out.line(report::summary(package, rules.len(), &findings))
    })?;
    Ok(exit)
}

/// Shapes the JSON document.
fn document(
    package: &str,
    rules: &[Rule],
    allowed: &[String],
    findings: &[Finding],
) -> serde_json::Value {
    let count = |severity| findings.iter().filter(|f| f.severity == severity).count();
    json!({
        "schema": 1,
        "package": package,
        "rules": rules.len(),
        "allowed": allowed,
        "errors": count(Severity::Error),
        "warnings": count(Severity::Warning),
        "findings": findings,
    })
}

fn list(rules: &[Rule], context: &mut Context) -> Result<Exit, Failure> {
    let all: Vec<_> = rules
        .iter()
        .map(|rule| {
            json!({
                "id": rule.id, "severity": rule.severity, "summary": rule.summary,
                "why": rule.why, "reference": rule.reference,
            })
        })
        .collect();
    context.out.either(&json!({"schema": 1, "rules": all}), |out| {
        for rule in rules {
            out.line(format_args!("{:<24} {:<8} {}", rule.id, rule.severity.name(), rule.summary))?;
        }
        Ok(())
    })?;
    Ok(Exit::Ok)
}

fn known(rules: &[Rule], names: &[String]) -> anyhow::Result<()> {
    match names.iter().find(|name| !rules.iter().any(|rule| rule.id == *name)) {
        Some(name) => bail!("no rule {name:?}; `cargo meshwise doctor --list` names them"),
        None => Ok(()),
    }
}

fn allowed_in_manifest(facts: &Facts) -> Vec<String> {
    let metadata = &facts.graph.root().package.metadata;
    metadata["meshwise"]["doctor"]["allow"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|name| name.as_str().map(str::to_owned))
        .collect()
}
