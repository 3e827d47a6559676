//! Reads the ops pages of services: `/metrics`, `/resilience` and `/apis`.
//!
//! Asked are only addresses that were listed, and loopback addresses that a service named of itself:
//! what is sent here cannot make the console ask anything else. Each answer is bounded in size and
//! time, and no redirect is followed.

mod fetch;
mod prometheus;

use crate::{
    config::OpsTarget,
    shared::Shared,
    store::{cut, segment::context_key, series::Reading},
};
use fetch::Page;
use serde_json::Value;
use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};
use tokio::task::JoinSet;

/// How often pages are read.
const PERIOD: Duration = Duration::from_secs(2);
/// `/apis` is read every so many periods: it changes once a day, or with a release.
const APIS_EVERY: u64 = 5;
/// So many services' pages are read.
const TARGETS: usize = 64;
/// So many changes of a breaker are remembered.
const CHANGES: usize = 64;
/// So many peers of a service are remembered.
const PEERS: usize = 200;

/// Is what is known of a service from its ops pages.
#[derive(Clone, Debug)]
pub(crate) struct Watch {
    pub(crate) service: String,
    pub(crate) address: SocketAddr,
    /// When it last answered, in milliseconds of Unix time, and what was wrong since.
    pub(crate) answered: Option<u64>,
    pub(crate) problem: Option<String>,
    /// Whether the service named the address itself.
    heard: bool,
    /// The pages, as they are.
    pub(crate) resilience: Option<Value>,
    pub(crate) apis: Option<Value>,
    /// What became of each peer's breaker: the time and the new state.
    pub(crate) breakers: BTreeMap<String, VecDeque<(u64, String)>>,
}

/// Knows whose pages are read.
#[derive(Debug, Default)]
pub(crate) struct Watched {
    pub(crate) all: Vec<Watch>,
    /// Services whose pages are not read: there are too many, or the address is not loopback.
    pub(crate) refused: u64,
}

impl Watched {
    pub(crate) fn new(targets: &[OpsTarget]) -> Self {
        let mut watched = Self::default();
        targets.iter().for_each(|target| watched.list(target.clone()));
        watched
    }

    /// Reads the pages at an address from now on.
    pub(crate) fn list(&mut self, target: OpsTarget) {
        if self.all.iter().any(|watch| watch.address == target.address) {
            return;
        }
        if self.all.len() >= TARGETS {
            self.refused += 1;
            return;
        }
        self.all.push(Watch {
            service: target.service,
            address: target.address,
            answered: None,
            problem: None,
            heard: false,
            resilience: None,
            apis: None,
            breakers: BTreeMap::new(),
        });
    }

    /// Hears a service name an address of itself; only an address on loopback is believed.
    pub(crate) fn hear(&mut self, service: &str, address: &str) {
        match address.parse::<SocketAddr>() {
            Ok(address) if address.ip().is_loopback() => {
                let service = cut(service, 200);
                let same = |watch: &&Watch| watch.address == address;
                if self
                    .all
                    .iter()
                    .find(same)
                    .is_some_and(|watch| !watch.heard || watch.service == service)
                {
                    return;
                }
                // Started anew, most likely: its old address answers no more. And of one address the last
                // who names it is right: another process had it before.
                self.all.retain(|watch| {
                    let gone = watch.problem.is_some() && watch.service == service;
                    !(watch.heard && (gone || watch.address == address))
                });
                self.list(OpsTarget::new(service, address));
                if let Some(watch) = self.all.iter_mut().find(|watch| watch.address == address) {
                    watch.heard = true;
                }
            }
            _ => self.refused += 1,
        }
    }
}

/// Reads all pages, for ever.
pub(crate) async fn run(shared: Arc<Shared>) {
    let mut ticks = tokio::time::interval(PERIOD);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    for round in 0_u64.. {
        ticks.tick().await;
        let targets: Vec<_> = shared
            .watched
            .lock()
            .all
            .iter()
            .map(|watch| (watch.address, watch.apis.is_none()))
            .collect();
        let mut reads = JoinSet::new();
        for (address, wants_apis) in targets {
            let shared = Arc::clone(&shared);
            reads.spawn(read(shared, address, wants_apis || round % APIS_EVERY == 0));
        }
        let any = !reads.is_empty();
        while reads.join_next().await.is_some() {}
        if any {
            shared.note_changed();
        }
    }
}

