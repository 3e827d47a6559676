//! Chores of the workspace.

mod features;
mod interop;
mod proto;
mod semconv;
mod toolchain;

use clap::{Parser, Subcommand};

/// Chores of the workspace.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask")]
struct Args {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Debug, Subcommand)]
enum Chore {
    /// Checks each crate alone, with no features, the default ones and all.
    Features,
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
        /// Runs only these: openmetrics, metrics, prometheus, removal, collector, grpc, ecs.
        parts: Vec<interop::Part>,
    },
}

fn main() -> anyhow::Result<()> {
    match Args::parse().chore {
        Chore::Features => features::check(),
        Chore::Proto => proto::generate(false),
        Chore::Ecs => interop::ecs::fields(false),
        Chore::Semconv => semconv::check(),
        Chore::Toolchain => toolchain::check(),
        Chore::Interop { parts } => interop::run(&parts),
    }
}
