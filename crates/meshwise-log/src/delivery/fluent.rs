//! Fluent's forward protocol, version 1: lines to Fluent Bit or Fluentd, each batch acknowledged.
//!
//! Source: <https://github.com/fluent/fluentd/wiki/Forward-Protocol-Specification-v1>. A batch is a
//! message of mode `CompressedPackedForward` whose option `chunk` is the batch's id; the server answers
//! with it once it has accepted the batch ("accepted" may be in its memory only). Without an answer the
//! batch is sent again under the same `chunk`, on another connection.

mod connection;
mod message;
mod value;

use super::{
    Batch, Deliver, Delivery, DeliveryError,
    error::SERVER,
    servers::{Refusal, Servers, ServersConfig},
    tls,
};
use connection::Connection;
use rustls::ClientConfig;
use std::{fmt, io, path::PathBuf, sync::Arc, time::Duration};

const PORT: u16 = 24_224;
const TIMEOUT: Duration = Duration::from_secs(10);

/// Describes how lines are sent by Fluent's forward protocol.
///
/// JSON lines become records with the line's own fields, others a record with the field `log`. The
/// record's time is the line's, to the nanosecond.
#[derive(Clone)]
#[must_use]
pub struct FluentConfig {
    servers: ServersConfig,
    tag: String,
    shared_key: Option<String>,
    user: Option<(String, String)>,
    hostname: String,
}

impl FluentConfig {
    /// Describes a connection to servers, such as `logs:24224` or `tls://logs.example.com:24224`. The
    /// first is used while it answers; then the next. Records have this tag.
    pub fn new<S: Into<String>>(
        servers: impl IntoIterator<Item = S>,
        tag: impl Into<String>,
    ) -> Self {
        Self {
            servers: ServersConfig::new(servers, TIMEOUT),
            tag: tag.into(),
            shared_key: None,
            user: None,
            hostname: "meshwise".to_owned(),
        }
    }

    /// Sets the key that servers ask for (`shared_key`, in Fluent Bit `Shared_Key`).
    pub fn with_shared_key(mut self, key: impl Into<String>) -> Self {
        self.shared_key = Some(key.into());
        self
    }

    /// Sets the user's name and password that servers ask for beside the key.
    pub fn with_user(mut self, name: impl Into<String>, password: impl Into<String>) -> Self {
        self.user = Some((name.into(), password.into()));
        self
    }

    /// Sets this host's name, as servers are told with the key; `meshwise` by default. It must not be
    /// the server's own.
    pub fn with_hostname(mut self, name: impl Into<String>) -> Self {
        self.hostname = name.into();
        self
    }

    /// Trusts the certificates of a PEM file, instead of the system's.
    pub fn with_ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.servers.set_ca_file(path.into());
        self
    }

    /// Sets how long a connection, and an answer, are waited for; 10 s each by default.
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.servers.set_timeout(timeout);
        self
    }

    /// Makes the transport. Nothing is connected yet.
    ///
    /// # Errors
    /// If there is no server, an address cannot be understood, or certificates cannot be read.
    pub fn build(self) -> Result<Fluent, DeliveryError> {
        let servers = self.servers.parse(Server::parse)?;
        let tls = servers.iter().any(|server| server.tls);
        let tls = tls.then(|| tls::client(self.servers.ca_file())).transpose()?;
        Ok(Fluent {
            servers,
            channel: Channel { config: self, tls, connection: None },
            frame: None,
        })
    }
}

impl fmt::Debug for FluentConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Neither key nor password, nor addresses, which are the operator's.
        f.debug_struct("FluentConfig").field("tag", &self.tag).finish_non_exhaustive()
    }
}

/// Names a server.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Server {
    tls: bool,
    host: String,
    port: u16,
}

impl Server {
    fn parse(text: &str) -> Result<Self, DeliveryError> {
        let (tls, place) = match text.split_once("://") {
            None => (false, text),
            Some(("tcp", place)) => (false, place),
            Some(("tls", place)) => (true, place),
            Some(_) => (false, ""),
        };
        let (host, port) = match place.rsplit_once(':') {
            // An IPv6 address without a port.
            Some((front, _)) if front.contains(':') && !front.ends_with(']') => (place, Some(PORT)),
            Some((host, port)) => (host, port.parse().ok()),
            None => (place, Some(PORT)),
        };
        let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
        match port.filter(|port| *port > 0) {
            Some(port) if !host.is_empty() && !host.contains(['/', '@', ' ']) => {
                Ok(Self { tls, host: host.to_owned(), port })
            }
            _ => Err(DeliveryError::address(
                text,
                SERVER,
                "`host:port`, `tcp://host:port` or `tls://host:port`",
            )),
        }
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// Sends lines by Fluent's forward protocol: [`FluentConfig::build`] makes it.
pub struct Fluent {
    servers: Servers<Server>,
    channel: Channel,
    /// The message of a batch that is sent again.
    frame: Option<(u128, usize, Vec<u8>)>,
}

/// The connection to the current server, and how one is made.
struct Channel {
    config: FluentConfig,
    tls: Option<Arc<ClientConfig>>,
    connection: Option<Connection>,
}

impl Channel {
    /// Sends a message and waits for its answer.
    fn send(&mut self, server: &Server, frame: &[u8], chunk: &str) -> io::Result<()> {
        // The server may have closed a connection that was idle; that says nothing of the server.
        if let Some(mut connection) = self.connection.take()
            && connection.exchange(frame, chunk).is_ok()
        {
            self.connection = Some(connection);
            return Ok(());
        }
        let mut connection = Connection::open(server, &self.config, self.tls.as_ref())?;
        connection.exchange(frame, chunk)?;
        self.connection = Some(connection);
        Ok(())
    }
}

impl Deliver for Fluent {
    fn deliver(&mut self, batch: &Batch) -> Delivery {
        let Self { servers, channel, frame: kept } = self;
        let frame = match kept.take() {
            Some((id, lines, frame)) if (id, lines) == (batch.id(), batch.len()) => frame,
            _ => match message::forward(&channel.config.tag, batch) {
                Ok(frame) => frame,
                Err(error) => return Delivery::lost(format!("no message can be made: {error}")),
            },
        };
        let chunk = message::chunk(batch);
        match servers.first(|server| channel.send(server, &frame, &chunk).map_err(Refusal::new)) {
            Ok(()) => Delivery::Accepted,
            Err(refusal) => {
                *kept = Some((batch.id(), batch.len(), frame));
                refusal.into()
            }
        }
    }
}

impl fmt::Debug for Fluent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fluent").field("config", &self.channel.config).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_understood_or_named() {
        let parsed = |text| Server::parse(text).map(|s| (s.tls, s.host, s.port)).ok();
        let some = |tls, host: &str, port| Some((tls, host.to_owned(), port));
        assert_eq!(parsed("logs"), some(false, "logs", 24_224));
        assert_eq!(parsed("logs:9"), some(false, "logs", 9));
        assert_eq!(parsed("tls://logs:9"), some(true, "logs", 9));
        assert_eq!(parsed("tcp://[::1]:9"), some(false, "::1", 9));
        assert_eq!(parsed("::1"), some(false, "::1", 24_224));
        assert_eq!(parsed("[::1]"), some(false, "::1", 24_224));
        for bad in ["", ":9", "logs:", "logs:0", "logs:99999", "http://logs:9", "a b:9", "tls://"] {
            assert!(parsed(bad).is_none(), "{bad:?}");
        }
        let told = Server::parse("tls://me:secret@logs:9").expect_err("a user").to_string();
        assert!(told.contains("`logs:9`") && !told.contains("secret"), "{told}");
    }
}
