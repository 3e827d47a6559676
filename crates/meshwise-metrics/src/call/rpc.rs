//! gRPC calls, incoming and outgoing.

use super::label_sets::{CallLabels, LabelSets};
use crate::{
    catalogue,
    guard::LabelGuard,
    hub::Metrics,
    key::{METADATA, label},
    names,
};
use meshwise_core::{ErrorType, GrpcCode, internal::catalogue::Metric};
use metrics::{Histogram, Key, Label};
use std::{
    hash::{Hash, Hasher},
    sync::Arc,
    time::Duration,
};

const MAX_METHODS: usize = 1000;
const MAX_PEERS: usize = 200;

/// Counts and times gRPC calls. Cheap to clone.
///
/// Handles are resolved once per label set and kept; what is recorded to a known label set takes
/// no lock and allocates nothing.
#[derive(Clone, Debug)]
pub struct RpcMetrics(Arc<RpcInner>);

#[derive(Debug)]
struct RpcInner {
    duration: &'static str,
    calls: LabelSets<OwnedRpcLabels, Histogram>,
    methods: LabelGuard,
    peers: LabelGuard,
}

/// Tells one finished gRPC call from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "only this workspace makes one")]
pub struct RpcLabels<'a> {
    /// `package.Service/Method` of a known service, otherwise `_OTHER`.
    pub method: &'a str,
    /// The status, from headers or trailers.
    pub code: GrpcCode,
    /// The kind of error, if the call failed or was cancelled.
    pub error_type: Option<ErrorType>,
    /// The name of the peer that was called; `None` on a server.
    pub peer: Option<&'a str>,
}

#[derive(Debug)]
pub(super) struct OwnedRpcLabels {
    method: Arc<str>,
    code: GrpcCode,
    error_type: Option<ErrorType>,
    peer: Option<Arc<str>>,
}

impl RpcMetrics {
    /// Resolves the instruments of incoming calls.
    #[must_use]
    pub fn server(metrics: &Metrics) -> Self {
        const LABELS: &[&str] = &[
            names::LABEL_RPC_SYSTEM_NAME,
            names::LABEL_RPC_METHOD,
            names::LABEL_RPC_STATUS_CODE,
            names::LABEL_ERROR_TYPE,
        ];
        Self::new(metrics, names::RPC_SERVER_CALL_DURATION, LABELS, catalogue::RPC_SERVER)
    }

    /// Resolves the instruments of outgoing calls.
    #[must_use]
    pub fn client(metrics: &Metrics) -> Self {
        const LABELS: &[&str] = &[
            names::LABEL_RPC_SYSTEM_NAME,
            names::LABEL_RPC_METHOD,
            names::LABEL_RPC_STATUS_CODE,
            names::LABEL_ERROR_TYPE,
            names::LABEL_SERVER_SERVICE_NAME,
        ];
        Self::new(metrics, names::RPC_CLIENT_CALL_DURATION, LABELS, catalogue::RPC_CLIENT)
    }

    fn new(
        metrics: &Metrics,
        duration: &'static str,
        label_names: &'static [&'static str],
        entries: &[&Metric],
    ) -> Self {
        catalogue::describe(&**metrics.backend(), entries);
        Self(Arc::new(RpcInner {
            duration,
            calls: LabelSets::new(metrics, duration, label_names),
            methods: LabelGuard::new(metrics, duration, names::LABEL_RPC_METHOD, MAX_METHODS),
            peers: if label_names.contains(&names::LABEL_SERVER_SERVICE_NAME) {
                LabelGuard::new(metrics, duration, names::LABEL_SERVER_SERVICE_NAME, MAX_PEERS)
            } else {
                LabelGuard::detached(MAX_PEERS)
            },
        }))
    }

    /// Records a finished call.
    pub fn finished(&self, labels: &RpcLabels<'_>, duration: Duration) {
        let inner = &*self.0;
        inner.calls.get(labels).unwrap_or_else(|| inner.resolve(labels)).record(duration);
    }
}

impl RpcInner {
    fn resolve(&self, labels: &RpcLabels<'_>) -> &Histogram {
        let method = self.methods.intern(labels.method);
        let peer = labels.peer.map(|peer| self.peers.intern(peer));
        let labels = RpcLabels { method: &method, peer: peer.as_deref(), ..*labels };
        self.calls.get_or_make(&labels, |recorder, labels| {
            recorder.register_histogram(&Key::from_parts(self.duration, labels.to_vec()), &METADATA)
        })
    }
}

impl Hash for RpcLabels<'_> {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(self.method.as_bytes());
        state.write_u8(self.code as u8);
    }
}

impl CallLabels for RpcLabels<'_> {
    type Owned = OwnedRpcLabels;

    fn are(&self, kept: &OwnedRpcLabels) -> bool {
        self.code == kept.code
            && *self.method == *kept.method
            && self.peer == kept.peer.as_deref()
            && self.error_type == kept.error_type
    }

    fn keep(&self) -> OwnedRpcLabels {
        OwnedRpcLabels {
            method: Arc::from(self.method),
            code: self.code,
            error_type: self.error_type,
            peer: self.peer.map(Arc::from),
        }
    }

    fn list(&self) -> Vec<Label> {
        let mut labels = vec![
            label(names::LABEL_RPC_SYSTEM_NAME, "grpc"),
            label(names::LABEL_RPC_METHOD, Arc::from(self.method)),
            label(names::LABEL_RPC_STATUS_CODE, self.code.as_str()),
        ];
        if let Some(error_type) = self.error_type {
            labels.push(label(names::LABEL_ERROR_TYPE, error_type.as_str()));
        }
        if let Some(peer) = self.peer {
            labels.push(label(names::LABEL_SERVER_SERVICE_NAME, Arc::from(peer)));
        }
        labels
    }
}
