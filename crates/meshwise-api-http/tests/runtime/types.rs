//! That the types fit where applications put them.

use crate::support::{Body, DECLARED};
use bytes::Bytes;
use http::{Request, Response};
use meshwise_api::{Date, Declared};
use meshwise_api_http::{ApiClientLayer, ApiServerLayer};
use std::convert::Infallible;
use tower::{BoxError, Layer, Service, service_fn};

#[test]
fn a_declaration_written_by_a_build_is_included() {
    // Nothing of the fixture needs names in scope, nor a build script.
    let declared: Declared =
        meshwise_api::declared!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/runtime/declared.in"));
    let version = declared.provided("orders").and_then(|api| api.version("1.1")).unwrap();
    assert_eq!(version.released, Date::new(2024, 2, 29));
    assert_eq!(declared.checked_on, Date::new(2026, 11, 21));
}

/// What axum asks of a layered service.
fn goes_into_a_router<S, B>(_: S)
where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible>,
    S: Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
}

#[test]
fn layered_services_can_be_shared_and_sent() {
    let handler =
        service_fn(|_: Request<Body>| std::future::ready(Ok(Response::new(Body::default()))));
    goes_into_a_router::<_, _>(ApiServerLayer::new(DECLARED).unwrap().layer(handler));

    fn sent<S: Service<Request<Body>, Future: Send> + Clone + Send + Sync>(_: S) {}
    let client = service_fn(|_: Request<Body>| {
        std::future::ready(Ok::<_, BoxError>(Response::new(Body::default())))
    });
    sent(ApiClientLayer::new(DECLARED, "auth").layer(client));
}
