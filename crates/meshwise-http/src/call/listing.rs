//! What the register of calls is told of one, and what it cost.

use super::{Call, CostMeter, Side, serving};
use crate::{
    calls::{register::ListedCall, snapshot::KeptFacts},
    convert,
};
use meshwise_core::{CallInfo, Protocol};
use opentelemetry::trace::TraceContextExt;
use std::sync::Arc;

impl Call {
    /// Lists the call among those in flight.
    #[inline]
    pub(super) fn list(&mut self, template: Option<&'static str>) {
        let (served, within) = match &self.side {
            Side::Server { .. } => (Some(self.limits.began_at()), None),
            Side::Client { config, .. } => (None, serving(&config.telemetry)),
        };
        self.listed = self.shared().calls.begin(served, || ListedCall {
            facts: self.facts(template),
            within,
            started: self.started,
            limits: self.limits,
            status: None,
        });
    }

    #[inline]
    fn facts(&self, template: Option<&'static str>) -> KeptFacts {
        let info = self.cx.get::<CallInfo>();
        let span = self.cx.span();
        let ids = span.span_context();
        let facts = KeptFacts {
            side: self.side.end(),
            protocol: self.protocol,
            method: self.method,
            route: None,
            template,
            path: self.path.as_ref().filter(|_| self.protocol == Protocol::Grpc).cloned(),
            caller: None,
            peer: None,
            authority: None,
            ids: ids
                .is_valid()
                .then(|| (convert::trace_id(ids.trace_id()), convert::span_id(ids.span_id()))),
            request_id: info.and_then(|info| info.request_id.clone()),
            attempt: info.map_or(0, |info| info.attempt),
            started: self.started,
        };
        match &self.side {
            Side::Server { route, .. } => KeptFacts {
                route: route.clone(),
                caller: info.and_then(|info| info.caller.clone()),
                ..facts
            },
            Side::Client { config, authority, .. } => KeptFacts {
                peer: Some(Arc::clone(&config.peer)),
                authority: authority.clone(),
                ..facts
            },
        }
    }

    /// Says that the answer has begun.
    #[inline]
    pub(super) fn say_head(&self, status: u16) {
        self.shared().calls.answered(&self.listed, status);
    }

    /// Says what limits the call from here on.
    pub(super) fn say_limits(&self) {
        self.shared().calls.change(&self.listed, |call| call.limits = self.limits);
    }

    /// Says the route, which a layer within has found.
    #[cold]
    pub(super) fn say_route(&self, route: &Arc<str>) {
        self.shared().calls.change(&self.listed, |call| call.facts.route = Some(Arc::clone(route)));
    }

    /// Begins to measure a poll, if this call's cost is metered.
    #[inline]
    pub(super) fn meter(&self) -> Option<CostMeter> {
        self.listed.meter.map(|_| CostMeter::start())
    }

    /// Counts what the call has cost, if that was metered.
    pub(super) fn count_cost(&self) {
        if let (Some(calls), Some(metrics), Side::Server { route, rpc_method, .. }) =
            (self.listed.meter, &self.shared().metrics, &self.side)
        {
            let route = rpc_method.as_deref().or(route.as_deref()).unwrap_or_default();
            metrics.costs.count(route, &self.cost, calls);
        }
    }
}