async fn read(shared: Arc<Shared>, address: SocketAddr, apis: bool) {
    let metrics = fetch::get(address, Page::Metrics).await;
    let resilience = fetch::get(address, Page::Resilience).await;
    let apis = if apis { Some(fetch::get(address, Page::Apis).await) } else { None };
    let work = move || {
        // Each page is there only where its part is; but without these two they are no ops pages.
        let mut problem = match (&metrics, &resilience) {
            (Err(error), _) => Some(error.clone()),
            (Ok(None), Ok(None)) => Some("neither /metrics nor /resilience is there".to_owned()),
            _ => None,
        };
        let mut json = |of: &str, page: Result<Option<bytes::Bytes>, String>| {
            let read = page.and_then(|page| match page.as_deref().map(serde_json::from_slice) {
                Some(Err(error)) => Err(format!("{of} is no JSON: {error}")),
                Some(Ok(value)) => Ok(Some(value)),
                None => Ok(None),
            });
            read.unwrap_or_else(|error| {
                problem.get_or_insert(error);
                None
            })
        };
        let resilience: Option<Value> = json("/resilience", resilience);
        let apis = apis.map(|apis| json("/apis", apis));
        let name = enter(&shared, address, resilience, apis, problem);
        if let (Some(name), Ok(Some(page))) = (name, metrics) {
            shared.clock.go();
            let (mut store, now) = (shared.store.write(), shared.clock.now());
            let place = store.enter_name(now, &name);
            let page = String::from_utf8_lossy(&page);
            // An instance that sends its metrics, too, is the same there.
            let instance = prometheus::instance(&page).unwrap_or_else(|| address.to_string());
            let source = context_key(instance.as_bytes());
            prometheus::read(&page, |metric, labels, reading, exemplars| {
                let reading = Reading { source, ..reading };
                store.reading(now, place, metric, labels, reading, exemplars);
            });
        }
    };
    // Parsing is no work for the threads that serve connections.
    let _ = tokio::task::spawn_blocking(work).await;
}

/// Notes what was read; returns the service's name.
fn enter(
    shared: &Shared,
    address: SocketAddr,
    resilience: Option<Value>,
    apis: Option<Option<Value>>,
    problem: Option<String>,
) -> Option<String> {
    let mut watched = shared.watched.lock();
    let watch = watched.all.iter_mut().find(|watch| watch.address == address)?;
    if problem.is_none() {
        shared.clock.go();
    }
    let now = shared.clock.now();
    if problem.is_none() {
        watch.answered = Some(now);
    }
    watch.problem = problem;
    if let Some(page) = resilience {
        note_breakers(&mut watch.breakers, now, &page);
        watch.resilience = Some(page);
    }
    if let Some(Some(page)) = apis {
        if let Some(name) = page.pointer("/service/name").and_then(Value::as_str)
            && watch.service.is_empty()
        {
            cut(name, 200).clone_into(&mut watch.service);
        }
        watch.apis = Some(page);
    }
    if watch.service.is_empty() {
        watch.service = address.to_string();
    }
    Some(watch.service.clone())
}

fn note_breakers(known: &mut BTreeMap<String, VecDeque<(u64, String)>>, now: u64, page: &Value) {
    let peers = page.get("peers").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    for peer in peers.iter().take(PEERS) {
        let name = peer.get("peer").and_then(Value::as_str);
        let state = peer.pointer("/breaker/state").and_then(Value::as_str);
        let (Some(name), Some(state)) = (name, state) else { continue };
        if known.len() >= PEERS && !known.contains_key(name) {
            continue;
        }
        let changes = known.entry(cut(name, 200).to_owned()).or_default();
        if changes.back().is_none_or(|(_, last)| last != state) {
            if changes.len() >= CHANGES {
                changes.pop_front();
            }
            changes.push_back((now, cut(state, 40).to_owned()));
        }
    }
}
