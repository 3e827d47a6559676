//! The options that every command takes.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// The options that every command takes.
#[derive(Clone, Debug, Args)]
pub(crate) struct Global {
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[non_exhaustive]
pub(crate) enum Format {
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
