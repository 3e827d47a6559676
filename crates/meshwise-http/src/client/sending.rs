//! What an outgoing request tells the callee: in which trace it is made, by whom, and how much time it has.

use super::config::{ClientConfig, ClientMode};
use crate::{convert, names};
use http::{HeaderValue, Request};
use meshwise_core::{
    ApiVersion, CallInfo, Deadline, Protocol,
    internal::{HeaderFilter, Limits, format_grpc_timeout, read_timeouts},
    propagation::{Baggage, Caller, Outgoing, Propagators},
};
use opentelemetry::{
    Context,
    baggage::BaggageExt,
    trace::{SpanContext, TraceId},
};
use std::{borrow::Cow, time::Duration};

/// What is known of an outgoing call while its request is written.
pub(crate) struct Sending<'a> {
    pub(crate) config: &'a ClientConfig,
    /// The call's own context.
    pub(crate) cx: &'a Context,
    /// What it says of the call that is being served.
    pub(crate) info: Option<&'a CallInfo>,
    /// The ids that the call goes by.
    pub(crate) current: &'a SpanContext,
    /// The trace that the call is made in.
    pub(crate) around: TraceId,
    /// Which headers the request may have come with.
    pub(crate) seen: HeaderFilter,
    /// What the request says it is.
    pub(crate) protocol: Protocol,
    /// As [`clock::nanos`] counts.
    pub(crate) began: u64,
}

