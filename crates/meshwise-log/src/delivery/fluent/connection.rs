//! One connection to a server: opened, authenticated, and one message answered at a time.

use super::{
    FluentConfig, Server,
    message::io_error,
    value::{Value, read},
};
use meshwise_core::internal::random;
use rmp::encode::{write_array_len, write_str};
use rustls::{ClientConfig, ClientConnection, StreamOwned, pki_types::ServerName};
use sha2::{Digest as _, Sha512};
use std::{
    fmt::Write as _,
    io::{self, BufReader, Read, Write},
    net::{TcpStream, ToSocketAddrs as _},
    sync::Arc,
    time::{Duration, Instant},
};

const HELO: &str = "HELO";
const KEY_WANTED: &str = "the server asks for a shared key (HELO), and none is set: \
    `log.fluent.shared_key`, MESHWISE_LOG_FLUENT_SHARED_KEY or `FluentConfig::with_shared_key`";

pub(super) struct Connection {
    stream: BufReader<Stream>,
    timeout: Duration,
}

enum Stream {
    Plain(Timed),
    Tls(Box<StreamOwned<ClientConnection, Timed>>),
}

/// A connection whose reads and writes end at a moment, however slowly bytes come.
struct Timed {
    stream: TcpStream,
    until: Instant,
}

impl Connection {
    pub(super) fn open(
        server: &Server,
        config: &FluentConfig,
        tls: Option<&Arc<ClientConfig>>,
    ) -> io::Result<Self> {
        let timeout = config.servers.timeout();
        let stream = connect(server, timeout)?;
        stream.set_nodelay(true)?;
        let plain = Timed { stream, until: Instant::now() + timeout };
        let stream = match (server.tls, tls) {
            (true, Some(tls)) => {
                let name = ServerName::try_from(server.host.clone()).map_err(io::Error::other)?;
                let client =
                    ClientConnection::new(Arc::clone(tls), name).map_err(io::Error::other)?;
                Stream::Tls(Box::new(StreamOwned::new(client, plain)))
            }
            _ => Stream::Plain(plain),
        };
        let mut connection = Self { stream: BufReader::new(stream), timeout };
        if let Some(key) = &config.shared_key {
            connection.authenticate(key, config)?;
        }
        Ok(connection)
    }

    /// Sends a message, and waits until the server has acknowledged it.
    pub(super) fn exchange(&mut self, message: &[u8], chunk: &str) -> io::Result<()> {
        let stream = self.stream.get_mut();
        stream.timed().until = Instant::now() + self.timeout;
        let sent = stream.write_all(message).and_then(|()| stream.flush());
        let answer = match (sent, read(&mut self.stream)) {
            (Ok(()), answer) => answer.map_err(plainly)?,
            // A server that closed the connection may have said before what it wants.
            (Err(_), Ok(answer)) if part(&answer, HELO, 0).is_ok() => answer,
            (Err(error), _) => return Err(plainly(error)),
        };
        match answer.field("ack").and_then(Value::text) {
            Some(ack) if ack == chunk => Ok(()),
            _ if part(&answer, HELO, 0).is_ok() => Err(odd(KEY_WANTED)),
            _ => Err(odd("the server acknowledged something else")),
        }
    }

