//! Endings that are akin to those that were reported, and that no one has reported yet. A raw peer (or client) does
//! something to its connection; what its caller gets, spans, metrics, guards and the peer's own count tell one story.

mod broken;
mod deadlines;
mod frames;
mod own;
mod served;

use super::*;
use http_body_util::BodyExt;
use meshwise::opentelemetry_sdk::trace::SpanData;
use meshwise_testing::Metric;
use std::collections::BTreeMap;
use tokio::sync::Semaphore;

/// What a raw peer does on a connection: having read a request's head (or at once) it says this.
#[derive(Clone, Debug)]
struct Turn {
    at_once: bool,
    says: String,
    then: Then,
}

/// What becomes of a connection after that.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Then {
    Fin,
    Rst,
    /// An RST, once the caller has the head of the answer.
    LateRst,
    /// The next request on it is answered likewise.
    Keep,
    /// Nothing more is said.
    Silent,
}
use Then::{Fin, Keep, LateRst, Rst, Silent};

/// Answers well, each time.
fn ok() -> Turn {
    let says = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok".to_owned();
    Turn { at_once: false, says, then: Keep }
}

/// A peer on a raw socket.
struct Raw {
    url: String,
    seen: Arc<Seen>,
    task: JoinHandle<()>,
}

/// What a peer and its caller have seen of each other.
struct Seen {
    connections: AtomicUsize,
    requests: AtomicUsize,
    /// Lets the other side go on.
    go: Semaphore,
}

impl Raw {
    /// Takes a turn for each connection; the last one for all that come after.
    async fn start(turns: &[Turn]) -> Self {
        let turns = turns.to_vec();
        let at = move |at: usize| turns[at.min(turns.len() - 1)].clone();
        Self::taking(move |n, stream, seen| take(at(n), stream, seen)).await
    }

    /// Takes connections, which are numbered.
    async fn taking<F>(take: impl Fn(usize, TcpStream, Arc<Seen>) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let [connections, requests] = [(); 2].map(|()| AtomicUsize::new(0));
        let seen = Arc::new(Seen { connections, requests, go: Semaphore::new(0) });
        let shared = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            let mut tasks = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let at = shared.connections.fetch_add(1, SeqCst);
                tasks.spawn(take(at, stream, Arc::clone(&shared)));
            }
        });
        Self { url, seen, task }
    }

    /// Returns how many connections and requests it has seen.
    fn seen(&self) -> String {
        format!("{}/{}", self.seen.connections.load(SeqCst), self.seen.requests.load(SeqCst))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn take(turn: Turn, mut stream: TcpStream, seen: Arc<Seen>) {
    loop {
        if !turn.at_once {
            if read_head(&mut stream).await.is_none() {
                return;
            }
            seen.requests.fetch_add(1, SeqCst);
        }
        drop(stream.write_all(turn.says.as_bytes()).await);
        if turn.at_once {
            seen.go.add_permits(1);
        }
        match turn.then {
            Keep => {}
            Silent => std::future::pending().await,
            Fin => return close(stream).await,
            Rst => return drop(stream.set_zero_linger()),
            LateRst => {
                seen.go.acquire().await.expect("open").forget();
                return drop(stream.set_zero_linger());
            }
        }
    }
}

/// Sends all that was said, and the end. To drop what the other side has sent would be an RST.
async fn close(mut stream: TcpStream) {
    drop(stream.shutdown().await);
    drop(tokio::io::copy(&mut stream, &mut tokio::io::sink()).await);
}

/// Reads the head of a message, and nothing behind it.
async fn read_head(stream: &mut TcpStream) -> Option<String> {
    let (mut seen, mut byte) = (Vec::new(), [0]);
    while !seen.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).await.ok()?;
        seen.push(byte[0]);
    }
    String::from_utf8(seen).ok()
}

/// Returns how many attempts a story tells of.
fn attempts(story: &str) -> usize {
    story.split(" | ").nth(1).map_or(0, |spans| spans.split(' ').count())
}

/// Returns what is told of the calls to `stock` once so many attempts have ended: what the caller got, `error.type` of
/// each attempt's span (`-` for none), and the calls and failures that the breaker has counted, or its state.
async fn told(mesh: &TestMesh, caller: &str, attempts: usize) -> String {
    let words = error_types(mesh, &SpanKind::Client, attempts).await;
    agrees(mesh, "client", &words);
    eventually("permits are free", || {
        mesh.guards().bulkhead("stock").is_none_or(|one| one.snapshot().in_use == 0)
    })
    .await;
    let seen = breaker(mesh);
    let counted = match seen.state {
        BreakerState::Closed => format!("{}/{}", seen.calls, seen.failed),
        state => state.as_str().to_owned(),
    };
    format!("{caller} | {} | {counted}", words.join(" "))
}

/// Returns `error.type` of a side's spans, once there are so many; `-` for none.
async fn error_types(mesh: &TestMesh, kind: &SpanKind, count: usize) -> Vec<String> {
    let spans = || mesh.spans().of_kind(kind);
    eventually("all calls end", || spans().data().len() >= count).await;
    let word = |span: &SpanData| {
        let error = span.attributes.iter().find(|one| one.key.as_str() == "error.type");
        error.map_or_else(|| "-".to_owned(), |error| error.value.to_string())
    };
    spans().data().iter().map(word).collect()
}

/// Asserts that the metrics of a side count what its spans say.
fn agrees(mesh: &TestMesh, side: &str, words: &[String]) {
    let (http, rpc) = (
        mesh.metric(&format!("http_{side}_request_duration_seconds_count")),
        mesh.metric(&format!("rpc_{side}_call_duration_seconds_count")),
    );
    let both = |change: &dyn Fn(Metric) -> Metric| {
        [&http, &rpc].iter().filter_map(|&one| change(one.clone()).value()).sum::<f64>()
    };
    assert_eq!(both(&|all| all), words.len() as f64, "{side}: {words:?}");
    let mut counts = BTreeMap::<_, f64>::new();
    words.iter().for_each(|word| *counts.entry(word).or_default() += 1.0);
    for (word, count) in counts.into_iter().filter(|(word, _)| *word != "-") {
        assert_eq!(both(&|all| all.label("error_type", word)), count, "{side}: {word}");
    }
}

/// Calls, treats the body as said, and returns what came of it.
async fn call(
    client: &Client,
    peer: Option<&Raw>,
    request: Request<reqwest::Body>,
    reader: Reader,
) -> String {
    let answer = timeout(PATIENCE, client.clone().oneshot(request)).await.expect("in time");
    let mut answer = match answer {
        Ok(answer) => answer.map(Body::new),
        Err(error) => return error.error_type().to_string(),
    };
    peer.inspect(|peer| peer.seen.go.add_permits(1));
    let status = answer.status().as_u16();
    let read = async {
        let pieces = match reader {
            Reader::Drops => 0,
            Reader::ReadsHalf => 1,
            Reader::ReadsAll => usize::MAX,
        };
        for _ in 0..pieces {
            match answer.body_mut().frame().await {
                Some(frame) => drop(frame?),
                None => break,
            }
        }
        Ok::<_, axum::Error>(())
    };
    let whole = timeout(PATIENCE, read).await.expect("in time").is_ok();
    format!("{status}{}", if whole { "" } else { ", broken" })
}
