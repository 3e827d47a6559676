//! Where pages lie, and how they find each other.

use std::path::{Path, PathBuf};

/// The place of a page or file: folders below the site's root, and a file in the last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PagePath {
    folders: Vec<String>,
    file: String,
}

impl PagePath {
    /// Names a page in these folders; a `/` within one parts it, as it does in an address.
    pub(super) fn page(folders: &[&str]) -> Self {
        Self::new(folders, "index.html")
    }

    pub(super) fn new(folders: &[&str], file: &str) -> Self {
        let folders = folders.iter().flat_map(|folder| folder.split('/')).map(safe).collect();
        Self { folders, file: safe(file) }
    }

    pub(super) fn version(api: &str, version: &str) -> Self {
        Self::page(&[api, version])
    }

    pub(super) fn service(name: &str) -> Self {
        Self::page(&["_", "services", name])
    }

    /// Returns the file below a folder.
    pub(super) fn file(&self, root: &Path) -> PathBuf {
        self.folders
            .iter()
            .fold(root.to_path_buf(), |path, folder| path.join(folder))
            .join(&self.file)
    }

    /// Returns the name as the list of files has it.
    pub(super) fn name(&self) -> String {
        self.folders.iter().chain([&self.file]).map(String::as_str).collect::<Vec<_>>().join("/")
    }

    /// Tells whether a text is such a name: relative, and without a way out.
    pub(super) fn is_name(text: &str) -> bool {
        text.split('/').all(|part| !part.is_empty() && safe(part) == part)
    }

    /// Returns the relative address of another place, as it is seen from this one.
    pub(super) fn to(&self, other: &Self) -> String {
        let up = "../".repeat(self.folders.len());
        let down: Vec<String> =
            other.folders.iter().chain([&other.file]).map(|part| encoded(part)).collect();
        format!("{up}{}", down.join("/"))
    }
}

/// Makes a text the name of a folder or file: nothing that leads elsewhere, nothing that systems refuse.
fn safe(text: &str) -> String {
    if text.is_empty() || text.bytes().all(|b| b == b'.') {
        return format!("%{}", text.replace('.', "2E"));
    }
    let mut out = String::with_capacity(text.len());
    for c in text.chars().take(200) {
        if c.is_control() || "\\:*?\"<>|%".contains(c) {
            let mut bytes = [0; 4];
            for byte in c.encode_utf8(&mut bytes).bytes() {
                out.push_str(&format!("%{byte:02X}"));
            }
        } else {
            out.push(c);
        }
    }
    // Written by a run before, it is as it was.
    if text.contains('%') && encoded_already(text) { text.to_owned() } else { out }
}

fn encoded_already(text: &str) -> bool {
    let plain = |c: char| !(c.is_control() || "\\:*?\"<>|".contains(c));
    text.chars().all(plain)
        && text
            .split('%')
            .skip(1)
            .all(|rest| rest.get(..2).is_some_and(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit())))
}

fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_never_leads_out_of_the_site() {
        for (api, version, file) in [
            ("auth", "1.1", "r/auth/1.1/index.html"),
            ("auth/v1", "1", "r/auth/v1/1/index.html"),
            ("a", "..", "r/a/%2E2E/index.html"),
            ("a", "../../x", "r/a/%2E2E/%2E2E/x/index.html"),
            ("a", "/etc", "r/a/%/etc/index.html"),
            ("a", "c:\\x", "r/a/c%3A%5Cx/index.html"),
        ] {
            let place = PagePath::version(api, version);
            assert_eq!(place.file(Path::new("r")), Path::new(file), "{api} {version}");
            assert!(PagePath::is_name(&place.name()) || version.contains('/'), "{place:?}");
        }
        for name in ["../x", "/x", "a/../b", "a//b", "", "a/.."] {
            assert!(!PagePath::is_name(name), "{name}");
        }
        let place = PagePath::version("auth/v1", "ü 1");
        assert_eq!(place.to(&PagePath::page(&[])), "../../../index.html");
        assert_eq!(PagePath::page(&[]).to(&place), "auth/v1/%C3%BC%201/index.html");
    }
}
