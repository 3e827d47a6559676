//! A web server for tests that does what it is told: answers, hangs, floods, hangs up.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread,
};

/// A request, as far as the tests look at it.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    #[allow(dead_code, reason = "not every test that uses this file reads it")]
    pub(crate) method: String,
    /// With the query.
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    #[allow(dead_code, reason = "not every test that uses this file reads it")]
    pub(crate) body: Vec<u8>,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// Reads a parameter of the query.
    #[allow(dead_code, reason = "not every test that uses this file asks for one")]
    pub(crate) fn param(&self, name: &str) -> Option<String> {
        let url = url::Url::parse(&format!("http://x{}", self.target)).expect("a target");
        url.query_pairs().find(|(n, _)| n == name).map(|(_, value)| value.into_owned())
    }
}

/// What the server does with a request.
pub(crate) enum Reply {
    /// Answers: status, further headers, body.
    Answer(u16, Vec<(&'static str, String)>, Vec<u8>),
    /// Keeps the connection open and says nothing.
    #[allow(dead_code, reason = "not every test that uses this file asks for one")]
    Hang,
    /// Closes the connection.
    #[allow(dead_code, reason = "not every test that uses this file asks for one")]
    Close,
    /// Sends this many bytes, without saying how many there will be.
    #[allow(dead_code, reason = "not every test that uses this file asks for one")]
    Flood(usize),
}

impl Reply {
    #[allow(dead_code, reason = "not every test that uses this file asks for one")]
    pub(crate) fn json(value: &serde_json::Value) -> Self {
        Self::Answer(200, Vec::new(), value.to_string().into_bytes())
    }

    pub(crate) fn status(status: u16) -> Self {
        Self::Answer(status, Vec::new(), Vec::new())
    }
}

/// A running server; it ends when dropped.
pub(crate) struct Server {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    seen: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    pub(crate) fn start(handle: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let stop = Arc::new(AtomicBool::new(false));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (stopped, log, handle) = (Arc::clone(&stop), Arc::clone(&seen), Arc::new(handle));
        thread::spawn(move || {
            // What hangs is kept here, so that it stays open until the server ends.
            let open = Arc::new(Mutex::new(Vec::new()));
            for stream in listener.incoming().flatten() {
                if stopped.load(SeqCst) {
                    break;
                }
                let (log, handle, open) =
                    (Arc::clone(&log), Arc::clone(&handle), Arc::clone(&open));
                thread::spawn(move || {
                    if let Some(kept) = serve(stream, &log, &*handle) {
                        open.lock().expect("unpoisoned").push(kept);
                    }
                });
            }
        });
        Self { address, stop, seen }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn seen(&self) -> Vec<Request> {
        self.seen.lock().expect("unpoisoned").clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, SeqCst);
        let _ = TcpStream::connect(self.address);
    }
}

/// Serves one request of a connection; returns the connection if it is to stay open.
fn serve(
    stream: TcpStream,
    log: &Mutex<Vec<Request>>,
    handle: &dyn Fn(&Request) -> Reply,
) -> Option<TcpStream> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut first = String::new();
    reader.read_line(&mut first).ok()?;
    let mut words = first.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = Vec::new();
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        let (name, value) = (name.to_owned(), value.trim().to_owned());
        if name.eq_ignore_ascii_case("content-length") {
            length = value.parse().ok()?;
        }
        headers.push((name, value));
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let request = Request { method, target, headers, body };
    let reply = handle(&request);
    log.lock().expect("unpoisoned").push(request);
    let mut stream = stream;
    match reply {
        Reply::Hang => return Some(stream),
        Reply::Close => {}
        Reply::Answer(status, headers, body) => {
            let mut head = format!("HTTP/1.1 {status} x\r\nconnection: close\r\n");
            for (name, value) in headers {
                head += &format!("{name}: {value}\r\n");
            }
            head += &format!("content-length: {}\r\n\r\n", body.len());
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
        }
        Reply::Flood(bytes) => {
            let _ = stream.write_all(b"HTTP/1.1 200 x\r\nconnection: close\r\n\r\n{");
            let block = vec![b' '; 1 << 16];
            for _ in 0..bytes >> 16 {
                if stream.write_all(&block).is_err() {
                    break;
                }
            }
        }
    }
    None
}
