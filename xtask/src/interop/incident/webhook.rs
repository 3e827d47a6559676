//! A webhook that alerts are delivered to.

use crate::interop::process::PATIENCE;
use anyhow::{Context as _, bail};
use serde_json::Value;
use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::mpsc,
    thread,
    time::Instant,
};

pub(super) struct Webhook {
    pub(super) address: SocketAddr,
    alerts: mpsc::Receiver<Value>,
}

impl Webhook {
    pub(super) fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let (sender, alerts) = mpsc::channel();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A call that breaks off is Alertmanager's to repeat.
                let Ok(body) = take(&stream) else { continue };
                let alerts = body["alerts"].as_array().cloned().unwrap_or_default();
                for alert in alerts {
                    if sender.send(alert).is_err() {
                        return;
                    }
                }
            }
        });
        Ok(Self { address, alerts })
    }

    /// Waits for an alert of this name that fires; others are told.
    pub(super) fn wait_for(&self, name: &str) -> anyhow::Result<Value> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(alert) = self.alerts.recv_timeout(left) else {
                bail!("{name} never reached the webhook");
            };
            if alert["status"] == "firing" && alert["labels"]["alertname"] == name {
                return Ok(alert);
            }
            println!("   (another alert: {})", alert["labels"]["alertname"]);
        }
    }
}

/// Reads one POST, and answers it.
fn take(mut stream: &TcpStream) -> anyhow::Result<Value> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().context("a length")?;
        }
    }
    let mut body = Vec::new();
    reader.take(length).read_to_end(&mut body)?;
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")?;
    serde_json::from_slice(&body).context("the webhook's body is JSON")
}
