//! The ops routes on an address of their own.

use super::{
    connections::Connections,
    ends::Cut,
    running::{OpsServer, RunningOps},
    settings::OpsAddr,
};
use crate::mesh::{Mesh, Parts};
use meshwise_core::settings::{Setting, Source};
use std::{future::pending, io, net::SocketAddr};
use tokio::net::{TcpListener, ToSocketAddrs};

impl Mesh {
    /// Serves the ops routes on an address of their own, such as `0.0.0.0:9464`, for a server of
    /// one's own; [`serve`](Self::serve) does that itself.
    ///
    /// # Errors
    /// If the address cannot be listened on.
    pub async fn serve_ops(&self, address: impl ToSocketAddrs) -> io::Result<OpsServer> {
        serve(self, TcpListener::bind(address).await?)
    }
}

fn serve(mesh: &Mesh, listener: TcpListener) -> io::Result<OpsServer> {
    let address = listener.local_addr()?;
    mesh.resource().serve_ops_at(address);
    let router = mesh.ops_router();
    let connections = Connections::new(Cut::default(), mesh.dispatch().clone());
    let task = tokio::spawn(async move { connections.accept(listener, router, pending()).await });
    Ok(OpsServer::new(address, task.abort_handle()))
}

/// Returns where the ops routes are to be.
pub(super) fn wanted(mesh: &Mesh) -> OpsAddr {
    mesh.0.serving.surroundings.ops(&mesh.settings().ops)
}

/// Says whether a server has the ops routes among its own (complete by nature).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    SamePort,
    Elsewhere,
}

/// Starts the ops routes, once for all servers of a mesh, and says where those of the server at
/// `address` are. What goes wrong is logged: a service does not fail to start for its metrics.
pub(super) async fn start(mesh: &Mesh, address: SocketAddr) -> Place {
    let parts = &*mesh.0;
    let wanted = wanted(mesh);
    parts.in_force.change(|all| {
        if !all.ops.addr.is_set() {
            all.ops.addr = Setting::new(wanted.to_string(), Source::Default);
        }
    });
    let begin = async || match wanted {
        OpsAddr::Off => None,
        OpsAddr::SamePort => {
            mesh.resource().serve_ops_at(address);
            Some(RunningOps::SamePort(address))
        }
        OpsAddr::At(wanted) => {
            let listener = listen(parts, wanted).await?;
            let server = serve(mesh, listener).ok()?;
            Some(RunningOps::own(server))
        }
    };
    match parts.serving.ops.get_or_init(begin).await {
        Some(RunningOps::SamePort(of)) if *of == address => Place::SamePort,
        _ => Place::Elsewhere,
    }
}

async fn listen(parts: &Parts, wanted: SocketAddr) -> Option<TcpListener> {
    let free = match TcpListener::bind(wanted).await {
        Ok(listener) => return Some(listener),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            TcpListener::bind((wanted.ip(), 0)).await
        }
        Err(error) => Err(error),
    };
    match free.and_then(|listener| Ok((listener.local_addr()?, listener))) {
        Ok((address, listener)) => {
            parts.log(|| {
                tracing::warn!(
                    target: "meshwise", %wanted, %address,
                    "the ops routes' address {wanted} is taken; they are on {address} instead \
                     (MESHWISE_OPS_ADDR sets it)"
                );
            });
            Some(listener)
        }
        Err(error) => {
            parts.log(|| {
                tracing::warn!(
                    target: "meshwise", %wanted,
                    "there are no ops routes: {wanted} cannot be listened on: {error} \
                     (MESHWISE_OPS_ADDR sets it)"
                );
            });
            None
        }
    }
}
