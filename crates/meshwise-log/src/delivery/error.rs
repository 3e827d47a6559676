//! What can go wrong when a transport is set up.

use meshwise_core::Redaction;
use std::path::PathBuf;

/// Kinds of [`DeliveryError::Address`].
pub(crate) const SERVER: &str = "server for log lines";
#[cfg(feature = "bulk")]
pub(crate) const STREAM: &str = "data stream or index";
#[cfg(feature = "bulk")]
pub(crate) const KEY: &str = "API key";
/// How many characters of an address are shown.
const MAX_SHOWN: usize = 200;

/// Says why a transport cannot be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeliveryError {
    /// There is no server to send to.
    #[error("no server to send log lines to; name at least one")]
    NoServer,
    /// A server's address, or what is said to it, cannot be understood.
    #[error("`{address}` is no {kind}; write {expected}")]
    Address {
        /// The address, without a user's name and password.
        #[doc(hidden)]
        address: String,
        /// What it is not.
        #[doc(hidden)]
        kind: &'static str,
        /// What is allowed.
        #[doc(hidden)]
        expected: &'static str,
    },
    /// Certificates cannot be read.
    #[error("cannot read certificates from {path}")]
    Certificates {
        /// The file; empty for the system's own.
        #[doc(hidden)]
        path: PathBuf,
        /// The reason.
        #[doc(hidden)]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl DeliveryError {
    /// Names what is no address, as it was written but for secrets.
    pub(super) fn address(text: &str, kind: &'static str, expected: &'static str) -> Self {
        // What is no URL may have a password all the same.
        let host = text.rsplit_once('@').map_or(text, |(_, host)| host);
        let shown = Redaction::standard().url(host);
        let shown = shown.chars().filter(|c| !c.is_control()).take(MAX_SHOWN).collect();
        Self::Address { address: shown, kind, expected }
    }
}
