//! Outgoing HTTP calls.

use super::{
    BodySizes,
    ends::Ends,
    label_sets::{CallLabels, LabelSets, is_same, mark},
    server::HttpHandles,
    status_label,
};
use crate::{
    catalogue,
    guard::LabelGuard,
    hub::Metrics,
    key::{METADATA, label},
    names,
};
use meshwise_core::ErrorType;
use metrics::{Gauge, Key, Label, SharedString};
use std::{
    hash::{Hash, Hasher},
    sync::Arc,
    time::Duration,
};

const MAX_PEERS: usize = 200;
const MAX_ADDRESSES: usize = 200;

/// The duration, the size of a request and that of a response.
const METRICS: [&str; 3] = [
    names::HTTP_CLIENT_REQUEST_DURATION,
    names::HTTP_CLIENT_REQUEST_BODY_SIZE,
    names::HTTP_CLIENT_RESPONSE_BODY_SIZE,
];

/// Counts, times and measures outgoing HTTP calls. Cheap to clone.
///
/// Handles are resolved once per label set and kept; what is recorded to a known label set takes
/// no lock and allocates nothing.
#[derive(Clone, Debug)]
pub struct HttpClientMetrics(Arc<HttpClientInner>);

#[derive(Debug)]
struct HttpClientInner {
    active: LabelSets<OwnedTarget, Gauge>,
    calls: LabelSets<OwnedClientLabels, Arc<HttpHandles>>,
    peers: LabelGuard,
    addresses: LabelGuard,
    body_sizes: bool,
}

/// How many ends of calls to one target have a place of their own; others are looked up.
const ENDS: usize = 8;

/// Counts the calls to one target: what is looked up by labels is found here again.
#[derive(Debug)]
pub struct HttpClientSeries {
    metrics: HttpClientMetrics,
    address: Box<str>,
    port: Option<u16>,
    peer: Box<str>,
    active: Gauge,
    ends: Ends<ClientEnd, HttpHandles, ENDS>,
}

/// What tells the ends of calls to one target apart.
#[derive(Clone, Copy, Debug)]
struct ClientEnd {
    method: &'static str,
    status: Option<u16>,
    error_type: Option<ErrorType>,
}

/// Tells one finished outgoing call from another.
#[derive(Clone, Copy)]
struct HttpClientLabels<'a> {
    /// `_OTHER` for methods that HTTP does not know.
    method: &'static str,
    address: &'a str,
    port: Option<u16>,
    status: Option<u16>,
    error_type: Option<ErrorType>,
    peer: &'a str,
}

#[derive(Debug)]
pub(super) struct OwnedClientLabels {
    method: &'static str,
    address: Arc<str>,
    port: Option<u16>,
    status: Option<u16>,
    error_type: Option<ErrorType>,
    peer: Arc<str>,
}

/// Says where a call goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "only this workspace makes one")]
pub struct HttpClientTarget<'a> {
    /// The host that is called.
    pub address: &'a str,
    /// The port that is called.
    pub port: Option<u16>,
    /// The name of the peer.
    pub peer: &'a str,
}

#[derive(Debug)]
pub(super) struct OwnedTarget {
    address: Arc<str>,
    port: Option<u16>,
    peer: Arc<str>,
}

const ACTIVE_LABELS: &[&str] =
    &[names::LABEL_SERVER_ADDRESS, names::LABEL_SERVER_PORT, names::LABEL_SERVER_SERVICE_NAME];
const CALL_LABELS: &[&str] = &[
    names::LABEL_HTTP_REQUEST_METHOD,
    names::LABEL_SERVER_ADDRESS,
    names::LABEL_SERVER_PORT,
    names::LABEL_HTTP_RESPONSE_STATUS_CODE,
    names::LABEL_ERROR_TYPE,
    names::LABEL_SERVER_SERVICE_NAME,
];

impl HttpClientMetrics {
    /// Resolves the instruments in `metrics`.
    #[must_use]
    pub fn new(metrics: &Metrics) -> Self {
        catalogue::describe(&**metrics.backend(), catalogue::HTTP_CLIENT);
        let (active, duration) =
            (names::HTTP_CLIENT_ACTIVE_REQUESTS, names::HTTP_CLIENT_REQUEST_DURATION);
        let guard = |label, limit| LabelGuard::new(metrics, duration, label, limit);
        Self(Arc::new(HttpClientInner {
            active: LabelSets::new(metrics, active, ACTIVE_LABELS),
            calls: LabelSets::new(metrics, duration, CALL_LABELS),
            peers: guard(names::LABEL_SERVER_SERVICE_NAME, MAX_PEERS),
            addresses: guard(names::LABEL_SERVER_ADDRESS, MAX_ADDRESSES),
            body_sizes: metrics.body_sizes(),
        }))
    }

    /// Finds the series of calls to one target.
    #[must_use]
    pub fn series(&self, target: &HttpClientTarget<'_>) -> HttpClientSeries {
        let HttpClientTarget { address, port, peer } = *target;
        HttpClientSeries {
            metrics: self.clone(),
            address: address.into(),
            port,
            peer: peer.into(),
            active: self.0.active(target).clone(),
            ends: Ends::default(),
        }
    }
}

impl HttpClientSeries {
    /// Counts a call as in flight, until [`dec_active`](Self::dec_active) is told of it.
    #[inline]
    pub fn inc_active(&self) {
        self.active.increment(1.0);
    }

