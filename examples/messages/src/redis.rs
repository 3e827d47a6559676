//! An inbox over Redis' protocol by hand, so that no client is needed here; a service of its own hands
//! the parts to its client.

use meshwise_messaging::{Redis, RedisReply};
use std::{io, sync::Arc};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    sync::Mutex,
};

/// One connection to Redis.
#[derive(Clone, Debug)]
pub struct Client(Arc<Mutex<BufReader<TcpStream>>>);

impl Client {
    /// Connects to `host:port`.
    ///
    /// # Errors
    /// If that cannot be done.
    pub async fn connect(address: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        Ok(Self(Arc::new(Mutex::new(BufReader::new(stream)))))
    }
}

impl Redis for Client {
    type Error = io::Error;

    async fn command(&self, parts: &[&str]) -> io::Result<RedisReply> {
        let mut stream = self.0.lock().await;
        let mut command = format!("*{}\r\n", parts.len());
        for part in parts {
            command.push_str(&format!("${}\r\n{part}\r\n", part.len()));
        }
        stream.get_mut().write_all(command.as_bytes()).await?;
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        let line = line.trim_end();
        let number = || line[1..].parse::<i64>().map_err(io::Error::other);
        match line.as_bytes().first() {
            Some(b'+') => Ok(RedisReply::Text(line[1..].to_owned())),
            Some(b':') => Ok(RedisReply::Integer(number()?)),
            Some(b'$') => match usize::try_from(number()?) {
                Ok(length) => {
                    let mut text = vec![0; length + 2];
                    stream.read_exact(&mut text).await?;
                    text.truncate(length);
                    String::from_utf8(text).map(RedisReply::Text).map_err(io::Error::other)
                }
                Err(_) => Ok(RedisReply::Nil),
            },
            _ => Err(io::Error::other(format!("Redis says: {line}"))),
        }
    }
}
