//! The map: who calls whom, in the names that readers of service graphs know.
//!
//! The side that calls counts an edge, for it knows both names. The side that is called counts only
//! calls whose caller did not name itself, so that no edge is counted twice.

mod istio;

use super::label_sets::{CallLabels, LabelSets};
use crate::{
    backend::Backend,
    catalogue,
    guard::LabelGuard,
    hub::Metrics,
    key::{METADATA, label},
    names,
};
use istio::IstioRequests;
use meshwise_core::{ErrorType, GrpcCode};
use metrics::{Counter, Histogram, Key, Label};
use std::{
    hash::{Hash, Hasher},
    sync::Arc,
    time::Duration,
};

const MAX_SERVERS: usize = 200;
/// Stands for a caller that did not name itself, as in Tempo's graphs.
const USER: &str = "user";

/// Counts the edges of the service map. Cheap to clone.
///
/// What is recorded to a known edge takes no lock and allocates nothing. One that stays the same is
/// found once ([`edge`](Self::edge)).
#[derive(Clone, Debug)]
pub struct ServiceMap(Arc<ServiceMapInner>);

#[derive(Debug)]
struct ServiceMapInner {
    edges: LabelSets<OwnedEdgeLabels, Edge>,
    servers: LabelGuard,
    istio: Option<IstioRequests>,
}

/// Counts the calls of one edge. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Edge(Arc<EdgeHandles>);

#[derive(Debug)]
struct EdgeHandles {
    requests: Counter,
    failed: Counter,
    duration: Histogram,
}

impl Edge {
    fn register(recorder: &dyn Backend, labels: &[Label]) -> Self {
        let key = |name| Key::from_parts(name, labels.to_vec());
        let duration = key(names::SERVICE_GRAPH_SERVER_SECONDS);
        Self(Arc::new(EdgeHandles {
            requests: recorder.register_counter(&key(names::SERVICE_GRAPH_REQUESTS), &METADATA),
            failed: recorder.register_counter(&key(names::SERVICE_GRAPH_FAILED), &METADATA),
            duration: recorder.register_histogram(&duration, &METADATA),
        }))
    }

    /// Counts a call, which is all that there is to count if the map has no
    /// [names of Istio](ServiceMap::has_istio_names).
    #[inline]
    pub fn ended(&self, failed: bool, duration: Duration) {
        self.count(failed, duration, 1);
    }

    /// Counts messages that were processed in one operation.
    #[inline]
    pub fn processed(&self, messages: u64, call: &EdgeCall) {
        self.count(call.error_type.is_some(), call.duration, messages);
    }

    #[inline]
    fn count(&self, failed: bool, duration: Duration, times: u64) {
        let edge = &*self.0;
        edge.requests.increment(times);
        if failed {
            edge.failed.increment(times);
        }
        edge.duration.record(duration);
    }
}

/// Says what is known of an edge besides its ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EdgeKind {
    /// A call between two services.
    Call,
    /// One end says nothing of itself: a third party, or a caller without a name.
    Virtual,
    /// A call to a service of which the caller's `api.toml` requires nothing.
    Undeclared,
    /// Messages from one service to another, through a queue.
    Messages,
}

/// Describes a call that has ended.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::exhaustive_structs, reason = "the layers fill it in for each call")]
pub struct EdgeCall {
    /// The status of the answer, if there was one.
    pub status: Option<u16>,
    /// The code of a gRPC call.
    pub code: Option<GrpcCode>,
    /// The kind of error, if the call failed.
    pub error_type: Option<ErrorType>,
    /// How long it lasted.
    pub duration: Duration,
}

impl EdgeKind {
    /// Returns the label's value; calls have none.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Call => "",
            Self::Virtual => "virtual_node",
            Self::Undeclared => "undeclared",
            Self::Messages => "messaging_system",
        }
    }
}

/// Both ends, and the kind.
#[derive(Clone, Copy)]
struct EdgeLabels<'a> {
    client: &'a str,
    server: &'a str,
    kind: EdgeKind,
}

#[derive(Debug)]
struct OwnedEdgeLabels {
    client: Arc<str>,
    server: Arc<str>,
    kind: EdgeKind,
}

