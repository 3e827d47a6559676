//! What can be set.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
};

/// The memory that is kept by default, in bytes.
const MEMORY: usize = 400 * 1000 * 1000;

/// Names a service whose ops pages are read: `/metrics`, `/resilience` and `/apis`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpsTarget {
    pub(crate) service: String,
    pub(crate) address: SocketAddr,
}

impl OpsTarget {
    /// Names a service and the address of its ops pages.
    #[must_use]
    pub fn new(service: impl Into<String>, address: SocketAddr) -> Self {
        Self { service: service.into(), address }
    }
}

/// Holds the console's settings.
///
/// | setting | default |
/// |---|---|
/// | page | `127.0.0.1:4320` |
/// | OTLP over gRPC, over HTTP | `127.0.0.1:4317`, `127.0.0.1:4318`; each takes both |
/// | memory | 400 MB |
/// | token | none; an address that is not loopback needs one |
/// | ops pages | those that services name on loopback, in the resource attribute `meshwise.ops.address` |
/// | session file | none |
#[derive(Clone, Debug)]
#[must_use]
pub struct ConsoleConfig {
    pub(crate) page: SocketAddr,
    pub(crate) grpc: SocketAddr,
    pub(crate) http: SocketAddr,
    pub(crate) memory: usize,
    pub(crate) token: Option<String>,
    pub(crate) hosts: Vec<String>,
    pub(crate) targets: Vec<OpsTarget>,
    pub(crate) save: Option<PathBuf>,
    pub(crate) replay: Option<PathBuf>,
}

impl Default for ConsoleConfig {
    fn default() -> Self {
        Self::new()
    }
}

impl ConsoleConfig {
    /// Starts with the defaults.
    pub fn new() -> Self {
        let local = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Self {
            page: local(4320),
            grpc: local(4317),
            http: local(4318),
            memory: MEMORY,
            token: None,
            hosts: Vec::new(),
            targets: Vec::new(),
            save: None,
            replay: None,
        }
    }

    /// Sets where the page is served; port 0 takes any that is free.
    pub fn with_page(mut self, address: SocketAddr) -> Self {
        self.page = address;
        self
    }

    /// Sets where OTLP is taken, over gRPC and over HTTP; port 0 takes any that is free.
    pub fn with_otlp(mut self, grpc: SocketAddr, http: SocketAddr) -> Self {
        (self.grpc, self.http) = (grpc, http);
        self
    }

    /// Sets how much memory what is kept may use, in bytes; at least 8 MB. Past it, the oldest goes, of
    /// the service that has the most.
    pub fn with_memory(mut self, bytes: usize) -> Self {
        self.memory = bytes.max(8_000_000);
        self
    }

    /// Sets the token that is wanted of browsers and senders; at least 16 characters.
    pub fn with_token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(token.into());
        self
    }

    /// Adds a name by which browsers may call the console, besides addresses and `localhost`.
    pub fn with_host(mut self, host: impl Into<String>) -> Self {
        self.hosts.push(host.into());
        self
    }

    /// Adds a service whose ops pages are read.
    pub fn with_target(mut self, target: OpsTarget) -> Self {
        self.targets.push(target);
        self
    }

    /// Writes what comes to a file, as lines of OTLP JSON. A session that is there is gone on with, and
    /// another file is left alone.
    pub fn with_save(mut self, file: impl Into<PathBuf>) -> Self {
        self.save = Some(file.into());
        self
    }

    /// Takes what a session file holds, plain or gzipped, once, at the start. It is seen as it was when it
    /// ended, until something else comes.
    pub fn with_replay(mut self, file: impl Into<PathBuf>) -> Self {
        self.replay = Some(file.into());
        self
    }
}
