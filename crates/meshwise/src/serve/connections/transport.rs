//! A connection's transport, which can be closed wherever it is: after an upgrade (web sockets,
//! `CONNECT`) it is in the hands of a task of the handler's.

use super::work::Kept;
use std::{
    io,
    pin::Pin,
    sync::{Arc, atomic::Ordering::Relaxed},
    task::{Context, Poll},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::oneshot,
};
use tokio_util::task::task_tracker::TaskTrackerToken;

/// A TCP connection that ends when its [`Hold`] says so, or is dropped.
pub(super) struct Transport {
    stream: TcpStream,
    /// Dropped with the stream: that is how the hold learns of it.
    close: oneshot::Receiver<()>,
    closed: bool,
    kept: Arc<Kept>,
    /// The drain waits for it.
    _tracked: TaskTrackerToken,
}

/// The server's hold on a transport.
pub(super) struct Hold(oneshot::Sender<()>);

impl Transport {
    pub(super) fn new(
        stream: TcpStream,
        tracked: TaskTrackerToken,
        kept: Arc<Kept>,
    ) -> (Self, Hold) {
        let (hold, close) = oneshot::channel();
        (Self { stream, close, closed: false, kept, _tracked: tracked }, Hold(hold))
    }

    /// Takes note of whether the client takes what is written.
    fn wrote<T>(&self, polled: Poll<T>) -> Poll<T> {
        if polled.is_pending() != self.kept.writing.load(Relaxed) {
            self.kept.writing.store(polled.is_pending(), Relaxed);
        }
        polled
    }

    /// Asks whether to close, where nothing comes or goes: what does not wait costs nothing more.
    fn is_closed(&mut self, cx: &mut Context<'_>) -> bool {
        if !self.closed && Pin::new(&mut self.close).poll(cx).is_ready() {
            self.closed = true;
            // Wakes who else waits, to write while this reads; it may be closed already.
            let _ = socket2::SockRef::from(&self.stream).shutdown(std::net::Shutdown::Both);
        }
        self.closed
    }
}

impl Hold {
    /// Waits until the transport is gone.
    pub(super) async fn gone(&mut self) {
        self.0.closed().await;
    }

    /// Ends reading as at the end of a stream, and writing with an error.
    pub(super) fn close(self) {
        // It may have gone.
        let _ = self.0.send(());
    }
}

fn closed<T>() -> Poll<io::Result<T>> {
    Poll::Ready(Err(io::Error::new(io::ErrorKind::BrokenPipe, "the server is shutting down")))
}

impl AsyncRead for Transport {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        match Pin::new(&mut this.stream).poll_read(cx, buffer) {
            Poll::Pending if this.is_closed(cx) => Poll::Ready(Ok(())),
            polled => polled,
        }
    }
}

impl AsyncWrite for Transport {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let polled = Pin::new(&mut this.stream).poll_write(cx, bytes);
        match this.wrote(polled) {
            Poll::Pending if this.is_closed(cx) => closed(),
            polled => polled,
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let polled = Pin::new(&mut this.stream).poll_write_vectored(cx, bytes);
        match this.wrote(polled) {
            Poll::Pending if this.is_closed(cx) => closed(),
            polled => polled,
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