impl Sending<'_> {
    /// Writes context, limits and request id into the request, in the place of what stood there (a
    /// request may be sent again, or be one that came in); returns what limits the call.
    pub(crate) fn write<B>(&self, request: &mut Request<B>, resend_count: u32) -> Limits {
        let Self { config, cx, info, seen, protocol, .. } = *self;
        let internal = config.mode == ClientMode::Internal;
        let attempt = resend_count.saturating_add(info.map_or(0, |info| info.attempt));

        if !cx.is_telemetry_suppressed() {
            self.write_context(request, info, attempt);
        }
        let limits = self.limit(request, info);
        let headers = request.headers_mut();
        if internal && attempt > 0 && protocol == Protocol::Grpc {
            headers.insert(names::ATTEMPTS_OF_GRPC.clone(), HeaderValue::from(attempt));
        } else if seen.may_have(&names::ATTEMPTS_OF_GRPC) {
            headers.remove(&names::ATTEMPTS_OF_GRPC);
        }
        let Some(info) = info else { return limits };
        let trace = convert::trace_id(self.around);
        match seen.get(headers, &config.request_id_header) {
            None if internal => {
                if let Some(id) = info.request_id_header_in(trace) {
                    headers.insert(config.request_id_header.clone(), id);
                }
            }
            Some(set)
                if !internal
                    && info.request_id_in(trace).is_some_and(|id| *set == *id.as_str()) =>
            {
                headers.remove(&config.request_id_header);
            }
            _ => {}
        }
        limits
    }

    /// Writes who calls, and in which trace, in the place of what stood there.
    fn write_context<B>(&self, request: &mut Request<B>, info: Option<&CallInfo>, attempt: u32) {
        let Self { config, cx, current, seen, .. } = *self;
        let shared = &config.telemetry.0;
        let internal = config.mode == ClientMode::Internal;
        let says_more = attempt > 0
            || !cx.baggage().is_empty()
            || request.extensions().get::<ApiVersion>().is_some();
        let own = if internal && !says_more { config.own_entry() } else { None };
        if let (Some(own), false) = (own, current.is_valid()) {
            return shared.propagators.inject_untraced(own, request.headers_mut(), seen);
        }
        let state = match current.trace_state().header() {
            _ if !internal => Cow::Borrowed(""),
            state if state.is_empty() => {
                info.map_or(Cow::Borrowed(""), |info| Cow::Borrowed(info.trace_state.as_str()))
            }
            state => Cow::Owned(state),
        };
        let ids @ (trace_id, span_id, flags) = (
            convert::trace_id(current.trace_id()),
            convert::span_id(current.span_id()),
            convert::flags(current.trace_flags()),
        );
        if let Some(own) = own
            && state.is_empty()
            && shared.propagators.inject_traced(own, ids, request.headers_mut(), seen)
        {
            return;
        }
        let baggage = if internal { convert::baggage(cx) } else { Baggage::default() };
        let asked = request.extensions().get::<ApiVersion>().cloned();
        let caller = || {
            let caller = Caller::new(shared.service.name()).with_attempt(attempt);
            asked.iter().fold(caller, |caller, ApiVersion(asked)| caller.with_api_version(&**asked))
        };
        let (state, caller, baggage) = (&*state, internal.then(caller), &baggage);
        let outgoing = Outgoing { trace_id, span_id, flags, state, caller, baggage };
        let headers = request.headers_mut();
        if !internal {
            Propagators::strip_all(headers);
        }
        shared.propagators.inject_seen(&outgoing, headers, seen);
    }

    /// Finds out what limits the call, tells the peer, and leaves to the transport what no guard around
    /// the call enforces.
    fn limit<B>(&self, request: &mut Request<B>, info: Option<&CallInfo>) -> Limits {
        let Self { config, seen, protocol, began, .. } = *self;
        let grpc = protocol == Protocol::Grpc;
        let internal = config.mode == ClientMode::Internal;
        let around = Limits::current();
        let mut limits = around.unwrap_or_else(|| Limits::at(began));

        let headers = request.headers_mut();
        let (grpc_header, header) = read_timeouts(headers, seen, &config.timeout_header);
        // What came in with the call being served was not set for this request, and no longer holds.
        let header = header.filter(|told| !info.is_some_and(|info| info.is_limit_header(*told)));
        let stale =
            grpc_header.is_some_and(|told| info.is_some_and(|info| info.is_deadline_header(told)));
        if stale {
            headers.remove(&names::TIMEOUT_OF_GRPC);
        }
        let grpc_header = grpc_header.filter(|_| grpc && !stale);
        if !internal {
            headers.remove(&config.timeout_header);
        }
        let own = request.extensions().get::<Deadline>().copied();
        let inherited = info.and_then(|info| info.deadline);
        let limit = info.and_then(CallInfo::limit);
        let set = own.is_some() || header.is_some() || grpc_header.is_some();
        if !set && inherited.is_none() && limit.is_none() && limits.end().is_none() {
            return limits;
        }

        // Tokio's clock, which limits are held against.
        let now = tokio::time::Instant::now().into_std();
        let after =
            |timeout: Option<Duration>| timeout.map(|timeout| Deadline::after(now, timeout));
        let asked = [own, after(header), after(grpc_header)].into_iter().flatten().min();
        limits = limits.with_asked(asked).with_told(inherited);
        limits = limits.with_deadline(limit.map(Deadline::moment));
        let deadline = limits.told();

        // A guard that knows of a limit enforces it.
        let left = |deadline: &Deadline| around.is_none_or(|around| !around.enforce(*deadline));
        let open = |limit: &Deadline| {
            around.and_then(|around| around.end()).is_none_or(|end| end > limit.moment())
        };
        let to_enforce = [deadline.filter(left), limit.filter(open)].into_iter().flatten().min();
        if let Some(to_enforce) = to_enforce
            && own.is_none_or(|own| own > to_enforce)
        {
            request.extensions_mut().insert(to_enforce);
        }
        if internal {
            let headers = request.headers_mut();
            if grpc && let Some(deadline) = deadline {
                let left = deadline.remaining(now).unwrap_or_default();
                if grpc_header.is_none_or(|told| told > left)
                    && let Ok(value) = HeaderValue::try_from(format_grpc_timeout(left))
                {
                    headers.insert(names::TIMEOUT_OF_GRPC.clone(), value);
                }
            }
            if let Some(end) = limits.end() {
                let left = end.saturating_duration_since(now).as_millis();
                // Eleven days are as good as no deadline; more digits would not be read.
                let millis = u64::try_from(left).unwrap_or(u64::MAX).min(999_999_999);
                headers.insert(config.timeout_header.clone(), millis.into());
            }
        }
        limits
    }
}
