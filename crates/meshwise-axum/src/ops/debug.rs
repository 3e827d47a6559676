//! `/debug/calls` and `/debug/bundle`: what runs now, and all that an incident's review wants.

mod bundle;
mod calls;

pub(super) use bundle::{Bundle, get as get_bundle};
pub(super) use calls::{ShownCalls, ShownMessages, get as get_calls};

use axum::{
    extract::{ConnectInfo, Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, StatusCode};
use std::net::SocketAddr;

/// Says who may read `/debug/calls` and `/debug/bundle`, which name callers, peers and addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "complete by nature")]
pub enum DebugAccess {
    /// No one.
    Off,
    /// Who calls from the same machine (`kubectl port-forward` does), without a proxy between that says
    /// so. It takes the caller's address, axum's `ConnectInfo<SocketAddr>`.
    #[default]
    Local,
    /// All who reach the ops routes.
    On,
}

/// What a proxy adds.
const FORWARDED: [&str; 4] = ["forwarded", "via", "x-forwarded-for", "x-real-ip"];

/// Lets those pass who may read.
pub(super) async fn guard(
    State(access): State<DebugAccess>,
    request: Request,
    next: Next,
) -> Response {
    let address = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let local = address.is_some_and(|address| is_local(address.0, request.headers()));
    if access == DebugAccess::On || (access == DebugAccess::Local && local) {
        return next.run(request).await;
    }
    let said = "only who calls from the same machine may read this; the setting ops.debug = \"on\" \
                (MESHWISE_OPS_DEBUG) lets all who reach the ops routes\n";
    (StatusCode::FORBIDDEN, said).into_response()
}

fn is_local(address: SocketAddr, headers: &HeaderMap) -> bool {
    let proxied = FORWARDED.iter().any(|name| headers.contains_key(*name));
    address.ip().to_canonical().is_loopback() && !proxied
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn only_the_same_machine_is_local_and_not_through_a_proxy() {
        let local = |address: &str, header: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            if let Some(header) = header {
                headers.insert(header, HeaderValue::from_static("10.0.0.1"));
            }
            is_local(address.parse().expect("an address"), &headers)
        };
        for address in ["127.0.0.1:9", "127.8.0.1:9", "[::1]:9", "[::ffff:127.0.0.1]:9"] {
            assert!(local(address, None), "{address}");
            for header in FORWARDED {
                assert!(!local(address, Some(header)), "{address} {header}");
            }
        }
        for address in ["10.0.0.1:9", "[fe80::1]:9", "0.0.0.0:9", "[::ffff:10.0.0.1]:9"] {
            assert!(!local(address, None), "{address}");
        }
    }
}
