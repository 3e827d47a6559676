//! What the page, and others, may ask of what is kept.

mod duration;
pub(crate) mod filter;
mod guards;
mod jaeger;
mod logs;
mod map;
mod metrics;
mod numbers;
pub(crate) mod params;
mod problems;
mod span;
mod status;
mod trace;
mod traces;

use crate::{
    respond::{self, Reply},
    shared::Shared,
};
use filter::Filter;
use http::StatusCode;
use params::Params;
use serde_json::json;

/// The time that is looked at by default, and the most, in milliseconds.
const WINDOW: u64 = 60_000;
const LONGEST: u64 = 600_000;
/// So many traces or log records are listed by default, and at most.
const LISTED: u64 = 200;
const MOST: u64 = 10_000;

/// Answers a query of the console's own; none if there is no such query.
pub(crate) fn answer(shared: &Shared, path: &[&str], params: &Params) -> Option<Reply> {
    let now = shared.clock.now();
    let window = params.number("window").unwrap_or(WINDOW).clamp(5_000, LONGEST);
    let limit = params.number("limit").unwrap_or(LISTED).min(MOST);
    let limit = usize::try_from(limit).unwrap_or(0);
    let typed = || Filter::parse(params.get("q").unwrap_or_default());
    let watches = || shared.watched.lock().all.clone();
    Some(match path {
        ["status"] => {
            let watched = shared.watched.lock();
            respond::json(&status::status(shared, &shared.store.read(), &watched, now))
        }
        ["map"] => {
            let (watches, store) = (watches(), shared.store.read());
            let map = map::map(&store, &watches, now, window);
            let problems = problems::list(&store, &watches, &map, now);
            respond::json(&json!({"map": map, "problems": problems, "now": now, "window": window}))
        }
        ["traces"] => {
            let since = params.number("window").map_or(0, |window| now.saturating_sub(window));
            respond::json(&traces::list(&shared.store.read(), &typed(), since, limit))
        }
        ["traces", id] => {
            let store = shared.store.read();
            match u128::from_str_radix(id, 16).ok().and_then(|id| trace::view(&store, id)) {
                Some(view) => respond::json(&view),
                None => missing("this trace was never heard of, or is evicted"),
            }
        }
        ["traces", id, "spans", span] => {
            let store = shared.store.read();
            let ids = (u128::from_str_radix(id, 16), u64::from_str_radix(span, 16));
            let (Ok(id), Ok(span)) = ids else { return None };
            match trace::details(&store, id, span) {
                Some(details) => respond::json(&details),
                None => missing("this span was never heard of, or is evicted"),
            }
        }
        ["logs"] => {
            let after = params.number("after").unwrap_or(0);
            respond::json(&logs::list(&shared.store.read(), &typed(), after, limit))
        }
        ["services"] => respond::json(&metrics::services(&shared.store.read(), now, window)),
        ["services", service, "heat"] => {
            let store = shared.store.read();
            match metrics::heat(&store, now, window, service, params.get("operation")) {
                Some(heat) => respond::json(&heat),
                None => missing("this service or operation was never heard of"),
            }
        }
        ["services", service, "metrics"] => {
            let store = shared.store.read();
            respond::json(&metrics::metrics(&store, service, params.get("name")))
        }
        ["guards"] => {
            let watches = watches();
            respond::json(&guards::guards(&shared.store.read(), &watches, now, window))
        }
        ["apis"] => {
            let watches = watches();
            respond::json(&guards::apis(&shared.store.read(), &watches, now, window))
        }
        _ => return None,
    })
}

/// Answers a query of Jaeger's; none if there is no such query.
pub(crate) fn answer_jaeger(shared: &Shared, path: &[&str], params: &Params) -> Option<Reply> {
    let store = shared.store.read();
    Some(match path {
        ["services"] => respond::json(&jaeger::services(&store)),
        ["services", service, "operations"] => {
            respond::json(&jaeger::operations(&store, service, false, None))
        }
        ["operations"] => {
            let service = params.get("service").unwrap_or_default();
            let kind = params.get("spanKind").filter(|kind| !kind.is_empty());
            respond::json(&jaeger::operations(&store, service, true, kind))
        }
        ["traces"] => match jaeger::find(&store, params) {
            Ok(found) => respond::json(&found),
            Err(name) => {
                error(StatusCode::BAD_REQUEST, &format!("cannot read the parameter {name}"))
            }
        },
        ["traces", id] => {
            match u128::from_str_radix(id, 16).ok().and_then(|id| jaeger::one(&store, id)) {
                Some(found) => respond::json(&found),
                None => missing("trace not found"),
            }
        }
        ["dependencies"] => {
            let now = shared.clock.now();
            let end = params.number("endTs").map_or(now, |end| end.min(now));
            let window = params.number("lookback").unwrap_or(LONGEST);
            respond::json(&jaeger::dependencies(&store, end, window))
        }
        _ => return None,
    })
}

fn missing(message: &str) -> Reply {
    error(StatusCode::NOT_FOUND, message)
}

/// Answers with an error, in the form in which Jaeger says it, too.
fn error(status: StatusCode, message: &str) -> Reply {
    let body =
        json!({"data": null, "errors": [{"code": status.as_u16(), "msg": message}]}).to_string();
    respond::typed(status, "application/json", body.into())
}
