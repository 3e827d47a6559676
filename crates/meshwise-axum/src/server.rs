//! The server layer, with what axum knows about a request.

use axum::extract::{ConnectInfo, MatchedPath};
use http::Extensions;
use meshwise_http::{ServerLayer, Telemetry};
use std::net::{IpAddr, SocketAddr};

/// Makes a `ServerLayer` that takes route templates from [`MatchedPath`], and the client's address
/// from [`ConnectInfo`] where the server provides it
/// (`app.into_make_service_with_connect_info::<SocketAddr>()`).
///
/// Use it with `Router::layer`: axum has matched the route by then. Around a whole `Router`, as a
/// plain tower layer, routes stay empty.
#[must_use]
pub fn server_layer(telemetry: Telemetry) -> ServerLayer {
    ServerLayer::new(telemetry)
        .with_route(matched_path)
        .with_client_address(client_address)
        .with_counted_body::<axum::body::Body>(axum::body::Body::new)
        .with_error::<axum::Error>()
}

fn matched_path(extensions: &Extensions) -> Option<&str> {
    extensions.get::<MatchedPath>().map(MatchedPath::as_str)
}

fn client_address(extensions: &Extensions) -> Option<IpAddr> {
    extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip())
}
