//! Accepting connections, and ending them within bounds.

mod transport;
mod work;

use super::ends::Cut;
use axum::{Router, body::Body, extract::ConnectInfo};
use http::{Method, Request};
use hyper::{body::Incoming, rt::Executor, service::Service as HyperService};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::conn::auto,
};
use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    pin::pin,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};
use tokio::{
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};
use tower::Service as _;
use tracing::Dispatch;
use transport::Transport;
use work::{CallBody, CallFuture, Calls, Kept};

/// How long a connection may send nothing before its request's head is complete, between requests
/// included. Longer than common clients (reqwest: 90 s) keep idle connections, so that it is they who
/// close: a request that is sent on a connection that closes is lost.
const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(120);

/// How many connections may wait to be accepted (Linux: `net.core.somaxconn`).
const MOST_WAITING: usize = 4096;

/// How long connections get to send what calls that are broken off answer, and again as long to end.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// How long breaking off takes at most, after the drain timeout.
#[cfg(test)]
pub(super) const BREAKING_OFF: Duration = LAST_WORDS.saturating_mul(2);

/// Where connections come from.
pub(super) trait Accept {
    fn next(&mut self) -> impl Future<Output = io::Result<(TcpStream, SocketAddr)>> + Send;
}

impl Accept for TcpListener {
    async fn next(&mut self) -> io::Result<(TcpStream, SocketAddr)> {
        self.accept().await
    }
}

/// The tasks of a server's connections (and of the streams of those that speak HTTP/2). Dropping the
/// last one that is not a task ends them all.
pub(super) struct Connections {
    tasks: Tasks,
    _end: DropGuard,
}

#[derive(Clone)]
struct Tasks {
    tracker: TaskTracker,
    /// Connections finish the calls in flight, and take no others.
    finish: CancellationToken,
    /// Calls are broken off.
    broken: CancellationToken,
    /// Connections are dropped.
    end: CancellationToken,
    cut: Cut,
    dispatch: Dispatch,
}

impl<F> Executor<F> for Tasks
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, task: F) {
        self.spawn(task);
    }
}

impl Tasks {
    fn spawn<F>(&self, task: F)
    where
        F: Future + Send + 'static,
        F::Output: Send,
    {
        let (broken, end) = (self.broken.clone(), self.end.clone());
        self.tracker.spawn(async move {
            let mut task = pin!(task);
            let ended = async {
                tokio::select! {
                    biased;
                    _ = &mut task => return,
                    () = broken.cancelled() => {}
                }
                // Polled once more, so that the calls in it see that they are broken off.
                task.await;
            };
            end.run_until_cancelled(ended).await;
        });
    }

    fn log(&self, log: impl FnOnce()) {
        tracing::dispatcher::with_default(&self.dispatch, log);
    }
}

impl Connections {
    pub(super) fn new(cut: Cut, dispatch: Dispatch) -> Self {
        let end = CancellationToken::new();
        let tasks = Tasks {
            tracker: TaskTracker::new(),
            finish: CancellationToken::new(),
            broken: CancellationToken::new(),
            end: end.clone(),
            cut,
            dispatch,
        };
        Self { tasks, _end: end.drop_guard() }
    }

    /// Serves what comes until `until` is ready. Errors of accepting never end it.
    pub(super) async fn accept(
        &self,
        mut from: impl Accept,
        app: Router,
        until: impl Future<Output = ()>,
    ) {
        // Routes are finished here and not for each request.
        let app = app.with_state(());
        let mut until = pin!(until);
        let mut trouble = Trouble::default();
        loop {
            let accepted = tokio::select! {
                biased;
                () = &mut until => return self.accept_waiting(from, &app).await,
                accepted = from.next() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    trouble = Trouble::default();
                    self.begin(stream, peer, app.clone());
                }
                // The one that wanted to connect has gone.
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    if trouble.is_news() {
                        self.tasks.log(|| {
                            tracing::warn!(
                                target: "meshwise",
                                "connections cannot be accepted, trying again: {error}"
                            );
                        });
                    }
                    tokio::select! {
                        biased;
                        () = &mut until => return,
                        () = tokio::time::sleep(trouble.pause()) => {}
                    }
                }
            }
        }
    }

    /// Takes the connections that the system has accepted already: closing the port would reset them,
    /// and what was sent on them be lost.
    async fn accept_waiting(&self, mut from: impl Accept, app: &Router) {
        // So that the runtime looks at what has come.
        tokio::task::yield_now().await;
        for _ in 0..MOST_WAITING {
            tokio::select! {
                biased;
                Ok((stream, peer)) = from.next() => self.begin(stream, peer, app.clone()),
                () = std::future::ready(()) => return,
            }
        }
    }

    fn begin(&self, stream: TcpStream, peer: SocketAddr, app: Router) {
        // Without it, small answers wait for the acknowledgement of those before.
        let _ = stream.set_nodelay(true);
        let tasks = self.tasks.clone();
        self.tasks.spawn(async move { connection(stream, peer, app, tasks).await });
    }

    /// Lets the calls in flight finish for so long, then breaks them off. Bounded also where a
    /// handler blocks its thread.
    pub(super) async fn drain(&self, limit: Duration) {
        let Tasks { tracker, finish, broken, end, cut, .. } = &self.tasks;
        tracker.close();
        finish.cancel();
        if timeout(limit, tracker.wait()).await.is_ok() {
            return;
        }
        cut.now();
        broken.cancel();
        if timeout(LAST_WORDS, tracker.wait()).await.is_ok() {
            return;
        }
        end.cancel();
        let _stuck = timeout(LAST_WORDS, tracker.wait()).await;
    }
}

