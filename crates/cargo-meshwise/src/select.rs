//! Which services of a workspace a command is about.

use std::path::{Path, PathBuf};

use cargo_metadata::MetadataCommand;
use clap::Args;
use meshwise_api::Declaration;

use crate::exit::{Exit, Failure, OrExit as _};

/// Which services of a workspace a command is about; none named: that of --declaration.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Select {
    /// All services of the workspace: each package with an api.toml
    #[arg(long)]
    pub workspace: bool,
    /// The service of this package, or of this name; may be given several times
    #[arg(short = 'p', long = "package", value_name = "NAME")]
    pub packages: Vec<String>,
}

impl Select {
    /// Finds the declarations; none where nothing is selected.
    ///
    /// # Errors
    /// `Usage` when Cargo cannot be asked, or a name fits no package with an api.toml.
    pub(crate) fn declarations(&self) -> Result<Option<Vec<PathBuf>>, Failure> {
        if !self.workspace && self.packages.is_empty() {
            return Ok(None);
        }
        let metadata = MetadataCommand::new().no_deps().exec().or_exit(Exit::Usage)?;
        let here = std::env::current_dir().unwrap_or_default();
        let mut all = Vec::new();
        for package in metadata.workspace_packages() {
            let folder = package.manifest_path.parent().map(|it| it.as_std_path().to_path_buf());
            let file = folder.unwrap_or_default().join(Declaration::FILE_NAME);
            if file.is_file() {
                let shown = file.strip_prefix(&here).map(Path::to_path_buf).unwrap_or(file);
                all.push((package.name.to_string(), shown));
            }
        }
        all.sort();
        if all.is_empty() {
            let message =
                "no package of the workspace has an api.toml; write one with `cargo meshwise init`";
            return Err(Failure::message(Exit::Usage, message));
        }
        let service = |file: &Path| {
            let bytes = std::fs::read(file).ok()?;
            let name = file.display().to_string();
            Some(Declaration::from_bytes(&name, &bytes).ok()?.service.name)
        };
        for wanted in &self.packages {
            let fits = |(package, file): &(String, PathBuf)| {
                package == wanted || service(file).as_deref() == Some(wanted)
            };
            if !all.iter().any(fits) {
                let names: Vec<&str> = all.iter().map(|(package, _)| package.as_str()).collect();
                let message = format!(
                    "no package or service {wanted} has an api.toml; there is {}",
                    names.join(", ")
                );
                return Err(Failure::message(Exit::Usage, message));
            }
        }
        if !self.workspace {
            all.retain(|(package, file)| {
                let is_it =
                    |wanted: &String| wanted == package || service(file).as_ref() == Some(wanted);
                self.packages.iter().any(is_it)
            });
        }
        Ok(Some(all.into_iter().map(|(_, file)| file).collect()))
    }
}
