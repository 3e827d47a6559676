//! Checking each crate alone: what compiles only because another crate enables a feature is broken
//! for those who use it alone.

use anyhow::{Context as _, ensure};
use cargo_metadata::MetadataCommand;
use std::process::Command;

/// What a service may leave out of the front door.
const PARTS: [[&str; 3]; 8] = [
    ["--no-default-features", "--features", "axum"],
    ["--no-default-features", "--features", "api,axum"],
    ["--no-default-features", "--features", "axum,resilience"],
    ["--no-default-features", "--features", "api,client"],
    ["--no-default-features", "--features", "grpc"],
    ["--no-default-features", "--features", "messaging"],
    ["--no-default-features", "--features", "axum,traces"],
    ["--no-default-features", "--features", "axum,client,grpc,messaging,otlp-grpc"],
];

/// What of OTLP may be there alone.
const PROTOCOLS: [[&str; 3]; 3] = [
    ["--no-default-features", "--features", "otlp-grpc"],
    ["--no-default-features", "--features", "otlp-http"],
    ["--no-default-features", "--features", "otlp-http-json"],
];

pub(crate) fn check() -> anyhow::Result<()> {
    let metadata = MetadataCommand::new().no_deps().exec().context("cargo metadata")?;
    for package in metadata.workspace_packages() {
        if !package.manifest_path.as_str().contains("/crates/") {
            continue;
        }
        let mut sets = vec![&["--no-default-features"][..], &[], &["--all-features"]];
        if package.name.as_str() == "meshwise" {
            sets.extend(PARTS.iter().map(|parts| &parts[..]));
        }
        if package.name.as_str() == "meshwise-otlp" {
            sets.extend(PROTOCOLS.iter().map(|protocol| &protocol[..]));
        }
        for features in sets {
            println!("check {} {}", package.name, features.join(" "));
            let status = Command::new(env!("CARGO"))
                .args(["clippy", "--quiet", "--package", package.name.as_str()])
                .args(features)
                // Not by RUSTFLAGS: those would have every dependency built anew.
                .args(["--", "-D", "warnings"])
                .status()
                .context("cargo clippy")?;
            ensure!(status.success(), "{} {} does not compile", package.name, features.join(" "));
        }
    }
    without_traces()
}

/// Runs what only a build without spans shows: in all others, another crate of the workspace has them.
fn without_traces() -> anyhow::Result<()> {
    let tests = [
        &["--package", "meshwise-trace", "--lib"][..],
        &["--package", "meshwise", "--features", "axum,client", "--test", "without_traces"],
    ];
    for arguments in tests {
        println!("test without traces: {}", arguments.join(" "));
        let status = Command::new(env!("CARGO"))
            .args(["test", "--quiet", "--no-default-features"])
            .args(arguments)
            .status()
            .context("cargo test")?;
        ensure!(status.success(), "{} fails without traces", arguments.join(" "));
    }
    Ok(())
}
