//! `/apis` and the API catalogue.

use axum::{body::Body, extract::State, response::Response};
use http::{Request, StatusCode};
use meshwise_api_http::ApiPages;

/// The paths that the pages answer.
pub(super) const PATHS: [&str; 4] =
    ["/apis", "/apis/", "/apis/{*page}", "/.well-known/api-catalog"];

pub(super) async fn get(State(pages): State<ApiPages>, request: Request<Body>) -> Response {
    match pages.respond(&request) {
        Some(response) => response.map(Body::from),
        None => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::NOT_FOUND;
            response
        }
    }
}
