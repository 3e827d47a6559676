//! Takes OTLP: any signal, as protobuf or JSON.

pub(crate) mod body;
mod doubles;
pub(crate) mod error;
mod metrics;
pub(crate) mod replay;
mod reply;
pub(crate) mod serve;
pub(crate) mod wire;

use crate::{
    save::SessionLine,
    store::{Source, Store, pack::text_of, segment::context_key},
};
use error::IngestError;
use opentelemetry_proto::tonic::{
    common::v1::InstrumentationScope, logs::v1::LogRecord, resource::v1::Resource, trace::v1::Span,
};
use parking_lot::RwLock;
use serde::Serialize;
use wire::{Raw, Signal, Visit};

/// The resource attribute in which a service names the address of its ops pages.
const OPS_ADDRESS: &str = "meshwise.ops.address";
/// The resource attribute in which an instance of a service names itself.
const INSTANCE: &str = "service.instance.id";
/// So many of one request are heard.
const HEARD: usize = 64;

/// Says what became of a request.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    /// Spans, log records and points that were not kept.
    pub(crate) refused: u64,
    /// Why the first of them was not.
    pub(crate) reason: Option<String>,
    /// Services that named the address of their ops pages.
    pub(crate) heard: Vec<(String, String)>,
}

/// Takes a request into the store; `line` is what a session file will hold of it.
pub(crate) fn take(
    store: &RwLock<Store>,
    now: u64,
    signal: Signal,
    body: Raw<'_>,
    line: Option<&mut SessionLine>,
) -> Result<Taken, IngestError> {
    let mut taking = Taking {
        store,
        now,
        signal,
        resource: Resource::default(),
        scope: InstrumentationScope::default(),
        resource_key: 0,
        instance: 0,
        key: 0,
        service: 0,
        line,
        taken: Taken::default(),
    };
    let walked = wire::walk(signal, body, &mut taking);
    let taken = taking.taken;
    store.write().tick(now);
    walked.map(|()| taken)
}

struct Taking<'a> {
    store: &'a RwLock<Store>,
    now: u64,
    signal: Signal,
    resource: Resource,
    scope: InstrumentationScope,
    resource_key: u64,
    instance: u64,
    key: u64,
    service: u16,
    line: Option<&'a mut SessionLine>,
    taken: Taken,
}

impl Taking<'_> {
    fn refuse(&mut self, items: u64, reason: &IngestError) {
        self.taken.refused += items;
        self.taken.reason.get_or_insert_with(|| reason.to_string());
    }

    fn note(&mut self, kept: u64, refused: u64, item: &impl Serialize) {
        if refused > 0 {
            self.taken.refused += refused;
            let reason =
                "its ids are none, or it is past a limit of the console: see the console's status";
            self.taken.reason.get_or_insert_with(|| reason.to_owned());
        }
        if let Some(line) = &mut self.line
            && kept > 0
        {
            line.item(item);
        }
    }

    fn source(&self) -> Source<'_> {
        Source {
            service: self.service,
            resource: &self.resource.attributes,
            scope: Some(&self.scope),
            key: self.key,
        }
    }

    fn decoded<M>(&mut self, decoded: Result<M, IngestError>) -> Option<M> {
        if decoded.is_err() {
            self.store.write().counts.invalid += 1;
        }
        decoded.map_err(|reason| self.refuse(1, &reason)).ok()
    }
}

impl Visit for Taking<'_> {
    fn resource(&mut self, resource: Option<Raw<'_>>) {
        self.resource_key = context_key(resource.map_or(&[], Raw::bytes));
        self.resource = resource.and_then(|raw| self.decoded(raw.decode())).unwrap_or_default();
        self.service = self.store.write().enter(self.now, &self.resource.attributes);
        let text = |key| text_of(&self.resource.attributes, key);
        // One that does not name itself is told apart by all that it says.
        self.instance = text(INSTANCE).map_or(self.resource_key, |id| context_key(id.as_bytes()));
        if let (Some(name), Some(address)) = (text("service.name"), text(OPS_ADDRESS))
            && self.taken.heard.len() < HEARD
        {
            self.taken.heard.push((name.to_owned(), address.to_owned()));
        }
        if let Some(line) = &mut self.line {
            line.resource(&self.resource);
        }
    }

    fn scope(&mut self, scope: Option<Raw<'_>>) {
        let key = context_key(scope.map_or(&[], Raw::bytes));
        self.key = self.resource_key.rotate_left(1) ^ key;
        self.scope = scope.and_then(|raw| self.decoded(raw.decode())).unwrap_or_default();
        if let Some(line) = &mut self.line {
            line.scope(&self.scope);
        }
    }

    fn item(&mut self, item: Raw<'_>) {
        match self.signal {
            Signal::Traces => {
                let Some(span) = self.decoded::<Span>(item.decode()) else { return };
                let kept = self.store.write().span(self.now, self.source(), &span);
                self.note(u64::from(kept), u64::from(!kept), &span);
            }
            Signal::Logs => {
                let Some(record) = self.decoded::<LogRecord>(item.decode()) else { return };
                let kept = self.store.write().log(self.now, self.source(), &record);
                self.note(u64::from(kept), u64::from(!kept), &record);
            }
            Signal::Metrics => {
                let Some(metric) = self.decoded(item.decode_metric()) else { return };
                let mut store = self.store.write();
                let refused =
                    metrics::take(&mut store, self.now, self.service, self.instance, &metric);
                drop(store);
                self.note(1, refused, &metric);
            }
        }
    }
}
