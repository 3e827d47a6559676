//! The command line: global options and the tree of subcommands.

mod observe;

pub use observe::{DashboardsOptions, RulesOptions};

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::commands::{
    changelog, check, config, export, graph, init, lock, publish, site, who_uses,
};
use crate::{doctor, notify, removal};

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
pub struct Cli {
    /// Options that every command takes.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The options that every command takes.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// How results are written
    #[arg(long, global = true, value_enum, default_value = "human")]
    pub format: Format,
    /// When to use colour
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        default_value = "auto",
        env = "CARGO_TERM_COLOR"
    )]
    pub color: clap::ColorChoice,
    /// Where the dictionary is: a folder, or a URL (file:, http:, https:, s3:, gs:, az:)
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "MESHWISE_DICTIONARY",
        hide_env_values = true
    )]
    pub dictionary: Option<String>,
    /// The declaration of this service; api.lock stands beside it
    #[arg(long, global = true, value_name = "PATH", default_value = "api.toml")]
    pub declaration: PathBuf,
    /// The day to judge by, as YYYY-MM-DD
    ///
    /// Without it `SOURCE_DATE_EPOCH`, and without that the clock (UTC). What is published is judged by
    /// the clock alone.
    #[arg(long, global = true, value_name = "DATE", env = "MESHWISE_TODAY")]
    pub today: Option<String>,
    /// The moment that is written down as now, instead of the clock's: for tests of this command
    #[arg(long, global = true, value_name = "MOMENT", hide = true)]
    pub clock: Option<String>,
}

/// Names a format of results. Each command takes `human` and `json`, some take more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[non_exhaustive]
pub enum Format {
    /// Text for people
    Human,
    /// One JSON document for machines
    Json,
    /// graph: Graphviz
    Dot,
    /// graph: Mermaid
    Mermaid,
    /// changelog: Markdown
    Markdown,
    /// changelog: HTML
    Html,
    /// check, publish, validate: annotations of GitHub Actions
    Github,
    /// check, publish, validate: a Code Quality report of GitLab
    Gitlab,
    /// check, publish, validate: JUnit's XML
    Junit,
}

/// What to do.
#[derive(Debug, Subcommand)]
#[non_exhaustive]
pub enum Command {
    /// Find what fails in silence: mixed versions, missing features, second subscribers
    Doctor(doctor::Options),
    /// Begin a dictionary in a folder
    Begin,
    /// Write a commented api.toml for the service in this folder
    Init(init::Options),
    /// Check that api.toml is a valid declaration, by itself
    Validate,
    /// Print the JSON Schema of api.toml, for editors
    Schema,
    /// Print the schema of a service's settings, check a file of them, or explain what is in force
    #[command(subcommand)]
    Config(config::Command),
    /// Judge the declaration by the dictionary, as the build does by api.lock
    Check(check::Options),
    /// Resolve the requirements and write api.lock
    Lock(lock::Options),
    /// Publish the declaration to the dictionary
    Publish(publish::Options),
    /// Tell the owners of those that need a version what changes for them, and by when
    Notify(notify::Options),
    /// Show who needs what from whom
    Graph(graph::Options),
    /// List the services that need an API
    WhoUses(who_uses::Options),
    /// Say whether a version of an API can go: yes, no or unknown, with the proof
    CanIRemove(removal::Options),
    /// Show an API's history, current versions and plan
    Changelog(changelog::Options),
    /// Write Grafana dashboards of what meshwise counts
    Dashboards(DashboardsOptions),
    /// Write recording and alerting rules for Prometheus
    Rules(RulesOptions),
    /// Write static pages of all APIs, for people
    Site(site::Options),
    /// Write the dictionary for other tools
    Export(export::Options),
    /// Prove every document, and rebuild index.json, the cache that web servers are read through
    Index,
}

impl Command {
    /// Lists the formats that the command writes besides `human` and `json`.
    #[must_use]
    pub fn extra_formats(&self) -> &'static [Format] {
        match self {
            Self::Graph(_) => &[Format::Dot, Format::Mermaid],
            Self::Changelog(_) => &[Format::Markdown, Format::Html],
            Self::Check(_) | Self::Publish(_) | Self::Validate => {
                &[Format::Github, Format::Gitlab, Format::Junit]
            }
            _ => &[],
        }
    }
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
