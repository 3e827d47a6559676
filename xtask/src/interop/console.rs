//! The console: real SDKs send to it, Chromium walks through its page with the shop's traffic, and Jaeger's
//! own page reads it.

pub(crate) mod cost;

use super::{
    kits::{self, Kits},
    process::{Server, target},
    shop,
};
use anyhow::{Context as _, ensure};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

const SDK: &str = include_str!("console/sdk.py");
const NODE: &str = include_str!("console/sdk.js");
const PAGE: &str = include_str!("console/page.py");
const PYTHON_PACKAGES: [&str; 4] = [
    "opentelemetry-sdk",
    "opentelemetry-exporter-otlp-proto-grpc",
    "opentelemetry-exporter-otlp-proto-http",
    "playwright",
];
const NODE_PACKAGES: [&str; 8] = [
    "@opentelemetry/api",
    "@opentelemetry/resources",
    "@opentelemetry/sdk-trace-base",
    "@opentelemetry/sdk-logs",
    "@opentelemetry/sdk-metrics",
    "@opentelemetry/exporter-trace-otlp-http",
    "@opentelemetry/exporter-logs-otlp-http",
    "@opentelemetry/exporter-metrics-otlp-http",
];

/// A console of its own process.
struct Console {
    page: String,
    grpc: String,
    http: String,
    _server: Server,
}

impl Console {
    fn start() -> anyhow::Result<Self> {
        let any = "127.0.0.1:0";
        let mut command = Command::new(target().join("debug/cargo-meshwise"));
        let server =
            Server::start(command.args(["console", "--page", any, "--grpc", any, "--http", any]))?;
        let lines = server.lines_until(|line| line.starts_with("It takes OTLP"))?;
        let addresses: Vec<&str> = lines
            .iter()
            .flat_map(|line| line.split(' '))
            .filter(|word| word.starts_with("http://"))
            .collect();
        let [page, grpc, http] = addresses[..] else {
            anyhow::bail!("three addresses are told:\n{}", lines.join("\n"));
        };
        let bare = |url: &str| url.trim_start_matches("http://").to_owned();
        Ok(Self { page: page.to_owned(), grpc: bare(grpc), http: bare(http), _server: server })
    }
}

pub(crate) fn run(kits: &Kits) -> anyhow::Result<()> {
    install(kits)?;
    build()?;
    sdks(kits)?;
    pages(kits)?;
    shops(kits)
}

fn build() -> anyhow::Result<()> {
    let build = ["build", "--package", "cargo-meshwise", "--bin", "cargo-meshwise"];
    kits::run(Command::new(env!("CARGO")).args(build))
}

/// The console that the shop starts, while all is well and in an outage.
fn shops(kits: &Kits) -> anyhow::Result<()> {
    let pictures = target().join("interop/console/pictures");
    {
        let (_shop, page) = shop_with_console(&["--rate", "20"], "Serving on")?;
        visit(kits, &page, &pictures, "well", &[])?;
        let files = jaegers_files()?;
        visit(kits, &page, &pictures, "jaeger", &[&files.to_string_lossy()])?;
    }
    let (_shop, page) = shop_with_console(&["--break", "stock"], "  sec ")?;
    visit(kits, &page, &pictures, "broken", &[])
}

/// Starts a shop and waits for a line; returns where its console's page is.
fn shop_with_console(arguments: &[&str], line: &str) -> anyhow::Result<(Server, String)> {
    let server = Server::start(shop::with_console().args(arguments))?;
    let lines = server.lines_until(|said| said.starts_with(line))?;
    let page = lines.iter().find_map(|line| line.strip_prefix("See it in a browser: "));
    let page = page.context("the shop tells where its console is")?.to_owned();
    Ok((server, page))
}

/// Finds the built files of Jaeger's page, which the crate `otlp-embedded` carries (Apache-2.0).
fn jaegers_files() -> anyhow::Result<PathBuf> {
    let folder = node_folder()?.join("jaeger-ui");
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("lib.rs"), "")?;
    let manifest = folder.join("Cargo.toml");
    let text = "[package]\nname = \"jaeger-ui\"\nedition = \"2024\"\n[lib]\npath = \"lib.rs\"\n\
                [dependencies]\notlp-embedded = \"=0.0.2\"\n[workspace]\n";
    fs::write(&manifest, text)?;
    let cargo = ["metadata", "--format-version", "1", "--manifest-path"];
    let output = Command::new(env!("CARGO")).args(cargo).arg(&manifest).output()?;
    let told: Value = serde_json::from_slice(&output.stdout).context("cargo metadata")?;
    let packages = told["packages"].as_array().context("packages")?;
    let package = packages.iter().find(|package| package["name"] == "otlp-embedded");
    let path = package.and_then(|package| package["manifest_path"].as_str());
    let folder = Path::new(path.context("no otlp-embedded")?).parent().context("a folder")?;
    Ok(folder.join("jaeger-ui/build"))
}

/// All signals by the SDKs of two languages.
fn sdks(kits: &Kits) -> anyhow::Result<()> {
    let console = Console::start()?;
    let page = console.page.trim_end_matches('/');
    let python = ["-c", SDK, page, &console.grpc, &console.http];
    told(Command::new(&kits.python).args(python), "Python's SDK")?;
    let script = node_folder()?.join("sdk.js");
    fs::write(&script, NODE)?;
    told(Command::new("node").arg(&script).args([page, &console.http]), "Node's SDK")
}

/// The page, with script in every name.
fn pages(kits: &Kits) -> anyhow::Result<()> {
    let pictures = target().join("interop/console/pictures");
    let console = Console::start()?;
    visit(kits, &console.page, &pictures, "hostile", &[&console.http])
}

fn visit(
    kits: &Kits,
    page: &str,
    pictures: &Path,
    part: &str,
    more: &[&str],
) -> anyhow::Result<()> {
    let mut command = Command::new(&kits.python);
    command.args(["-c", PAGE, page]).arg(pictures).arg(part).args(more);
    told(&mut command, "Chromium")
}

/// Runs a judge, and tells what it found.
fn told(command: &mut Command, who: &str) -> anyhow::Result<()> {
    let output = command.output().with_context(|| format!("{who} cannot be run"))?;
    let said = String::from_utf8_lossy(&output.stdout);
    let complaints = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{who} is not content:\n{said}{complaints}");
    println!("console: {}", said.trim());
    Ok(())
}

fn install(kits: &Kits) -> anyhow::Result<()> {
    kits::debian("chromium", "chromium")?;
    kits::debian("node", "nodejs")?;
    kits::debian("npm", "npm")?;
    let imports = "opentelemetry.sdk, playwright, opentelemetry.exporter.otlp.proto.grpc, \
                   opentelemetry.exporter.otlp.proto.http";
    kits::pypi(&kits.python, imports, &PYTHON_PACKAGES)?;
    let folder = node_folder()?;
    if NODE_PACKAGES.iter().any(|package| !folder.join("node_modules").join(package).exists()) {
        println!("installing from npm: {}", NODE_PACKAGES.join(", "));
        let npm =
            ["install", "--no-save", "--no-audit", "--no-fund", "--ignore-scripts", "--silent"];
        kits::run(Command::new("npm").args(npm).arg("--prefix").arg(&folder).args(NODE_PACKAGES))?;
    }
    Ok(())
}

fn node_folder() -> anyhow::Result<PathBuf> {
    let folder = target().join("interop/console");
    fs::create_dir_all(&folder)?;
    Ok(folder.canonicalize()?)
}
