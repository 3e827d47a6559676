//! What serves right now: how many servers, and where the ops routes are.

use super::settings::Surroundings;
use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::{
    sync::{OnceCell, watch},
    task::AbortHandle,
};

/// What the servers of one mesh share.
#[derive(Debug)]
pub(crate) struct Serving {
    pub(crate) surroundings: Surroundings,
    pub(crate) ops: OnceCell<Option<RunningOps>>,
    /// How many servers there are.
    pub(super) active: Arc<watch::Sender<usize>>,
    broken_off: AtomicU64,
    unfinished: AtomicU64,
}

impl Serving {
    pub(crate) fn new(in_kubernetes: bool) -> Self {
        Self {
            surroundings: Surroundings { in_kubernetes },
            ops: OnceCell::new(),
            active: Arc::new(watch::Sender::new(0)),
            broken_off: AtomicU64::new(0),
            unfinished: AtomicU64::new(0),
        }
    }

    pub(super) fn cut(&self, calls: u64) {
        self.broken_off.fetch_add(calls, Ordering::Relaxed);
    }

    pub(super) fn leave(&self, calls: u64) {
        self.unfinished.fetch_add(calls, Ordering::Relaxed);
    }

    /// Returns how many calls were broken off, and how many could not be.
    pub(crate) fn ended(&self) -> (u64, u64) {
        (self.broken_off.load(Ordering::Relaxed), self.unfinished.load(Ordering::Relaxed))
    }
}

/// Counts a server for as long as it is there.
pub(super) struct Active(Arc<watch::Sender<usize>>);

impl Active {
    pub(super) fn begin(all: &Arc<watch::Sender<usize>>) -> Self {
        all.send_modify(|count| *count += 1);
        Self(Arc::clone(all))
    }

    /// Waits for the others.
    pub(super) async fn end(self) {
        let mut all = self.0.subscribe();
        drop(self);
        // Its sender lives as long as the mesh.
        let _ = all.wait_for(|count| *count == 0).await;
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

/// Serves the ops routes until it is dropped.
#[derive(Debug)]
#[must_use = "dropping it stops the server"]
pub struct OpsServer {
    address: SocketAddr,
    task: AbortHandle,
}

impl OpsServer {
    pub(super) fn new(address: SocketAddr, task: AbortHandle) -> Self {
        Self { address, task }
    }

    /// Returns the address that it listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for OpsServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The ops routes that `Mesh::serve` has started; they end with the flush.
#[derive(Debug)]
pub(crate) enum RunningOps {
    /// On the address of the server that came first.
    SamePort(SocketAddr),
    Own(Mutex<Option<OpsServer>>),
}

impl RunningOps {
    pub(super) fn own(server: OpsServer) -> Self {
        Self::Own(Mutex::new(Some(server)))
    }

    pub(super) fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::SamePort(address) => Some(*address),
            Self::Own(server) => lock(server).as_ref().map(OpsServer::address),
        }
    }

    pub(crate) fn stop(&self) {
        if let Self::Own(server) = self {
            lock(server).take();
        }
    }
}

fn lock(server: &Mutex<Option<OpsServer>>) -> std::sync::MutexGuard<'_, Option<OpsServer>> {
    server.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
