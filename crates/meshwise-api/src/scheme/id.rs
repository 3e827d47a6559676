//! The compact id of an API in one version: `auth-1.1`, `auth@1.1`.

use std::{fmt, str::FromStr};

use crate::text::shorten;

/// Names an API, and perhaps one version of it.
///
/// Read from `name`, `name@version` or `name-version`. With a hyphen, the version begins at the
/// first segment that starts with a digit or reads `v<digits>_<8 digits>`; a name may contain
/// hyphens and so may a version, which is why the last hyphen says nothing. `@` leaves no doubt,
/// and names such as `oauth-2-proxy` need it.
///
/// ```
/// use meshwise_api::ApiId;
///
/// let id: ApiId = "geo-tiles-v1_20171001-2".parse()?;
/// assert_eq!((id.name(), id.version()), ("geo-tiles", Some("v1_20171001-2")));
/// assert!("orders-v1_20170229-1".parse::<ApiId>().is_err(), "there was no such day");
/// # Ok::<(), meshwise_api::ApiIdError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ApiId {
    name: String,
    version: Option<String>,
}

impl ApiId {
    /// Returns the API's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the version, if one was named. It is text still: only the provider's scheme can
    /// read it.
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }
}

impl FromStr for ApiId {
    type Err = ApiIdError;

    fn from_str(text: &str) -> Result<Self, ApiIdError> {
        let error = |flaw| ApiIdError { text: shorten(text), flaw };
        let (name, version) = match text.split_once('@') {
            Some((name, version)) => (name, Some(version)),
            None => split_at_hyphen(text),
        };
        if !is_api_name(name) {
            return Err(error(IdFlaw::Name));
        }
        if let Some(version) = version {
            if version.is_empty() {
                return Err(error(IdFlaw::NoVersion));
            }
            // The scheme is not known here; but what looks like this one must be a real day.
            if let Err(why) = crate::Scheme::Exact.version(version) {
                return Err(error(IdFlaw::Version(why.to_string())));
            }
            if looks_dated(version.split('-').next().unwrap_or_default())
                && let Err(why) = crate::Scheme::MainDateBugfix.version(version)
            {
                return Err(error(IdFlaw::Version(why.to_string())));
            }
        }
        Ok(Self { name: name.to_owned(), version: version.map(str::to_owned) })
    }
}

impl fmt::Display for ApiId {
    /// Writes `name` or `name@version`, which can always be read back.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.version {
            Some(version) => write!(f, "{}@{version}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

fn split_at_hyphen(text: &str) -> (&str, Option<&str>) {
    let mut start = 0;
    for segment in text.split('-') {
        let begins = segment.starts_with(|c: char| c.is_ascii_digit()) || looks_dated(segment);
        // A name comes first, and may start with a digit (`2fa`); but a whole version is no name.
        if begins && (start > 0 || looks_dated(segment)) {
            return (text[..start].trim_end_matches('-'), Some(&text[start..]));
        }
        start += segment.len() + 1;
    }
    (text, None)
}

/// Tells whether a segment reads `v<digits>_<8 digits>`.
fn looks_dated(segment: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    segment
        .strip_prefix('v')
        .and_then(|rest| rest.split_once('_'))
        .is_some_and(|(main, date)| digits(main) && date.len() == 8 && digits(date))
}

/// The longest name of an API or a service, in bytes: what fits a DNS label, twice over.
pub(crate) const MAX_NAME_LEN: usize = 128;

/// Tells whether a text can name an API: ASCII letters, digits, `.`, `_`, `-` and `/` between
/// letters or digits at both ends. A protobuf package (`auth.v1`) is one.
pub(crate) fn is_api_name(text: &str) -> bool {
    is_name(text, b"._-/") && !text.contains("//") && !text.contains("..")
}

/// Tells whether a text can name a service, and with that a folder of the dictionary: as an API,
/// without `/`.
pub(crate) fn is_service_name(text: &str) -> bool {
    is_name(text, b"._-") && !text.contains("..")
}

fn is_name(text: &str, between: &[u8]) -> bool {
    let bytes = text.as_bytes();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else {
        return false;
    };
    bytes.len() <= MAX_NAME_LEN
        && first.is_ascii_alphanumeric()
        && last.is_ascii_alphanumeric()
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || between.contains(b))
}

/// Says why a text names no API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiIdError {
    text: String,
    flaw: IdFlaw,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum IdFlaw {
    Name,
    NoVersion,
    Version(String),
}

impl fmt::Display for ApiIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = &self.text;
        match &self.flaw {
            IdFlaw::Name => write!(
                f,
                "{text:?} does not begin with the name of an API, write NAME or NAME@VERSION; a name is made of \
                 letters, digits, '.', '_', '-' and '/', at most {MAX_NAME_LEN}"
            ),
            IdFlaw::NoVersion => {
                write!(f, "{text:?} has no version after the '@', write NAME@VERSION")
            }
            IdFlaw::Version(why) => write!(f, "{text:?} is no API in a version: {why}"),
        }
    }
}

