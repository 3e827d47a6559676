//! Finding the line of a manifest that a finding is about.

use super::place::Place;

/// A `Cargo.toml`, as text and parsed as far as the rules need.
#[derive(Debug)]
pub(crate) struct Manifest {
    /// How reports name it, relative to the package's folder.
    pub(crate) path: String,
    text: String,
    pub(crate) table: toml::Table,
}

impl Manifest {
    /// Takes a manifest that Cargo has read before, so that damage only means finding no lines.
    pub(crate) fn new(path: impl Into<String>, text: impl Into<String>) -> Self {
        let text = text.into();
        let table = text.parse().unwrap_or_default();
        Self { path: path.into(), text, table }
    }

    /// Finds the line where a dependency is asked for: in `[dependencies]`, in a table of its own,
    /// or for a platform. Dependencies of tests and build scripts are passed over.
    pub(crate) fn dependency(&self, name: &str) -> Option<Place> {
        self.find(|section, key| {
            let is_table = |section: &str| {
                section == "dependencies"
                    || (section.starts_with("target.") && section.ends_with(".dependencies"))
            };
            match key {
                Some(key) => is_table(section) && key == name,
                None => section
                    .strip_suffix(name)
                    .and_then(|rest| rest.strip_suffix('.'))
                    .is_some_and(is_table),
            }
        })
    }

    /// Finds the line of `[workspace.dependencies]` for a dependency.
    pub(crate) fn find_workspace_dependency(&self, name: &str) -> Option<Place> {
        let own_table = format!("workspace.dependencies.{name}");
        self.find(|section, key| match key {
            Some(key) => section == "workspace.dependencies" && key == name,
            None => section == own_table,
        })
    }

    /// Finds the line that sets a key of a section, such as `panic` of `profile.release`.
    pub(crate) fn key(&self, section: &str, key: &str) -> Option<Place> {
        self.find(|in_section, found| in_section == section && found == Some(key))
    }

    /// Walks over section heads (no key) and keys until one is wanted.
    fn find(&self, wanted: impl Fn(&str, Option<&str>) -> bool) -> Option<Place> {
        let mut section = String::new();
        for (index, line) in self.text.lines().enumerate() {
            let line = line.trim();
            let found = if let Some(head) = line.strip_prefix('[') {
                let head = head.trim_start_matches('[');
                section = head.rfind(']').map_or(head, |end| &head[..end]).replace(['"', '\''], "");
                wanted(&section, None)
            } else {
                // `tracing.workspace = true` and `"tracing" = ...` are the key `tracing`.
                let key = line.split(['=', '.']).next().unwrap_or_default();
                wanted(&section, Some(key.trim().trim_matches(['"', '\''])))
            };
            if found {
                return Some(Place {
                    file: self.path.clone(),
                    line: index + 1,
                    text: line.chars().take(200).collect(),
                });
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_of_a_dependency_is_found_wherever_it_stands() {
        let text = "[package]\nname = \"orders\"\ntracing = 1\n\n[dev-dependencies]\nmetrics = \"1\"\n\
                    [dependencies]\ntracing.workspace = true\n\"metrics\" = { version = \"0.24\" }\n\
                    [dev-dependencies.http]\n[dependencies.http]\nversion = \"1\"\n\
                    [target.'cfg(unix)'.dependencies]\nlibc = \"0.2\"\n";
        let manifest = Manifest::new("Cargo.toml", text);
        let line = |name| manifest.dependency(name).map(|place| place.line);
        assert_eq!(line("tracing"), Some(8));
        assert_eq!(line("metrics"), Some(9));
        assert_eq!(line("http"), Some(11));
        assert_eq!(line("libc"), Some(14));
        assert_eq!(line("name"), None);
        assert_eq!(manifest.key("package", "name").map(|place| place.line), Some(2));
    }
}