impl ServiceMap {
    /// Resolves the instruments in `metrics`, whose service is one end of all edges.
    #[must_use]
    pub fn new(metrics: &Metrics) -> Self {
        catalogue::describe(&**metrics.backend(), catalogue::MAP);
        let requests = names::SERVICE_GRAPH_REQUESTS;
        let labels = &[names::LABEL_CLIENT, names::LABEL_SERVER, names::LABEL_CONNECTION_TYPE];
        Self(Arc::new(ServiceMapInner {
            edges: LabelSets::new(metrics, requests, labels),
            servers: LabelGuard::new(metrics, requests, names::LABEL_SERVER, MAX_SERVERS),
            istio: metrics.istio().then(|| IstioRequests::new(metrics)),
        }))
    }

    /// Finds the edge from `client`, this service, to `server`.
    #[must_use]
    pub fn edge(&self, client: &str, server: &str, kind: EdgeKind) -> Edge {
        self.find(&EdgeLabels { client, server, kind }).clone()
    }

    /// Finds the edge from callers without a name to `server`, this service.
    #[must_use]
    pub fn unnamed(&self, server: &str) -> Edge {
        self.edge(USER, server, EdgeKind::Virtual)
    }

    /// Tells whether calls are counted under Istio's names too.
    #[must_use]
    #[inline]
    pub fn has_istio_names(&self) -> bool {
        self.0.istio.is_some()
    }

    /// Counts a call that this service made to `server`, on its edge.
    #[inline]
    pub fn called(&self, edge: &Edge, server: &str, kind: EdgeKind, call: &EdgeCall) {
        edge.count(call.error_type.is_some(), call.duration, 1);
        if let Some(istio) = &self.0.istio {
            istio.called(server, kind, call);
        }
    }

    /// Counts a call that this service served to a caller without a name, on its edge.
    #[inline]
    pub fn served_unnamed(&self, edge: &Edge, call: &EdgeCall) {
        edge.count(call.error_type.is_some(), call.duration, 1);
        if let Some(istio) = &self.0.istio {
            istio.served_unnamed(call);
        }
    }

    /// Finds the edge of messages from `client`, one of a bounded set, to `server`, this service, which
    /// counts them: it knows who sent them, and a sender does not know who processes them.
    #[must_use]
    pub fn messages(&self, client: Option<&str>, server: &str) -> Edge {
        self.edge(client.unwrap_or(USER), server, EdgeKind::Messages)
    }

    fn find(&self, labels: &EdgeLabels<'_>) -> &Edge {
        let map = &*self.0;
        map.edges.get(labels).unwrap_or_else(|| map.resolve(labels))
    }
}

impl ServiceMapInner {
    fn resolve(&self, labels: &EdgeLabels<'_>) -> &Edge {
        let server = self.servers.intern(labels.server);
        self.edges.get_or_make(&EdgeLabels { server: &server, ..*labels }, Edge::register)
    }
}

impl Hash for EdgeLabels<'_> {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        // One of the two ends is always the same.
        state.write(self.client.as_bytes());
        state.write(self.server.as_bytes());
        state.write_u8(self.kind as u8);
    }
}

impl CallLabels for EdgeLabels<'_> {
    type Owned = OwnedEdgeLabels;

    fn are(&self, kept: &OwnedEdgeLabels) -> bool {
        self.kind == kept.kind && *self.server == *kept.server && *self.client == *kept.client
    }

    fn keep(&self) -> OwnedEdgeLabels {
        let (client, server) = (Arc::from(self.client), Arc::from(self.server));
        OwnedEdgeLabels { client, server, kind: self.kind }
    }

    fn list(&self) -> Vec<Label> {
        let mut labels = vec![
            label(names::LABEL_CLIENT, Arc::from(self.client)),
            label(names::LABEL_SERVER, Arc::from(self.server)),
        ];
        if self.kind != EdgeKind::Call {
            labels.push(label(names::LABEL_CONNECTION_TYPE, self.kind.as_str()));
        }
        labels
    }
}

#[cfg(test)]
mod tests;
