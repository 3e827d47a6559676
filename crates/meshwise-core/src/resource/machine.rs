//! The machine and the process.

use super::{
    container,
    value::{Attribute, ResourceValue},
};
use std::{env::consts, fmt, sync::Arc};

type Read = dyn Fn(&str) -> Option<String> + Send + Sync;

/// Reads files that tell something about the machine.
#[derive(Clone)]
#[doc(hidden)]
pub struct Machine {
    read: Arc<Read>,
}

impl Machine {
    /// Takes the one this process runs on.
    #[must_use]
    pub fn real() -> Self {
        Self::new(|path| std::fs::read_to_string(path).ok())
    }

    /// Takes one whose files `read` returns, for tests.
    pub fn new(read: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        Self { read: Arc::new(read) }
    }

    /// One that has just these files.
    #[cfg(test)]
    pub(crate) fn fake<const N: usize>(files: [(&'static str, &'static str); N]) -> Self {
        Self::new(move |wanted| {
            let found = files.iter().find(|(path, _)| *path == wanted);
            found.map(|(_, text)| (*text).to_owned())
        })
    }

    /// Reads a file; one that cannot be read is as good as none.
    pub(super) fn read(&self, path: &str) -> Option<String> {
        (self.read)(path)
    }

    /// Reads a file that holds one name.
    pub(super) fn read_name(&self, path: &str) -> Option<String> {
        let text = self.read(path)?;
        let name = text.trim();
        (!name.is_empty()).then(|| name.to_owned())
    }

    /// What the specification prescribes for a service without a name.
    pub(super) fn default_service_name() -> String {
        executable()
            .map_or_else(|| "unknown_service".to_owned(), |e| format!("unknown_service:{e}"))
    }

    /// Describes host, operating system, process and container.
    pub(super) fn describe(&self) -> Vec<Attribute> {
        let mut attributes: Vec<Attribute> = vec![
            ("host.arch".into(), arch().into()),
            ("os.type".into(), os().into()),
            ("process.pid".into(), ResourceValue::Int(std::process::id().into())),
        ];
        let name =
            self.read_name("/proc/sys/kernel/hostname").or_else(|| self.read_name("/etc/hostname"));
        let found = [
            ("host.name", name),
            ("process.executable.name", executable()),
            ("container.id", container::id(self)),
        ];
        let found = found.into_iter().filter_map(|(key, value)| Some((key.into(), value?.into())));
        attributes.extend(found);
        attributes
    }
}

impl fmt::Debug for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Machine")
    }
}

fn executable() -> Option<String> {
    let path = std::env::current_exe().ok()?;
    Some(path.file_name()?.to_string_lossy().into_owned())
}

/// Returns the architecture by its name in `host.arch`.
fn arch() -> &'static str {
    match consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "arm" => "arm32",
        "powerpc" => "ppc32",
        "powerpc64" => "ppc64",
        other => other,
    }
}

/// Returns the system by its name in `os.type`.
fn os() -> &'static str {
    match consts::OS {
        "macos" | "ios" => "darwin",
        "dragonfly" => "dragonflybsd",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_s_name_comes_from_the_kernel_first() {
        let name = |machine: &Machine| {
            let described = machine.describe();
            described
                .into_iter()
                .find(|(key, _)| key == "host.name")
                .map(|(_, value)| value.to_string())
        };
        let both =
            Machine::fake([("/proc/sys/kernel/hostname", "kernel\n"), ("/etc/hostname", "file\n")]);
        assert_eq!(name(&both).as_deref(), Some("kernel"));
        assert_eq!(name(&Machine::fake([("/etc/hostname", "file")])).as_deref(), Some("file"));
        assert_eq!(name(&Machine::fake([("/etc/hostname", " \n")])), None);
    }

    #[test]
    fn the_real_machine_is_described() {
        let described = Machine::real().describe();
        let keys: Vec<_> = described.iter().map(|(key, _)| &**key).collect();
        for key in ["host.arch", "os.type", "process.pid", "process.executable.name"] {
            assert!(keys.contains(&key), "{key} in {keys:?}");
        }
    }
}