    /// Counts a call as in flight no longer.
    #[inline]
    pub fn dec_active(&self) {
        self.active.decrement(1.0);
    }

    /// Records a finished call: the response's status, if there was one, and the kind of error, if the
    /// call failed or was cancelled.
    pub fn finished(
        &self,
        method: &'static str,
        status: Option<u16>,
        error_type: Option<ErrorType>,
        duration: Duration,
        sizes: BodySizes,
    ) {
        let end = ClientEnd { method, status, error_type };
        match self.ends.find(|ended| end.is(ended)) {
            Some(handles) => handles.record(duration, sizes),
            None => self.handles(end).record(duration, sizes),
        }
    }

    /// Finds the handles of the whole label set, or has them registered.
    fn handles(&self, end: ClientEnd) -> Arc<HttpHandles> {
        let ClientEnd { method, status, error_type } = end;
        let (address, port, peer) = (&*self.address, self.port, &*self.peer);
        let labels = HttpClientLabels { method, address, port, status, error_type, peer };
        let inner = &*self.metrics.0;
        if let Some(known) = inner.calls.get(&labels) {
            self.ends.keep(end, known);
            return Arc::clone(known);
        }
        let (peer, address) = (inner.peers.intern(peer), inner.addresses.intern(address));
        // Ports of hosts that share one name tell nothing.
        let port = port.filter(|_| &*address != names::OTHER);
        let labels = HttpClientLabels { address: &address, port, peer: &peer, ..labels };
        // What is made may be of one set too many, each use of which is counted.
        Arc::clone(inner.calls.get_or_make(&labels, |recorder, labels| {
            Arc::new(HttpHandles::register(recorder, labels, METRICS, inner.body_sizes))
        }))
    }
}

impl ClientEnd {
    #[inline]
    fn is(&self, other: &Self) -> bool {
        self.status == other.status
            && is_same(self.method, other.method)
            && self.error_type == other.error_type
    }
}

impl HttpClientInner {
    fn active(&self, target: &HttpClientTarget<'_>) -> &Gauge {
        self.active.get(target).unwrap_or_else(|| {
            let peer = self.peers.intern(target.peer);
            let address = self.addresses.intern(target.address);
            let port = target.port.filter(|_| &*address != names::OTHER);
            let target = HttpClientTarget { address: &address, port, peer: &peer };
            self.active.get_or_make(&target, |recorder, labels| {
                let key = Key::from_parts(names::HTTP_CLIENT_ACTIVE_REQUESTS, labels.to_vec());
                recorder.register_gauge(&key, &METADATA)
            })
        })
    }
}

impl Hash for HttpClientLabels<'_> {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(self.address.as_bytes());
        let (port, status) =
            (u64::from(self.port.unwrap_or(0)), u64::from(self.status.unwrap_or(0)));
        state.write_u64(port << 32 | status << 16 | mark(self.method));
    }
}

impl Hash for HttpClientTarget<'_> {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(self.address.as_bytes());
        state.write_u64(self.port.unwrap_or(0).into());
    }
}

impl CallLabels for HttpClientLabels<'_> {
    type Owned = OwnedClientLabels;

    fn are(&self, kept: &OwnedClientLabels) -> bool {
        self.status == kept.status
            && self.port == kept.port
            && *self.peer == *kept.peer
            && *self.address == *kept.address
            && is_same(self.method, kept.method)
            && self.error_type == kept.error_type
    }

    fn keep(&self) -> OwnedClientLabels {
        OwnedClientLabels {
            method: self.method,
            address: Arc::from(self.address),
            port: self.port,
            status: self.status,
            error_type: self.error_type,
            peer: Arc::from(self.peer),
        }
    }

    fn list(&self) -> Vec<Label> {
        let mut labels = vec![
            label(names::LABEL_HTTP_REQUEST_METHOD, self.method),
            label(names::LABEL_SERVER_ADDRESS, Arc::from(self.address)),
            label(names::LABEL_SERVER_SERVICE_NAME, Arc::from(self.peer)),
        ];
        if let Some(port) = self.port {
            labels.push(label(names::LABEL_SERVER_PORT, SharedString::from(port.to_string())));
        }
        if let Some(status) = self.status {
            labels.push(label(names::LABEL_HTTP_RESPONSE_STATUS_CODE, status_label(status)));
        }
        if let Some(error_type) = self.error_type {
            labels.push(label(names::LABEL_ERROR_TYPE, error_type.as_str()));
        }
        labels
    }
}

impl CallLabels for HttpClientTarget<'_> {
    type Owned = OwnedTarget;

    fn are(&self, kept: &OwnedTarget) -> bool {
        self.port == kept.port && *self.peer == *kept.peer && *self.address == *kept.address
    }

    fn keep(&self) -> OwnedTarget {
        let (address, peer) = (Arc::from(self.address), Arc::from(self.peer));
        OwnedTarget { address, port: self.port, peer }
    }

    fn list(&self) -> Vec<Label> {
        let mut labels = vec![
            label(names::LABEL_SERVER_ADDRESS, Arc::from(self.address)),
            label(names::LABEL_SERVER_SERVICE_NAME, Arc::from(self.peer)),
        ];
        if let Some(port) = self.port {
            labels.push(label(names::LABEL_SERVER_PORT, SharedString::from(port.to_string())));
        }
        labels
    }
}
