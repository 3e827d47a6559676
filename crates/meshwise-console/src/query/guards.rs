//! The guards of every peer, and the APIs with who calls what.

use super::numbers::round;
use crate::{store::Store, watch::Watch};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// Is a service's guards.
#[derive(Debug, Serialize)]
pub(crate) struct Guarded<'a> {
    service: &'a str,
    address: String,
    answered: Option<u64>,
    problem: Option<&'a str>,
    /// The page `/resilience`, as it is.
    page: Option<&'a Value>,
    /// Changes of breakers: time and state.
    breakers: &'a BTreeMap<String, std::collections::VecDeque<(u64, String)>>,
    /// Calls that guards refused, a second, by peer and reason.
    refused: Vec<(String, String, f64)>,
    /// Instances by peer and state.
    instances: Vec<(String, String, f64)>,
}

/// Lists the guards of all services whose pages are read.
pub(crate) fn guards<'a>(
    store: &Store,
    watches: &'a [Watch],
    now: u64,
    window: u64,
) -> Vec<Guarded<'a>> {
    let of = |watch: &'a Watch| {
        let service = store.services.find(&watch.service).and_then(|at| store.services.get(at));
        let lines = |name| service.into_iter().flat_map(move |service| service.series.lines(name));
        let refused = lines("meshwise_calls_refused_total").filter_map(|line| {
            let (grown, over) = line.growth(now, window)?;
            #[expect(clippy::cast_precision_loss, reason = "milliseconds")]
            let rate = round(grown / (over as f64 / 1e3));
            (rate > 0.0).then(|| Some(pair(line, "reason", rate)))?
        });
        let instances =
            lines("meshwise_instances").filter_map(|line| pair(line, "state", line.value()?));
        Guarded {
            service: &watch.service,
            address: watch.address.to_string(),
            answered: watch.answered,
            problem: watch.problem.as_deref(),
            page: watch.resilience.as_ref(),
            breakers: &watch.breakers,
            refused: refused.flatten().collect(),
            instances: instances.collect(),
        }
    };
    watches.iter().map(of).collect()
}

fn pair(
    line: &crate::store::series::Line,
    label: &str,
    value: f64,
) -> Option<(String, String, f64)> {
    Some((line.label("peer")?.to_owned(), line.label(label)?.to_owned(), value))
}

/// Is a service's APIs.
#[derive(Debug, Serialize)]
pub(crate) struct Provided<'a> {
    service: &'a str,
    /// The page `/apis`, as it is.
    page: Option<&'a Value>,
    calls: Vec<CallsView>,
}

/// Counts the calls of one caller to one version.
#[derive(Debug, Serialize)]
pub(crate) struct CallsView {
    api: String,
    version: String,
    state: String,
    caller: String,
    verified: bool,
    calls: f64,
    /// Calls a second.
    rate: f64,
}

/// Lists APIs and who calls them: of services whose page is read, and of those whose metrics tell.
pub(crate) fn apis<'a>(
    store: &'a Store,
    watches: &'a [Watch],
    now: u64,
    window: u64,
) -> Vec<Provided<'a>> {
    let mut list: Vec<Provided<'a>> = watches
        .iter()
        .filter(|watch| watch.apis.is_some())
        .map(|watch| Provided {
            service: &watch.service,
            page: watch.apis.as_ref(),
            calls: calls(store, &watch.service, now, window),
        })
        .collect();
    for (_, service) in store.services.iter() {
        if list.iter().any(|known| known.service == &*service.name) {
            continue;
        }
        let calls = calls(store, &service.name, now, window);
        if !calls.is_empty() {
            list.push(Provided { service: &service.name, page: None, calls });
        }
    }
    list
}

fn calls(store: &Store, service: &str, now: u64, window: u64) -> Vec<CallsView> {
    let Some(service) = store.services.find(service).and_then(|at| store.services.get(at)) else {
        return Vec::new();
    };
    let lines = service.series.lines("meshwise_api_calls_total");
    let mut calls: Vec<_> = lines
        .filter_map(|line| {
            let label = |name: &str| line.label(name).unwrap_or_default().to_owned();
            #[expect(clippy::cast_precision_loss, reason = "milliseconds")]
            let rate = line
                .growth(now, window)
                .map_or(0.0, |(grown, over)| round(grown / (over as f64 / 1e3)));
            Some(CallsView {
                api: label("api"),
                version: label("version"),
                state: label("state"),
                caller: label("caller"),
                verified: line.label("caller_verified").or_else(|| line.label("verified"))
                    == Some("true"),
                calls: line.value()?,
                rate,
            })
        })
        .collect();
    calls.sort_by(|a, b| (&a.api, &a.version, &a.caller).cmp(&(&b.api, &b.version, &b.caller)));
    calls
}
