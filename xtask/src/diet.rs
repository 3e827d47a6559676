//! How many packages a service pulls in.

use anyhow::{Context as _, ensure};
use std::{collections::BTreeSet, process::Command};

/// What a service may ask for, and how many packages that may be.
struct Menu {
    name: &'static str,
    arguments: &'static [&'static str],
    most: usize,
}

const MENUS: [Menu; 3] = [
    Menu { name: "the default front door", arguments: &[], most: 144 },
    Menu {
        name: "axum, logs and metrics",
        arguments: &["--no-default-features", "--features", "axum"],
        most: 84,
    },
    Menu {
        name: "axum, logs, metrics and traces",
        arguments: &["--no-default-features", "--features", "axum,traces"],
        most: 90,
    },
];

/// Prints the counts; those above their limit are a failure. `list` prints the packages too.
pub(crate) fn run(list: bool) -> anyhow::Result<()> {
    let mut above = Vec::new();
    for menu in &MENUS {
        let packages = packages(menu.arguments)?;
        let Menu { name, most, .. } = menu;
        println!("{name}: {} packages, at most {most}", packages.len());
        if list {
            println!("  {}", packages.iter().map(String::as_str).collect::<Vec<_>>().join("\n  "));
        }
        if packages.len() > *most {
            above.push(*name);
        }
    }
    ensure!(
        above.is_empty(),
        "too many packages: {}; put what is new behind a feature, or raise the limit in \
         xtask/src/diet.rs and say why",
        above.join(", ")
    );
    Ok(())
}

/// Lists what `cargo tree -p meshwise -e normal --prefix none --no-dedupe | sort -u` does, itself
/// included.
fn packages(arguments: &[&str]) -> anyhow::Result<BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--package", "meshwise", "--edges", "normal", "--prefix", "none"])
        .args(["--no-dedupe", "--offline"])
        .args(arguments)
        .output()
        .context("cargo tree")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?.lines().map(str::to_owned).collect())
}
