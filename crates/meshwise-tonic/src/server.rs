//! The server layer, with what tonic knows about a request.

use crate::error::fault;
use http::Extensions;
use meshwise_http::{ServerLayer, Telemetry};
use std::net::IpAddr;
use tonic::{Status, body::Body, transport::server::TcpConnectInfo};

/// Makes a `ServerLayer` for `tonic::transport::Server::layer`.
#[must_use]
pub fn server_layer(telemetry: Telemetry) -> ServerLayer {
    observe_tonic(ServerLayer::new(telemetry))
}

/// Teaches a layer what tonic knows: the client's address, what a [`Status`] means, and how to
/// count the messages within tonic's bodies.
#[must_use]
pub fn observe_tonic(layer: ServerLayer) -> ServerLayer {
    // Without these features, tonic's routes may not be in the tree.
    #[cfg(any(feature = "health", feature = "reflection"))]
    let layer = layer.with_deferring::<tonic::service::Routes>();
    layer
        .with_client_address(client_address)
        .with_counted_body::<Body>(Body::new)
        .with_error::<Status>()
        .with_fault(fault)
}

fn client_address(extensions: &Extensions) -> Option<IpAddr> {
    let address = extensions.get::<TcpConnectInfo>()?.remote_addr()?;
    Some(address.ip())
}
