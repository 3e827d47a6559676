//! The command line, alone in its file: the tests hold what documents say of it against it.

use clap::Parser;
use std::path::PathBuf;

/// Runs a shop of five services and shows what meshwise sees of it.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    /// Ends after the report instead of serving on.
    #[arg(long)]
    pub(crate) once: bool,

    /// Sends this many requests for tea before the report, to have more to count.
    #[arg(long, default_value_t = 0)]
    pub(crate) requests: u32,

    /// Writes the ids of all spans to this file at the end, one a line.
    #[arg(long)]
    pub(crate) span_ids: Option<PathBuf>,

    /// How many requests a second go through the shop while it serves on.
    #[arg(long, default_value_t = 5)]
    pub(crate) rate: u32,

    /// The queue between orders and mailer: `nats://..`, `amqp://..`, and with the feature `kafka`
    /// `kafka://host:port` or `kafka://mock`; one in this process if it is not set.
    #[arg(long, value_name = "URL")]
    pub(crate) queue: Option<String>,

    /// Makes a service slow, then dead, then well again, under load, and shows how the others fare,
    /// second by second.
    #[arg(long = "break", value_name = "SERVICE")]
    pub(crate) broken: Option<Breakable>,

    /// Writes the log lines of all services to this file.
    #[arg(long)]
    pub(crate) log_file: Option<PathBuf>,

    /// Serves a route that computes and one that waits instead, to see what calls cost.
    #[arg(long, conflicts_with_all = ["broken", "once"])]
    pub(crate) capacity: bool,

    /// Starts no console beside the services.
    #[arg(long)]
    pub(crate) no_console: bool,

    /// Leaves the guards out, to see what they are for.
    #[arg(long, requires = "broken")]
    pub(crate) no_guards: bool,
}

/// What can be broken.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum Breakable {
    Stock,
}
