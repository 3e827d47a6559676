//! The same edges as Istio's sidecars count them, for Kiali.

use super::{EdgeCall, EdgeKind};
use crate::{
    backend::Backend,
    call::label_sets::{CallLabels, LabelSets},
    catalogue,
    guard::LabelGuard,
    hub::Metrics,
    key::{METADATA, label},
    names,
};
use meshwise_core::{ErrorType, internal::status_text};
use metrics::{Counter, Histogram, Key, Label, SharedString};
use std::sync::Arc;

const MAX_SERVERS: usize = 200;
/// Stands for what is not known; Kiali skips series that lack a label.
const UNKNOWN: &str = "unknown";

/// Counts calls under Istio's names.
#[derive(Debug)]
pub(super) struct IstioRequests {
    own: Arc<Workload>,
    calls: LabelSets<OwnedIstioLabels, IstioHandles>,
    servers: LabelGuard,
}

/// Names a service as Istio does.
#[derive(Debug)]
struct Workload {
    name: String,
    namespace: String,
    version: String,
}

#[derive(Debug)]
struct IstioHandles {
    requests: Counter,
    /// Milliseconds.
    duration: Histogram,
}

/// Tells one series from another.
#[derive(Clone, Copy, Hash)]
struct IstioLabels<'a> {
    own: &'a Workload,
    /// The called service; `None` if it is this one.
    server: Option<(&'a str, EdgeKind)>,
    status: Option<u16>,
    code: Option<u32>,
    error_type: Option<ErrorType>,
}

#[derive(Debug)]
struct OwnedIstioLabels {
    server: Option<(Arc<str>, EdgeKind)>,
    status: Option<u16>,
    code: Option<u32>,
    error_type: Option<ErrorType>,
}

impl std::hash::Hash for Workload {
    /// It is the same in all series.
    fn hash<H: std::hash::Hasher>(&self, _: &mut H) {}
}

impl IstioHandles {
    fn register(recorder: &dyn Backend, labels: &[Label]) -> Self {
        let requests = Key::from_parts(names::ISTIO_REQUESTS, labels.to_vec());
        let duration = Key::from_parts(names::ISTIO_DURATION, labels.to_vec());
        Self {
            requests: recorder.register_counter(&requests, &METADATA),
            duration: recorder.register_histogram(&duration, &METADATA),
        }
    }
}

impl IstioRequests {
    pub(super) fn new(metrics: &Metrics) -> Self {
        catalogue::describe(&**metrics.backend(), catalogue::ISTIO);
        let service = metrics.service();
        let own = Workload {
            name: service.name().to_owned(),
            namespace: service.namespace().unwrap_or(UNKNOWN).to_owned(),
            version: service.version().to_owned(),
        };
        let requests = names::ISTIO_REQUESTS;
        Self {
            own: Arc::new(own),
            calls: LabelSets::new(metrics, requests, LABELS),
            servers: LabelGuard::new(
                metrics,
                requests,
                names::LABEL_DESTINATION_SERVICE_NAME,
                MAX_SERVERS,
            ),
        }
    }

    pub(super) fn called(&self, server: &str, kind: EdgeKind, call: &EdgeCall) {
        self.count(Some((server, kind)), call);
    }

    pub(super) fn served_unnamed(&self, call: &EdgeCall) {
        self.count(None, call);
    }

    fn count(&self, server: Option<(&str, EdgeKind)>, call: &EdgeCall) {
        let request = IstioLabels {
            own: &self.own,
            server,
            status: call.status,
            code: call.code.map(|code| code as u32),
            error_type: call.error_type,
        };
        let handles = self.calls.get(&request).unwrap_or_else(|| self.resolve(&request));
        handles.requests.increment(1);
        handles.duration.record(call.duration.as_secs_f64() * 1000.0);
    }

    fn resolve(&self, request: &IstioLabels<'_>) -> &IstioHandles {
        let server = request.server.map(|(server, kind)| (self.servers.intern(server), kind));
        let server = server.as_ref().map(|(server, kind)| (&**server, *kind));
        self.calls.get_or_make(&IstioLabels { server, ..*request }, IstioHandles::register)
    }
}

