//! Chores of the workspace.

mod features;
mod interop;
mod proto;

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
    /// Tests against real third parties, which it installs: Prometheus, an OTLP collector, strict
    /// parsers, an Elasticsearch. Needs Debian, or `prometheus`, `promtool`, `node` and `npm` on the
    /// path; and Python 3.
    Interop {
        /// Runs only these: metrics, prometheus, removal, collector, grpc, ecs.
        parts: Vec<interop::Part>,
    },
}

fn main() -> anyhow::Result<()> {
    match Args::parse().chore {
        Chore::Features => features::check(),
        Chore::Proto => proto::generate(false),
        Chore::Ecs => interop::ecs::fields(false),
        Chore::Interop { parts } => interop::run(&parts),
    }
}
