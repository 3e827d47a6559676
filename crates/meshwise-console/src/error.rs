//! Why the console does not start.

use std::{io, net::SocketAddr, path::PathBuf};

/// Says why the console did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConsoleError {
    /// A port cannot be listened on.
    #[error("cannot listen on {address}; is a console running already? name another port, or 0")]
    Listen {
        /// The address.
        #[doc(hidden)]
        address: SocketAddr,
        /// Why not.
        #[doc(hidden)]
        source: io::Error,
    },
    /// An address that others reach, without a token.
    #[error("{0} is reached from other machines: set a token, or bind 127.0.0.1")]
    NeedsToken(SocketAddr),
    /// A token that is easily guessed, or cannot be sent.
    #[error("the token must be 16 to 200 characters: letters, digits, `-`, `_`, `.` or `~`")]
    WeakToken,
    /// A session file cannot be opened.
    #[error("cannot open the session file {}", file.display())]
    Session {
        /// The file.
        #[doc(hidden)]
        file: PathBuf,
        /// Why not.
        #[doc(hidden)]
        source: io::Error,
    },
}
