//! Where a dictionary is.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use url::Url;

use super::StoreError;

/// Names the place of a dictionary.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub(crate) enum Location {
    /// A folder on this machine, perhaps a git checkout.
    Folder(PathBuf),
    /// This process's memory.
    Memory,
    /// A folder on a web server, read only.
    Web(Url),
    /// A bucket, or a folder in one.
    Bucket(Url),
}

impl Location {
    /// Reads a path or a URL.
    ///
    /// # Errors
    /// [`StoreError::Location`] when it is a URL of an unknown kind.
    pub(crate) fn parse(text: &str) -> Result<Self, StoreError> {
        let error =
            |why: String| StoreError::Location(format!("{text:?} names no dictionary: {why}"));
        let scheme = match text.split_once(':') {
            // One letter before the colon is a drive.
            Some((scheme, _)) if scheme.len() > 1 && is_scheme(scheme) => scheme,
            _ if text.is_empty() => return Err(error("give a folder or a URL".into())),
            _ => return Ok(Self::Folder(text.into())),
        };
        if scheme.eq_ignore_ascii_case("memory") {
            return Ok(Self::Memory);
        }
        let mut url = Url::parse(text).map_err(|why| error(why.to_string()))?;
        match url.scheme() {
            "file" => url
                .to_file_path()
                .map(Self::Folder)
                .map_err(|()| error("a file: URL has three slashes and an absolute path".into())),
            "http" | "https" => {
                if url.cannot_be_a_base() || url.query().is_some() || url.fragment().is_some() {
                    return Err(error("give the folder's URL, without ? or #".into()));
                }
                // The last segment is a folder: without this slash `join` would drop it.
                if !url.path().ends_with('/') {
                    url.set_path(&format!("{}/", url.path()));
                }
                Ok(Self::Web(url))
            }
            "s3" | "s3a" | "gs" | "az" | "azure" | "adl" | "abfs" | "abfss" => {
                Ok(Self::Bucket(url))
            }
            other => Err(error(format!(
                "{other}: is not known; use a folder, file:, http:, https:, s3:, gs: or az:"
            ))),
        }
    }

    /// Returns the folder, if it is one.
    #[must_use]
    pub(crate) fn folder(&self) -> Option<&Path> {
        match self {
            Self::Folder(folder) => Some(folder),
            _ => None,
        }
    }

    /// Reads a relative folder as one relative to `base`; anything else stays.
    #[must_use]
    pub(crate) fn relative_to(self, base: &Path) -> Self {
        match self {
            Self::Folder(folder) => Self::Folder(base.join(folder)),
            other => other,
        }
    }

    /// Names something inside, for people.
    #[must_use]
    pub(crate) fn join(&self, path: &str) -> String {
        match self {
            Self::Folder(folder) => folder.join(path).display().to_string(),
            Self::Memory => format!("memory:{path}"),
            Self::Web(url) | Self::Bucket(url) => {
                format!("{}/{path}", shown(url).trim_end_matches('/'))
            }
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(folder) => folder.display().fmt(f),
            Self::Memory => f.write_str("memory:"),
            Self::Web(url) | Self::Bucket(url) => f.write_str(&shown(url)),
        }
    }
}

/// Writes a URL without the password that it may carry: it ends up in lock files and CI logs.
fn shown(url: &Url) -> String {
    let mut url = url.clone();
    // Fails only for URLs that cannot have one.
    let _ = url.set_password(None);
    let _ = url.set_username("");
    url.into()
}

fn is_scheme(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+.-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_urls_are_told_apart() {
        let folder = |path: &str| Location::Folder(path.into());
        for (text, want) in [
            ("dictionary", folder("dictionary")),
            ("../d", folder("../d")),
            ("C:\\d", folder("C:\\d")),
            ("file:///srv/d", folder("/srv/d")),
            ("memory:", Location::Memory),
        ] {
            assert_eq!(Location::parse(text).expect(text), want);
        }
        for text in ["https://example.com/apis", "https://example.com/apis/"] {
            let location = Location::parse(text).expect(text);
            assert_eq!(location.to_string(), "https://example.com/apis/");
            assert_eq!(location.join("a.json"), "https://example.com/apis/a.json");
        }
        for text in ["", "ftp://example.com", "file://host/x", "https://e.com/a?b", "mailto:a@b"] {
            assert!(Location::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_password_is_never_shown() {
        let location = Location::parse("https://ci:hunter2@example.com/d").expect("a URL");
        assert_eq!(location.to_string(), "https://example.com/d/");
        assert_eq!(location.join("x"), "https://example.com/d/x");
    }
}
