//! The server layer, with what axum knows about a request.

use axum::{
    extract::{ConnectInfo, MatchedPath, NestedPath},
    routing::Route,
};
use http::Extensions;
use meshwise_core::outcome::Fault;
use meshwise_http::{ServerLayer, Telemetry, hyper_fault};
use std::{
    error::Error,
    net::{IpAddr, SocketAddr},
};

/// Makes a `ServerLayer` that takes route templates from [`MatchedPath`], and the client's address
/// from [`ConnectInfo`] where the server provides it
/// (`app.into_make_service_with_connect_info::<SocketAddr>()`).
///
/// Use it with `Router::layer`: axum has matched the route by then. Around a whole `Router`, as a
/// plain tower layer, routes stay empty. So they do for what `nest_service` mounts, of which axum
/// tells a layer outside of it nothing. Put the layer on the mounted service then, also where another
/// stands around it all (as `Mesh::serve` has it), which it tells the route: if the service is a
/// router, routes are whole, otherwise the path it is mounted at ([`NestedPath`]) stands for them.
///
/// ```
/// # use axum::{Router, body::Body, response::Response, routing::get};
/// # fn routes(telemetry: meshwise_http::Telemetry) -> Router {
/// # use tower::Layer;
/// let layer = meshwise_axum::server_layer(telemetry);
/// let files = tower::service_fn(async |_| {
///     Ok::<_, std::convert::Infallible>(Response::new(Body::from("a file")))
/// });
/// Router::new()
///     .route("/orders/{id}", get(|| async { "an order" }))
///     // Before the mount: `layer` adds to the routes that are there already.
///     .layer(layer.clone())
///     // `http_route` is `/files`.
///     .nest_service("/files", layer.layer(files))
/// # }
/// ```
#[must_use]
pub fn server_layer(telemetry: Telemetry) -> ServerLayer {
    ServerLayer::new(telemetry)
        .with_route(route)
        .with_client_address(client_address)
        .with_counted_body::<axum::body::Body>(axum::body::Body::new)
        .with_deferring::<Route>()
        .with_error::<axum::Error>()
        .with_fault(fault)
}

/// Translates the errors that axum's bodies bring: those of hyper and h2, such as a body that was
/// handed on from a peer and broke off; `None` for every other. A rule for `Classifier::with_fault`
/// and the layers' `with_fault`.
#[must_use]
pub fn fault(error: &(dyn Error + 'static)) -> Option<Fault> {
    hyper_fault(error)
}

/// Finds the template that axum matched a request's path with.
fn route(extensions: &Extensions) -> Option<&str> {
    let matched = extensions.get::<MatchedPath>().map(MatchedPath::as_str);
    // Inside of a mounted service, and in the fallback of a nested router, this much did match.
    matched.or_else(|| extensions.get::<NestedPath>().map(NestedPath::as_str))
}

fn client_address(extensions: &Extensions) -> Option<IpAddr> {
    extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip())
}
