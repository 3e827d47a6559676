//! What is known about a call once it is over.

use meshwise_core::{CallEnd, GrpcCode, outcome::EndedBy};
use meshwise_metrics::internal::{BodySizes, Edge, EdgeCall, RpcLabels, ServiceMap};
use std::{sync::OnceLock, time::Duration};

/// What is known about a call once it is over.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) end: CallEnd,
    pub(crate) duration: Duration,
    pub(crate) status: Option<u16>,
    pub(crate) code: Option<GrpcCode>,
    pub(crate) message: Option<String>,
    pub(crate) request_size: Option<u64>,
    pub(crate) response_size: u64,
}

impl Finished {
    /// Returns who ended the call, if it was not the peer.
    pub(crate) fn ended_by(&self) -> Option<&'static str> {
        (self.end.ended_by != EndedBy::Peer).then(|| self.end.ended_by.as_str())
    }

    pub(crate) fn sizes(&self) -> BodySizes {
        BodySizes { request: self.request_size, response: Some(self.response_size) }
    }

    pub(crate) fn rpc<'a>(
        &self,
        method: &'a str,
        code: GrpcCode,
        peer: Option<&'a str>,
    ) -> RpcLabels<'a> {
        RpcLabels { method, code, error_type: self.end.error_type(), peer }
    }

    /// Counts the call on an edge of the service map: at once if that is known, with `count` if it is new or
    /// goes by Istio's names too.
    #[inline]
    pub(crate) fn draw(
        &self,
        map: &ServiceMap,
        edge: &OnceLock<Edge>,
        make: impl FnOnce() -> Edge,
        count: impl FnOnce(&Edge, &EdgeCall),
    ) {
        match edge.get().filter(|_| !map.has_istio_names()) {
            Some(edge) => edge.ended(self.end.error_type().is_some(), self.duration),
            None => count(edge.get_or_init(make), &self.of_edge()),
        }
    }

    #[inline(never)]
    fn of_edge(&self) -> EdgeCall {
        EdgeCall {
            status: self.status,
            code: self.code,
            error_type: self.end.error_type(),
            duration: self.duration,
        }
    }
}