pub(super) const LABELS: &[&str] = &[
    names::LABEL_REPORTER,
    names::LABEL_SOURCE_WORKLOAD_NAMESPACE,
    names::LABEL_SOURCE_WORKLOAD,
    names::LABEL_SOURCE_CANONICAL_SERVICE,
    names::LABEL_SOURCE_CANONICAL_REVISION,
    names::LABEL_DESTINATION_SERVICE_NAMESPACE,
    names::LABEL_DESTINATION_SERVICE,
    names::LABEL_DESTINATION_SERVICE_NAME,
    names::LABEL_DESTINATION_WORKLOAD_NAMESPACE,
    names::LABEL_DESTINATION_WORKLOAD,
    names::LABEL_DESTINATION_CANONICAL_SERVICE,
    names::LABEL_DESTINATION_CANONICAL_REVISION,
    names::LABEL_REQUEST_PROTOCOL,
    names::LABEL_RESPONSE_CODE,
    names::LABEL_GRPC_RESPONSE_STATUS,
    names::LABEL_RESPONSE_FLAGS,
];

impl CallLabels for IstioLabels<'_> {
    type Owned = OwnedIstioLabels;

    fn are(&self, kept: &OwnedIstioLabels) -> bool {
        let server = kept.server.as_ref().map(|(server, kind)| (&**server, *kind));
        self.status == kept.status
            && self.code == kept.code
            && self.error_type == kept.error_type
            && self.server == server
    }

    fn keep(&self) -> OwnedIstioLabels {
        OwnedIstioLabels {
            server: self.server.map(|(server, kind)| (Arc::from(server), kind)),
            status: self.status,
            code: self.code,
            error_type: self.error_type,
        }
    }

    fn list(&self) -> Vec<Label> {
        let Workload { name, namespace, version } = self.own;
        let own = [namespace, name, name, version].map(|text| SharedString::from(text.clone()));
        let unknown = || [const { SharedString::const_str(UNKNOWN) }; 4];
        // A peer that is named by one word is in the caller's namespace, as in Kubernetes' DNS.
        let (reporter, source, destination) = match self.server {
            None => ("destination", unknown(), own),
            Some((_, EdgeKind::Virtual)) => ("source", own, unknown()),
            Some((server, _)) => {
                let server = SharedString::from(server.to_owned());
                let destination =
                    [own[0].clone(), server.clone(), server, SharedString::const_str(UNKNOWN)];
                ("source", own, destination)
            }
        };
        let service = match self.server {
            None => name.clone(),
            Some((server, _)) => server.to_owned(),
        };
        let values = [
            vec![SharedString::const_str(reporter)],
            source.to_vec(),
            vec![destination[0].clone(), service.clone().into(), service.into()],
            destination.to_vec(),
        ];
        let mut labels: Vec<Label> =
            LABELS.iter().zip(values.concat()).map(|(name, value)| label(name, value)).collect();
        let protocol = if self.code.is_some() { "grpc" } else { "http" };
        labels.push(label(names::LABEL_REQUEST_PROTOCOL, protocol));
        let status = self.status.map_or("0", |status| status_text(status).unwrap_or(names::OTHER));
        labels.push(label(names::LABEL_RESPONSE_CODE, status));
        if let Some(code) = self.code {
            labels.push(label(names::LABEL_GRPC_RESPONSE_STATUS, code.to_string()));
        }
        labels.push(label(names::LABEL_RESPONSE_FLAGS, flags(self.error_type)));
        labels
    }
}

/// Returns Envoy's flag for what kept the answer from coming.
fn flags(error_type: Option<ErrorType>) -> &'static str {
    match error_type.map(ErrorType::as_str) {
        Some("timeout") => "UT",
        Some("deadline_exceeded") => "DT",
        Some("connect") => "UF",
        Some("reset") => "UC",
        Some("breaker_open" | "bulkhead_full") => "UO",
        Some("rate_limited") => "RL",
        Some("cancelled") => "DC",
        _ => "-",
    }
}
