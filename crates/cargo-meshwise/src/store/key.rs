//! The names of documents.

use std::fmt;

/// Names one document: a service and a number from 1.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key {
    service: String,
    seq: u64,
}

impl Key {
    /// Names a document. The service's name must be [valid](Self::is_service_name).
    #[must_use]
    pub(crate) fn new(service: impl Into<String>, seq: u64) -> Self {
        Self { service: service.into(), seq }
    }

    /// Returns the service.
    #[must_use]
    pub(crate) fn service(&self) -> &str {
        &self.service
    }

    /// Returns the number.
    #[must_use]
    pub(crate) fn seq(&self) -> u64 {
        self.seq
    }

    /// Reads `services/<service>/<seq>.json`. A number has one way to be written: no sign, no
    /// leading zeros.
    #[must_use]
    pub(crate) fn parse(path: &str) -> Option<Self> {
        let (service, file) = path.strip_prefix("services/")?.split_once('/')?;
        let digits = file.strip_suffix(".json")?;
        if !Self::is_service_name(service)
            || digits.starts_with('0')
            || !digits.bytes().all(|byte| byte.is_ascii_digit())
        {
            return None;
        }
        Some(Self::new(service, digits.parse().ok()?))
    }

    /// Tells whether a text can name a service, and with that a folder everywhere.
    #[must_use]
    pub(crate) fn is_service_name(text: &str) -> bool {
        let bytes = text.as_bytes();
        let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else {
            return false;
        };
        bytes.len() <= 128
            && first.is_ascii_alphanumeric()
            && last.is_ascii_alphanumeric()
            && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(byte))
            && !text.contains("..")
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "services/{}/{}.json", self.service, self.seq)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_has_exactly_one_name() {
        let key = Key::new("geo-tiles", 12);
        assert_eq!(key.to_string(), "services/geo-tiles/12.json");
        assert_eq!(Key::parse("services/geo-tiles/12.json"), Some(key));
        for stray in [
            "services/orders/012.json",
            "services/orders/0.json",
            "services/orders/+1.json",
            "services/orders/.json",
            "services/orders/1.json.tmp",
            "services/orders/1.json#1",
            "services/orders/99999999999999999999.json",
            "services/../1.json",
            "services/a..b/1.json",
            "services/.git/1.json",
            "services/a/b/1.json",
            "services/1.json",
            "index.json",
        ] {
            assert_eq!(Key::parse(stray), None, "{stray}");
        }
    }
}
