//! `cargo meshwise init`.

use std::{
    fs,
    io::{ErrorKind, Write as _},
    path::{Path, PathBuf},
};

use clap::Args;
use meshwise_api::Declaration;

use super::Context;
use crate::exit::{Exit, Failure, OrExit as _};

/// The options of `init`.
#[derive(Debug, Args)]
pub(crate) struct InitOptions {
    /// The service's name
    ///
    /// Without it the package's name in Cargo.toml beside the declaration, and without that the
    /// folder's name.
    #[arg(long)]
    pub name: Option<String>,
    /// Who is told when something changes for this service
    #[arg(long, value_name = "TEAM")]
    pub owner: Option<String>,
}

/// Writes a commented declaration for the service in this folder.
///
/// # Errors
/// `Usage` when the file exists, when no name can be found, or when it is not a service's name.
pub(crate) fn run(options: &InitOptions, context: &mut Context) -> Result<Exit, Failure> {
    let path = &context.global.declaration;
    let name = match &options.name {
        Some(name) => name.clone(),
        None => name_from_folder(path).or_exit(Exit::Usage)?,
    };
    let text = declaration(&name, options.owner.as_deref());
    let shown = path.display().to_string();
    // A name from outside may be no service's name, or hold a quote.
    Declaration::parse(&shown, &text).or_exit(Exit::Usage)?;
    write_new(path, &text)?;
    context.out.either(&serde_json::json!({"written": shown, "service": name}), |out| {
        out.line(format_args!("wrote {shown} for service {name}"))?;
        out.line("next: fill in what it provides and requires, then `cargo meshwise check`")
    })?;
    Ok(Exit::Ok)
}

/// Creates the file, and never writes over one.
fn write_new(path: &Path, text: &str) -> Result<(), Failure> {
    let mut file = match fs::File::create_new(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            return Err(Failure::message(
                Exit::Usage,
                format!("{} exists already and was left as it is", path.display()),
            ));
        }
        Err(error) => {
            return Err(anyhow::Error::new(error)
                .context(format!("cannot create {}", path.display()))
                .into());
        }
    };
    Ok(file.write_all(text.as_bytes())?)
}

/// Finds the service's name: the package in Cargo.toml beside the declaration, else the folder.
fn name_from_folder(declaration: &Path) -> anyhow::Result<String> {
    let folder = match declaration.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
        _ => PathBuf::from("."),
    };
    let manifest = folder.join("Cargo.toml");
    match fs::read_to_string(&manifest) {
        Ok(text) => {
            if let Some(name) = package_name(&text)? {
                return Ok(name);
            }
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => {
            return Err(
                anyhow::Error::new(error).context(format!("cannot read {}", manifest.display()))
            );
        }
    }
    let folder = fs::canonicalize(&folder)?;
    folder
        .file_name()
        .and_then(|name| name.to_str())
        .map(str::to_owned)
        .ok_or_else(|| anyhow::anyhow!("no name found for this service; give one with --name"))
}

/// Reads `package.name` out of a Cargo.toml; `None` for a workspace without a package.
fn package_name(manifest: &str) -> anyhow::Result<Option<String>> {
    #[derive(serde::Deserialize)]
    struct PackageManifest {
        package: Option<Package>,
    }
    #[derive(serde::Deserialize)]
    struct Package {
        name: String,
    }
    let manifest: PackageManifest = toml::from_str(manifest).map_err(|error| {
        anyhow::Error::new(error).context("Cargo.toml is not valid; give --name")
    })?;
    Ok(manifest.package.map(|package| package.name))
}

/// Writes the declaration's text.
fn declaration(name: &str, owner: Option<&str>) -> String {
    include_str!("init/api.toml")
        .replace("{name}", name)
        .replace("{owner}", owner.unwrap_or("team-of-this-service"))
}