    /// Proves that both sides know the key: HELO, PING and PONG.
    fn authenticate(&mut self, key: &str, config: &FluentConfig) -> io::Result<()> {
        let helo = read(&mut self.stream).map_err(plainly)?;
        let options = part(&helo, HELO, 1)?;
        let nonce = options.field("nonce").and_then(Value::bytes).unwrap_or_default().to_vec();
        let auth = options.field("auth").and_then(Value::bytes).unwrap_or_default().to_vec();
        let salt = random::u128().to_be_bytes();
        let salt = hex(&salt);
        let host = config.hostname.as_bytes();
        let digest = digest(&[salt.as_bytes(), host, &nonce, key.as_bytes()]);
        let (user, password) = match &config.user {
            Some((user, password)) if !auth.is_empty() => {
                let digest = self::digest(&[&auth, user.as_bytes(), password.as_bytes()]);
                (user.as_str(), digest)
            }
            _ => ("", String::new()),
        };
        let mut ping = Vec::new();
        write_array_len(&mut ping, 6).map_err(io_error)?;
        for part in ["PING", &config.hostname, &salt, &digest, user, &password] {
            write_str(&mut ping, part).map_err(io_error)?;
        }
        let stream = self.stream.get_mut();
        stream.write_all(&ping)?;
        stream.flush()?;
        let pong = read(&mut self.stream).map_err(plainly)?;
        if part(&pong, "PONG", 1)? != &Value::Bool(true) {
            let reason = part(&pong, "PONG", 2).ok().and_then(Value::text).unwrap_or_default();
            return Err(odd(&format!("the server refused the shared key or user: {reason}")));
        }
        let server = part(&pong, "PONG", 3)?.bytes().unwrap_or_default();
        let expected = self::digest(&[salt.as_bytes(), server, &nonce, key.as_bytes()]);
        if part(&pong, "PONG", 4)?.text() != Some(&expected) {
            return Err(odd("the server does not know the shared key"));
        }
        Ok(())
    }
}

/// Connects to the first of the host's addresses that answers.
fn connect(server: &Server, timeout: Duration) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for address in (server.host.as_str(), server.port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, timeout) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Returns a part of an array that begins with a word.
fn part<'a>(value: &'a Value, word: &str, index: usize) -> io::Result<&'a Value> {
    match value {
        Value::Array(parts) if parts.first().and_then(Value::text) == Some(word) => {
            parts.get(index).ok_or_else(|| odd(&format!("the server's {word} is too short")))
        }
        _ => Err(odd(&format!("the server sent no {word}; does it ask for a shared key?"))),
    }
}

fn digest(parts: &[&[u8]]) -> String {
    let mut digest = Sha512::new();
    parts.iter().for_each(|part| digest.update(part));
    hex(&digest.finalize())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn odd(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// Says of a read what it means here.
fn plainly(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => {
            io::Error::new(error.kind(), "the server closed the connection before it answered")
        }
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
            io::Error::new(io::ErrorKind::TimedOut, "the server did not answer in time")
        }
        _ => error,
    }
}

impl Stream {
    fn timed(&mut self) -> &mut Timed {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => &mut stream.sock,
        }
    }
}

impl Timed {
    fn left(&self) -> io::Result<Option<Duration>> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(Some(left)) }
    }
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(self.left()?)?;
        self.stream.read(buffer)
    }
}

impl Write for Timed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(self.left()?)?;
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{net::TcpListener, thread};

    #[test]
    fn a_server_that_asks_for_a_key_is_told_from_one_that_lies() {
        // An array of the word and an empty map, and an answer for another chunk.
        let asks = [&b"\x92\xa4HELO\x80"[..], b"\x81\xa3ack\xa5other"];
        for (answer, told) in asks.into_iter().zip(["asks for a shared key", "something else"]) {
            let listener = TcpListener::bind("127.0.0.1:0").expect("port");
            let port = listener.local_addr().expect("address").port();
            let serving = thread::spawn(move || {
                let (mut stream, _) = listener.accept()?;
                stream.write_all(answer)?;
                io::copy(&mut stream, &mut io::sink())
            });
            let server = Server { tls: false, host: "127.0.0.1".to_owned(), port };
            let config = FluentConfig::new(["logs"], "orders");
            let mut connection = Connection::open(&server, &config, None).expect("connected");
            let error = connection.exchange(b"\x80", "chunk").expect_err("no answer");
            assert!(error.to_string().contains(told), "{error}");
            drop(connection);
            serving.join().expect("no panic").expect("served");
        }
    }
}
