//! Chores of the workspace.

mod api;
mod deny;
mod diet;
mod features;
mod figures;
mod interop;
mod package;
mod proof;
mod proto;
mod semconv;
mod toolchain;

use clap::{Parser, Subcommand};
use std::path::PathBuf;

/// Chores of the workspace.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask")]
struct Args {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Debug, Subcommand)]
enum Chore {
    /// Walks through an incident on the shop: alert, exemplar, trace, log lines, map. With a real
    /// Prometheus, Alertmanager and collector.
    Incident,
    /// Compares the public API of each crate with its text in docs/api, and counts its items.
    Api {
        /// Writes the texts instead.
        #[arg(long)]
        write: bool,
        /// Counts another checkout's, and compares nothing.
        #[arg(long, conflicts_with = "write")]
        root: Option<PathBuf>,
    },
    /// Measures what the console costs, beside another that keeps spans in memory: ingest, memory, queries,
    /// first paint, a million services. Reports, and judges nothing.
    Console,
    /// Judges licences, bans and sources by deny.toml, without the network.
    Deny,
    /// Counts the packages that a service pulls in.
    Diet {
        /// Lists them too.
        #[arg(long)]
        list: bool,
    },
    /// Checks each crate alone, with no features, the default ones and all.
    Features,
    /// Prints figures of the code: sizes, words that are out, circles of modules.
    Figures {
        /// Lowers the ceilings of tests/ceilings.toml to what is there now.
        #[arg(long)]
        lower: bool,
        /// Reads another checkout.
        #[arg(long, conflicts_with = "lower")]
        root: Option<PathBuf>,
    },
    /// Builds all crates from their packed files; takes its time.
    Package,
    /// Runs the long proofs.
    Proof {
        /// Runs only these.
        parts: Vec<proof::Part>,
        /// Runs them a tenth as long.
        #[arg(long)]
        tenth: bool,
    },
    /// Generates the code of the workspace's protobuf files.
    Proto,
    /// Writes the list of ECS fields that meshwise-log has, from npm's `@elastic/ecs`.
    Ecs,
    /// Holds the names of metrics and attributes against OpenTelemetry's semantic conventions, as
    /// the npm package has them, which it installs. Needs `npm`.
    Semconv,
    /// Tells whether `rust-version` is the compiler that this builds with.
    Toolchain,
    /// Tests against real third parties, which it installs: Prometheus, an OTLP collector, strict
    /// parsers, an Elasticsearch. Needs Debian, or `prometheus`, `promtool`, `node` and `npm` on the
    /// path; and Python 3.
    Interop {
        /// Runs only these.
        parts: Vec<interop::Part>,
        #[command(flatten)]
        schemas: interop::Schemas,
    },
}

fn main() -> anyhow::Result<()> {
    match Args::parse().chore {
        Chore::Incident => interop::incident(),
        Chore::Api { write, root } => api::run(write, root.as_deref()),
        Chore::Console => interop::console_cost(),
        Chore::Deny => deny::run(),
        Chore::Diet { list } => diet::run(list),
        Chore::Figures { lower, root } => figures::run(lower, root),
        Chore::Package => package::run(),
        Chore::Proof { parts, tenth } => proof::run(&parts, tenth),
        Chore::Features => features::check(),
        Chore::Proto => proto::generate(false),
        Chore::Ecs => interop::ecs::fields(false),
        Chore::Semconv => semconv::check(),
        Chore::Toolchain => toolchain::check(),
        Chore::Interop { parts, schemas } => interop::run(&parts, &schemas),
    }
}
