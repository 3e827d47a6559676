//! What the register of calls is told of one, and what it cost.

use super::{Call, CostMeter, Side};
use crate::convert;
use meshwise_core::{SpanId, TraceId};
use opentelemetry::trace::SpanContext;
use std::sync::Arc;

/// Returns the ids that are shown of a call, if it has any.
#[inline]
pub(super) fn shown_ids(ids: &SpanContext) -> Option<(TraceId, SpanId)> {
    ids.is_valid().then(|| (convert::trace_id(ids.trace_id()), convert::span_id(ids.span_id())))
}

impl Call {
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
        if let (Some(calls), Some(metrics), Side::Server { operation, rpc_method, .. }) =
            (self.listed.meter, &self.shared().metrics, &self.side)
        {
            let route = rpc_method.as_deref().or(operation.route.as_deref()).unwrap_or_default();
            metrics.costs.count(route, &self.cost, calls);
        }
    }
}
