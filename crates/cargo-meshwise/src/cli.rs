//! The command line: global options and the tree of subcommands.

mod global;
mod observe;

pub(crate) use global::{Format, Global};
pub(crate) use observe::{DashboardsOptions, RulesOptions};

use std::ffi::{OsStr, OsString};

use clap::{Parser, Subcommand};

use crate::{
    commands::{
        changelog, check, config, export, graph, init, lock, publish, record, relocate, site,
        start_tests, validate, who_uses,
    },
    deploy, doctor, notify, removal,
    select::Select,
};

/// Says what services provide and need, checks it, and finds what fails in silence.
#[derive(Debug, Parser)]
#[command(
    name = "cargo-meshwise",
    bin_name = "cargo meshwise",
    version,
    about,
    after_help = "Exit codes: 0 ok; 1 policy violation; 2 usage or invalid declaration; \
                  3 undetermined (missing, stale, offline); 4 publish conflict; 70 internal."
)]
pub(crate) struct Cli {
    /// Options that every command takes.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
#[non_exhaustive]
pub(crate) enum Command {
    /// Find what fails in silence: mixed versions, missing features, second subscribers
    Doctor(doctor::DoctorOptions),
    /// Begin a dictionary in a folder
    Begin,
    /// Write a commented api.toml for the service in this folder
    Init(init::InitOptions),
    /// Check that api.toml is a valid declaration, by itself
    Validate(validate::ValidateOptions),
    /// Print the JSON Schema of api.toml, for editors
    Schema,
    /// Print the schema of a service's settings, check a file of them, or explain what is in force
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Judge the declaration by the dictionary, as the build does by api.lock
    Check(check::CheckOptions),
    /// Resolve the requirements and write api.lock
    Lock(lock::LockOptions),
    /// Publish the declaration to the dictionary
    Publish(publish::PublishOptions),
    /// Give this service another name: its APIs, its history and what it requires go along
    Rename(relocate::RenameOptions),
    /// Let another service provide an API of this one, too, so that it can take it over
    HandOver(relocate::HandOverOptions),
    /// End a service: publish that it provides and requires nothing any more
    Retire(relocate::RetireOptions),
    /// Tell the owners of those that need a version what changes for them, and by when
    Notify(notify::NotifyOptions),
    /// Show who needs what from whom
    Graph(graph::GraphOptions),
    /// List the services that need an API
    WhoUses(who_uses::WhoUsesOptions),
    /// Say whether a version of an API can go: yes, no or unknown, with the proof
    CanIRemove(removal::RemovalOptions),
    /// Record what runs in an environment: a service, or a version of an API
    RecordDeployment(record::DeploymentOptions),
    /// Record how a service's tests against another ended
    RecordResult(record::ResultOptions),
    /// Say whether a service may be deployed to an environment: yes, no or unknown, and the reason
    CanIDeploy(deploy::DeployOptions),
    /// Start the tests of all that need a service's APIs, by the hooks of the dictionary
    StartTests(start_tests::StartTestsOptions),
    /// Show an API's history, current versions and plan
    Changelog(changelog::ChangelogOptions),
    /// Write Grafana dashboards of what meshwise counts
    Dashboards(DashboardsOptions),
    /// Write recording and alerting rules for Prometheus
    Rules(RulesOptions),
    /// Show map, traces, logs, metrics, guards and API versions of what sends OTLP here, in a browser
    #[cfg(feature = "console")]
    Console(crate::commands::console::ConsoleOptions),
    /// Write static pages of all APIs, for people
    Site(site::SiteOptions),
    /// Write the dictionary for other tools
    Export(export::ExportOptions),
    /// Prove every document, and rebuild index.json, the cache that web servers are read through
    Index,
}

impl Command {
    /// Returns which services of a workspace the command is about.
    pub(crate) fn select(&self) -> Option<&Select> {
        match self {
            Self::Check(options) => Some(&options.select),
            Self::Lock(options) => Some(&options.select),
            Self::Publish(options) => Some(&options.select),
            Self::Validate(options) => Some(&options.select),
            _ => None,
        }
    }

    /// Lists the formats that the command writes besides `human` and `json`.
    #[must_use]
    pub(crate) fn extra_formats(&self) -> &'static [Format] {
        match self {
            Self::Graph(_) => &[Format::Dot, Format::Mermaid],
            Self::Changelog(_) => &[Format::Markdown, Format::Html],
            Self::Check(_) | Self::Publish(_) | Self::Validate(_) => {
                &[Format::Github, Format::Gitlab, Format::Junit]
            }
            _ => &[],
        }
    }
}

/// Describes the command line: every subcommand with its options.
#[must_use]
pub fn command() -> clap::Command {
    <Cli as clap::CommandFactory>::command()
}

/// Drops the `meshwise` that cargo passes as the first argument.
pub(crate) fn without_subcommand_name(
    args: impl IntoIterator<Item = OsString>,
) -> impl Iterator<Item = OsString> {
    args.into_iter()
        .enumerate()
        .filter(|(index, arg)| !(*index == 1 && arg == OsStr::new("meshwise")))
        .map(|(_, arg)| arg)
}