async fn connection(stream: TcpStream, peer: SocketAddr, app: Router, tasks: Tasks) {
    let mut server = auto::Builder::new(tasks.clone());
    server.http1().timer(TokioTimer::new()).header_read_timeout(HEADER_READ_TIMEOUT);
    server.http2().timer(TokioTimer::new()).enable_connect_protocol();
    // Telling HTTP/1 from HTTP/2 takes bytes, and hyper waits for them without limit.
    let mut first = [0];
    let spoke = async {
        matches!(timeout(HEADER_READ_TIMEOUT, stream.peek(&mut first)).await, Ok(Ok(1..)))
    };
    let spoke = tokio::select! {
        biased;
        spoke = spoke => spoke,
        () = tasks.finish.cancelled() => false,
    };
    if !spoke {
        return;
    }
    let (calls, kept) = (Calls::default(), Arc::new(Kept::default()));
    let idle = calls.idle(Arc::clone(&kept));
    let (transport, mut hold) = Transport::new(stream, tasks.tracker.token(), Arc::clone(&kept));
    let service = PerConnection { app, peer, calls, kept };
    let ended = {
        let served = server.serve_connection_with_upgrades(TokioIo::new(transport), service);
        let mut served = pin!(served);
        tokio::select! {
            biased;
            ended = served.as_mut() => ended,
            () = tasks.finish.cancelled() => {
                served.as_mut().graceful_shutdown();
                tokio::select! {
                    biased;
                    ended = served => ended,
                    () = idle.for_a_while() => Ok(()),
                }
            }
        }
    };
    if let Err(error) = ended {
        // Calls on it have ended with a verdict of their own.
        tasks.log(|| tracing::trace!(target: "meshwise", "a connection broke: {error}"));
    }
    // After an upgrade another task has it, and may keep it for as long as calls may take.
    tokio::select! {
        biased;
        () = hold.gone() => return,
        () = tasks.broken.cancelled() => {}
    }
    tasks.cut.count();
    hold.close();
}

/// Serves the requests of one connection.
struct PerConnection {
    app: Router,
    peer: SocketAddr,
    calls: Calls,
    kept: Arc<Kept>,
}

impl HyperService<Request<Incoming>> for PerConnection {
    type Response = http::Response<CallBody>;
    type Error = Infallible;
    type Future = CallFuture<axum::routing::future::RouteFuture<Infallible>>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        request.extensions_mut().insert(ConnectInfo(self.peer));
        if request.method() == Method::CONNECT {
            self.kept.tunnel.store(true, Relaxed);
        }
        // A router is always ready.
        CallFuture::new(self.app.clone().call(request.map(Body::new)), self.calls.begin())
    }
}

/// Tells an error of the connection from one of the listener (or of the process: no more files).
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
    )
}

/// Errors in a row.
#[derive(Debug, Default)]
struct Trouble {
    errors: u32,
}

impl Trouble {
    /// The first, and about one in a minute from then on.
    fn is_news(&self) -> bool {
        self.errors.is_multiple_of(64)
    }

    /// 10 ms, doubled each time, up to 1 s.
    fn pause(&mut self) -> Duration {
        let pause = Duration::from_millis(10 << self.errors.min(7));
        self.errors += 1;
        pause.min(Duration::from_secs(1))
    }
}

#[cfg(test)]
mod tests;
