//! The ops routes on an address of their own.

use crate::Mesh;
use std::{io, net::SocketAddr};
use tokio::{
    net::{TcpListener, ToSocketAddrs},
    task::AbortHandle,
};

/// Serves the ops routes until it is dropped.
#[derive(Debug)]
#[must_use = "dropping it stops the server"]
pub struct OpsServer {
    address: SocketAddr,
    task: AbortHandle,
}

impl OpsServer {
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

impl Mesh {
    /// Serves the ops routes on an address of their own, such as `0.0.0.0:9090`, apart from the
    /// service's.
    ///
    /// # Errors
    /// If the address can't be listened on.
    pub async fn serve_ops(&self, address: impl ToSocketAddrs) -> io::Result<OpsServer> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let router = self.ops_router();
        let task = tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(OpsServer { address, task: task.abort_handle() })
    }
}
