//! A log destination that is gone or stuck does the service no harm: here standard output itself.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

const PATIENCE: Duration = Duration::from_secs(30);

/// A relay in a process of its own; killed when dropped.
struct Relay {
    child: Child,
    address: SocketAddr,
    stderr: BufReader<std::process::ChildStderr>,
}

impl Relay {
    fn start() -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_relay"))
            .env("MESHWISE_LOG_FORMAT", "json")
            .env("MESHWISE_OPS_ADDR", "127.0.0.1:0")
            .env("MESHWISE_LOG_QUEUE", "256KiB")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut stderr = BufReader::new(child.stderr.take().expect("a pipe"));
        let mut line = String::new();
        stderr.read_line(&mut line).expect("its address");
        let address = line.trim().strip_prefix("relay listens on http://").expect("its address");
        let address = address.strip_suffix("/test").expect("its path").parse().expect("an address");
        Self { child, address, stderr }
    }

    /// Sends requests one after the other over one connection.
    fn load(&self, requests: usize) {
        let mut stream = TcpStream::connect(self.address).expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let mut answers = BufReader::new(stream.try_clone().expect("a clone"));
        for _ in 0..requests {
            let request = "POST /test HTTP/1.1\r\nHost: relay\r\nContent-Type: application/json\r\n\
                           Content-Length: 2\r\n\r\n[]";
            stream.write_all(request.as_bytes()).expect("sent");
            let mut status = String::new();
            answers.read_line(&mut status).expect("an answer");
            assert!(status.starts_with("HTTP/1.1 200"), "{status}");
            let mut line = String::new();
            while line != "\r\n" {
                line.clear();
                answers.read_line(&mut line).expect("a header");
            }
            let mut body = [0; 2];
            answers.read_exact(&mut body).expect("a body");
        }
    }

    /// Asks it to stop and returns its last words.
    fn stop(&mut self) -> String {
        let pid = self.child.id().to_string();
        Command::new("kill").args(["-s", "TERM", &pid]).status().expect("kill");
        let started = Instant::now();
        let mut words = String::new();
        self.stderr.read_to_string(&mut words).expect("its last words");
        assert!(started.elapsed() < PATIENCE, "shutdown is bounded");
        assert!(self.child.wait().expect("it ends").success(), "{words}");
        words
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_closed_stdout_costs_counted_lines_only() {
    let mut relay = Relay::start();
    drop(relay.child.stdout.take());
    relay.load(50);
    let words = relay_stop(relay);
    assert!(words.contains("log lines cannot be written"), "{words}");
    assert!(words.contains("write_failed: "), "{words}");
}

#[test]
fn a_stdout_that_no_one_reads_costs_counted_lines_only() {
    let mut relay = Relay::start();
    let stuck = relay.child.stdout.take();
    relay.load(3_000);
    let words = relay_stop(relay);
    drop(stuck);
    assert!(words.contains("queue_full: ") && words.contains("shutdown: "), "{words}");
}

/// Stops a relay on a thread of its own, so that a hang fails the test instead of it.
fn relay_stop(mut relay: Relay) -> String {
    let (sender, receiver) = std::sync::mpsc::channel();
    thread::spawn(move || sender.send(relay.stop()));
    receiver.recv_timeout(PATIENCE).expect("it stops in time")
}
