//! The page, its data, and Jaeger's query API. All of it is read only.
//!
//! | path | answers |
//! |---|---|
//! | `/`, `/ui/...` | the page |
//! | `/data/...` | what it shows, as JSON |
//! | `/events` | a server-sent event for each change, at most one a second |
//! | `/api/...` | Jaeger's query API |
//! | `/map`, `/services/{name}`, `/apis/{api}`, `/trace/{id}` | lead to a view, for links in alerts |

mod assets;
mod events;
mod views;

use crate::{
    gate::{self, Closed},
    query::{
        self,
        params::{LENGTH, Params},
    },
    respond::{self, Reply},
    shared::Shared,
};
use http::{HeaderValue, Method, Request, StatusCode, header};
use hyper::body::Incoming;
use percent_encoding::percent_decode_str;
use std::sync::Arc;

/// Nothing from elsewhere, nothing inline, and no text that becomes markup.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
    require-trusted-types-for 'script'; trusted-types 'none'";

/// Answers a request for the page.
pub(crate) async fn serve(shared: Arc<Shared>, request: Request<Incoming>) -> Reply {
    let mut reply = answer(shared, &request).await;
    let headers = reply.headers_mut();
    let fixed = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert("cross-origin-opener-policy", HeaderValue::from_static("same-origin"));
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("same-origin"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    reply
}

async fn answer(shared: Arc<Shared>, request: &Request<Incoming>) -> Reply {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        let mut reply = respond::text(StatusCode::METHOD_NOT_ALLOWED, "the console is read only\n");
        reply.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        return reply;
    }
    let query = request.uri().query();
    if query.is_some_and(|query| query.len() > LENGTH) {
        // A part of it would be another question.
        let text = format!("a query has at most {LENGTH} bytes\n");
        return respond::text(StatusCode::URI_TOO_LONG, text);
    }
    let params = Params::parse(query);
    let path = request.uri().path();
    if let Err(closed) = gate::check(&shared, request.uri(), request.headers()) {
        if closed == Closed::Token
            && let (Some(token), Some(shown)) = (&shared.token, params.get("token"))
            && gate::same(shown, token)
        {
            return enter(path, token);
        }
        shared.note_closed();
        return closed.reply();
    }
    let decoded: Vec<_> = path
        .trim_start_matches('/')
        .split('/')
        .map(|part| percent_decode_str(part).decode_utf8_lossy().into_owned())
        .collect();
    let parts: Vec<&str> = decoded.iter().map(String::as_str).collect();
    match parts.as_slice() {
        ["events"] => events::stream(&shared),
        ["data" | "api", ..] => ask(shared, decoded, params).await,
        ["map" | "services" | "apis" | "guards" | "trace", ..] => views::lead(&parts, &params),
        _ => assets::find(path)
            .unwrap_or_else(|| respond::text(StatusCode::NOT_FOUND, "not found\n")),
    }
}

/// Runs a query apart from the threads that serve connections.
async fn ask(shared: Arc<Shared>, path: Vec<String>, params: Params) -> Reply {
    let Ok(_turn) = shared.querying.acquire().await else {
        return respond::text(StatusCode::SERVICE_UNAVAILABLE, "the console is stopping\n");
    };
    let here = Arc::clone(&shared);
    let work = move || {
        let parts: Vec<&str> = path.iter().map(String::as_str).collect();
        match parts.as_slice() {
            ["data", rest @ ..] => query::answer(&here, rest, &params),
            ["api", rest @ ..] => query::answer_jaeger(&here, rest, &params),
            _ => None,
        }
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(Some(reply)) => reply,
        Ok(None) => respond::text(StatusCode::NOT_FOUND, "there is no such query\n"),
        Err(_) => respond::text(StatusCode::INTERNAL_SERVER_ERROR, "the query broke off\n"),
    }
}

/// Keeps the token in a cookie, so that it leaves the address, and the browser's history of it.
fn enter(path: &str, token: &str) -> Reply {
    let mut reply = respond::text(StatusCode::SEE_OTHER, "");
    let cookie = format!("{}={token}; Path=/; HttpOnly; SameSite=Strict", gate::COOKIE);
    // Tokens and paths of requests are visible ASCII.
    if let (Ok(cookie), Ok(path)) = (HeaderValue::try_from(cookie), HeaderValue::try_from(path)) {
        reply.headers_mut().insert(header::SET_COOKIE, cookie);
        reply.headers_mut().insert(header::LOCATION, path);
    }
    reply
}
