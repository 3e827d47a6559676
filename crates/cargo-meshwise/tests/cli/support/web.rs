//! A web server over a folder, with entity tags, that remembers what it was asked.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

/// What a test makes the server do instead of answering.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    /// Serves the folder.
    Good,
    /// Answers 503 so many times, then serves.
    Busy(u32),
    /// Sends bytes without end.
    Endless,
}

/// Serves a folder until the test ends.
#[derive(Debug)]
pub(crate) struct WebServer {
    port: u16,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    mood: Mood,
    log: Vec<String>,
}

impl WebServer {
    pub(crate) fn start(folder: &Path) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let state = Arc::new(Mutex::new(State { mood: Mood::Good, log: Vec::new() }));
        let (folder, shared) = (folder.to_path_buf(), Arc::clone(&state));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (folder, shared) = (folder.clone(), Arc::clone(&shared));
                thread::spawn(move || serve(stream, &folder, &shared));
            }
        });
        Self { port, state }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }

    #[allow(dead_code, reason = "not every test that uses this file spoils answers")]
    pub(crate) fn set_mood(&self, mood: Mood) {
        self.lock().mood = mood;
    }

    /// Returns `<status> <path>` for each request since the last call.
    pub(crate) fn take_log(&self) -> Vec<String> {
        std::mem::take(&mut self.lock().log)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn serve(mut stream: TcpStream, folder: &Path, state: &Mutex<State>) -> Option<()> {
    let mut lines = BufReader::new(stream.try_clone().ok()?).lines();
    let path = lines.next()?.ok()?.split(' ').nth(1)?.to_owned();
    let mut condition = None;
    for line in lines {
        let line = line.ok()?;
        if line.is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("if-none-match")
        {
            condition = Some(value.trim().to_owned());
        }
    }
    let mood = {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        let mood = state.mood;
        if let Mood::Busy(left) = mood {
            state.mood = if left > 1 { Mood::Busy(left - 1) } else { Mood::Good };
        }
        mood
    };
    let (status, etag, body) = answer(folder, &path, condition.as_deref(), mood);
    let log = |status: &str| {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        state.log.push(format!("{} {path}", &status[..3]));
    };
    log(status);
    if mood == Mood::Endless {
        write!(stream, "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n").ok()?;
        loop {
            stream.write_all(&[b' '; 1 << 16]).ok()?;
        }
    }
    // Without content-length: what a proxy that compresses sends, too.
    write!(stream, "HTTP/1.1 {status}\r\nconnection: close\r\n").ok()?;
    if let Some(etag) = etag {
        write!(stream, "etag: {etag}\r\n").ok()?;
    }
    write!(stream, "\r\n").ok()?;
    stream.write_all(&body).ok()
}

fn answer(
    folder: &Path,
    path: &str,
    condition: Option<&str>,
    mood: Mood,
) -> (&'static str, Option<String>, Vec<u8>) {
    if matches!(mood, Mood::Busy(_)) {
        return ("503 Service Unavailable", None, Vec::new());
    }
    let file: PathBuf = folder.join(path.trim_start_matches('/'));
    let Ok(body) = std::fs::read(file) else {
        return ("404 Not Found", None, Vec::new());
    };
    let sum =
        body.iter().fold(0u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(*byte)));
    let etag = format!("\"{sum:x}\"");
    if condition == Some(etag.as_str()) {
        return ("304 Not Modified", Some(etag), Vec::new());
    }
    ("200 OK", Some(etag), body)
}