impl std::error::Error for ApiIdError {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_version_begins_at_the_first_segment_that_looks_like_one() {
        for (text, name, version) in [
            ("auth-1.1", "auth", Some("1.1")),
            ("auth@1.1", "auth", Some("1.1")),
            ("auth", "auth", None),
            ("geo-tiles", "geo-tiles", None),
            ("geo-tiles-201610", "geo-tiles", Some("201610")),
            ("orders-v1_20171001-2", "orders", Some("v1_20171001-2")),
            ("orders-2.0.0-rc.1", "orders", Some("2.0.0-rc.1")),
            ("http2-gateway-1.0", "http2-gateway", Some("1.0")),
            ("s3-store-v2", "s3-store-v2", None),
            ("auth-v1", "auth-v1", None),
            ("auth-v1_2017-1", "auth-v1_2017", Some("1")),
            ("oauth-2-proxy", "oauth", Some("2-proxy")),
            ("oauth-2-proxy@1.0", "oauth-2-proxy", Some("1.0")),
            ("auth.v1", "auth.v1", None),
            ("auth@2016-10-31", "auth", Some("2016-10-31")),
            ("2fa", "2fa", None),
            ("2fa-1.0", "2fa", Some("1.0")),
        ] {
            let id: ApiId = text.parse().unwrap_or_else(|error| panic!("{error}"));
            assert_eq!((id.name(), id.version()), (name, version), "{text}");
        }
    }

    #[test]
    fn what_names_nothing_is_refused() {
        let mut told = String::new();
        for text in [
            "",
            "-",
            "-1.1",
            "@1.1",
            "auth@",
            "auth@1@2",
            "auth-",
            "a b-1",
            "../x",
            "a//b",
            "v1_20170229-1",
            "orders-v1_20170229-1",
            "auth@a b",
        ] {
            match text.parse::<ApiId>() {
                Ok(id) => told.push_str(&format!("accepted: {id:?}\n")),
                Err(error) => told.push_str(&format!("{error}\n")),
            }
        }
        insta::assert_snapshot!(told);
    }

    #[test]
    fn service_names_are_safe_as_folders() {
        for name in ["orders", "a", "team.orders-v2_x", "2fa"] {
            assert!(is_service_name(name), "{name}");
        }
        for name in
            ["", ".", "..", "a/b", "a..b", ".a", "a.", "a b", "ü", "a\\b", "a\0b", &"a".repeat(129)]
        {
            assert!(!is_service_name(name), "{name}");
        }
    }

    proptest! {
        #[test]
        fn what_is_read_can_be_written_and_read_again(text in "[a-z0-9.@_v-]{0,20}") {
            if let Ok(id) = text.parse::<ApiId>() {
                prop_assert_eq!(id.to_string().parse::<ApiId>(), Ok(id));
            }
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,30}") {
            let _ = text.parse::<ApiId>();
        }
    }
}
