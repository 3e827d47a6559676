//! What can go wrong when a transport is set up.

use std::path::PathBuf;

/// Says why a transport cannot be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeliveryError {
    /// There is no server to send to.
    #[error("no server to send log lines to; name at least one")]
    NoServer,
    /// A server's address cannot be understood.
    #[error("`{address}` is no server for log lines; write {expected}")]
    Address {
        /// The address, without a user's name and password.
        #[doc(hidden)]
        address: String,
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
