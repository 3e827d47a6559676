//! Getting the third parties.

use anyhow::{Context as _, ensure};
use std::{
    env,
    fs::File,
    path::{Path, PathBuf},
    process::Command,
};

/// Where the third parties are.
pub(crate) struct Kits {
    pub(crate) prometheus: PathBuf,
    pub(crate) promtool: PathBuf,
    pub(crate) python: PathBuf,
    pub(crate) rotel: PathBuf,
}

/// The Python packages; rotel ships a collector's binary and has only pre-releases.
const PYTHON_PACKAGES: [&str; 3] = ["prometheus_client", "rotel", "grpcio"];

/// Finds the third parties, and installs those that are missing.
pub(crate) fn install() -> anyhow::Result<Kits> {
    debian("promtool", "prometheus")?;
    debian("prometheus", "prometheus")?;
    let found = |name| find(name).with_context(|| format!("`{name}` is still not on the path"));

    let venv = super::process::target().join("interop/venv");
    let python = venv.join("bin/python");
    if !python.exists() {
        run(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
    }
    let installed = Command::new(&python)
        .args(["-c", "import prometheus_client, rotel, grpc"])
        .output()
        .is_ok_and(|output| output.status.success());
    if !installed {
        println!("installing from PyPI: {}", PYTHON_PACKAGES.join(", "));
        run(Command::new(&python)
            .args(["-m", "pip", "install", "--quiet", "--pre"])
            .args(PYTHON_PACKAGES))?;
    }
    Ok(Kits {
        prometheus: found("prometheus")?,
        promtool: found("promtool")?,
        rotel: rotel(&venv)?,
        python,
    })
}

/// Installs a package of Debian's, unless the program that is wanted of it is there.
pub(super) fn debian(program: &str, package: &str) -> anyhow::Result<()> {
    if find(program).is_none() {
        let _others_wait = lock()?;
        println!("installing Debian's {package}");
        run(Command::new("apt-get").args(["update", "-qq"]))?;
        run(Command::new("apt-get")
            .args(["install", "--yes", "-qq", package])
            .env("DEBIAN_FRONTEND", "noninteractive"))?;
    }
    find(program).map(drop).with_context(|| format!("`{program}` is still not on the path"))
}

/// Holds back the other parts while one installs: Debian's package tools do not wait for each other.
fn lock() -> anyhow::Result<File> {
    let folder = super::process::target().join("interop");
    std::fs::create_dir_all(&folder)?;
    let file = File::create(folder.join("installing"))?;
    file.lock()?;
    Ok(file)
}

/// Finds the collector's binary inside its Python package.
fn rotel(venv: &Path) -> anyhow::Result<PathBuf> {
    packaged(venv, "rotel/rotel-agent")?.context("the rotel package holds no rotel-agent")
}

/// Installs Python packages, unless what is wanted of them can be imported.
pub(super) fn pypi(python: &Path, imports: &str, packages: &[&str]) -> anyhow::Result<()> {
    let there = Command::new(python).args(["-c", &format!("import {imports}")]).output();
    if there.is_ok_and(|output| output.status.success()) {
        return Ok(());
    }
    let _others_wait = lock()?;
    println!("installing from PyPI: {}", packages.join(", "));
    run(Command::new(python).args(["-m", "pip", "install", "--quiet"]).args(packages))
}

/// Finds a file of a Python package. (A binary is started itself, not by the script that pip makes
/// for it: that would leave it behind when it is killed.)
pub(super) fn packaged(venv: &Path, file: &str) -> anyhow::Result<Option<PathBuf>> {
    for entry in std::fs::read_dir(venv.join("lib")).context("the venv has no lib")? {
        let file = entry?.path().join("site-packages").join(file);
        if file.exists() {
            return Ok(Some(file));
        }
    }
    Ok(None)
}

fn find(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

pub(super) fn run(command: &mut Command) -> anyhow::Result<()> {
    let status = command.status().with_context(|| format!("{command:?} cannot be run"))?;
    ensure!(status.success(), "{command:?} failed: {status}");
    Ok(())
}
