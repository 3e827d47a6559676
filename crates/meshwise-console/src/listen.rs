//! Serves connections, so many at a time.

use crate::{respond::Reply, shared::Shared};
use http::Request;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use std::{
    convert::Infallible,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{net::TcpListener, sync::Semaphore, task::JoinSet};

/// So many connections are open at one port; further ones are closed at once.
const CONNECTIONS: usize = 512;
/// A request's head must be there within this time, and a connection's first request.
const HEAD: Duration = Duration::from_secs(10);
/// How often a silent HTTP/2 connection is asked whether it is alive.
const PING: Duration = Duration::from_secs(30);

/// Serves all connections with `answer`, for ever.
pub(crate) async fn serve<F, A>(listener: TcpListener, shared: Arc<Shared>, answer: F)
where
    F: Fn(Arc<Shared>, Request<Incoming>) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Reply> + Send + 'static,
{
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    // They end with this task.
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file descriptors, most likely: one may be free soon.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            shared.note_closed();
            continue;
        };
        let _ = stream.set_nodelay(true);
        let (shared, answer) = (Arc::clone(&shared), answer.clone());
        connections.spawn(async move {
            let begun = AtomicBool::new(false);
            let closed = Arc::clone(&shared);
            let service = service_fn(|request| {
                begun.store(true, Ordering::Relaxed);
                let reply = answer(Arc::clone(&shared), request);
                async move { Ok::<_, Infallible>(reply.await) }
            });
            let mut builder = auto::Builder::new(TokioExecutor::new());
            builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD).max_headers(64);
            builder
                .http2()
                .timer(TokioTimer::new())
                .max_concurrent_streams(64)
                .max_header_list_size(16 * 1024)
                .keep_alive_interval(PING);
            let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
            // Until it is known which HTTP is spoken, no timeout of hyper's applies. A connection that breaks
            // off is its sender's business.
            match tokio::time::timeout(HEAD, &mut connection).await {
                Ok(_) => {}
                Err(_) if begun.load(Ordering::Relaxed) => _ = connection.await,
                Err(_) => closed.note_closed(),
            }
            drop(place);
        });
    }
}
