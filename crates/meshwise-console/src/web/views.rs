//! Addresses of views as alerts have them, which lead to where the page shows them.

use crate::{
    query::params::Params,
    respond::{self, Reply},
};
use http::{HeaderValue, StatusCode, header};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// Leads to a view.
pub(super) fn lead(path: &[&str], params: &Params) -> Reply {
    let part = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let view = match path {
        ["map"] => match (params.get("client"), params.get("server")) {
            (Some(client), Some(server)) => format!("map/edge/{}/{}", part(client), part(server)),
            (None, Some(node)) | (Some(node), None) => format!("map/node/{}", part(node)),
            (None, None) => "map".to_owned(),
        },
        ["services", name] => format!("metrics/{}", part(name)),
        ["apis", api] => format!("apis/{}", part(api)),
        ["trace", id] => format!("trace/{}", part(id)),
        ["guards" | "apis", ..] => part(path[0]),
        _ => return respond::text(StatusCode::NOT_FOUND, "not found\n"),
    };
    let mut reply = respond::text(StatusCode::SEE_OTHER, "");
    if let Ok(address) = HeaderValue::try_from(format!("/#/{view}")) {
        reply.headers_mut().insert(header::LOCATION, address);
    }
    reply
}
