//! What of an incoming request is believed, and what is not left in it.

use super::config::{RequestIdPolicy, ServerConfig, ServerMode};
use crate::names;
use http::{HeaderMap, HeaderName, HeaderValue};
use meshwise_core::{RequestId, internal::HeaderFilter, propagation::Propagators};
use opentelemetry::trace::SpanContext;

impl ServerConfig {
    /// Removes what a stranger says of context, whatever of it is used here: a handler may hand the
    /// request on, to a peer that would believe it.
    pub(crate) fn remove_foreign(&self, headers: &mut HeaderMap) {
        Propagators::strip_all(headers);
        let filter = HeaderFilter::of(headers);
        let mut remove = |name: &HeaderName| {
            if filter.may_have(name) {
                headers.remove(name);
            }
        };
        remove(&self.timeout_header);
        for name in
            [names::X_REQUEST_TIMEOUT_MS, names::GRPC_TIMEOUT, names::GRPC_PREVIOUS_RPC_ATTEMPTS]
        {
            remove(&HeaderName::from_static(name));
        }
        // With these policies another part sees to request ids, or the stranger's is wanted.
        if !matches!(self.request_id, RequestIdPolicy::Off | RequestIdPolicy::Accept) {
            remove(&self.request_id_header);
            remove(&names::REQUEST_ID);
        }
    }

    /// Returns the id of a call, which `said` tells and its span.
    pub(crate) fn request_id<'h>(
        &self,
        said: impl FnOnce() -> Option<&'h HeaderValue>,
        current: &SpanContext,
    ) -> Option<RequestId> {
        let made = || {
            // A call that starts its own trace is named by that trace: one id to search for.
            let id = match current.is_valid() {
                true => u128::from_be_bytes(current.trace_id().to_bytes()),
                false => meshwise_core::internal::random::u128().max(1),
            };
            RequestId::from_random(id)
        };
        let taken = || said().and_then(RequestId::from_header);
        match (self.request_id, self.mode) {
            (RequestIdPolicy::Off, _) => None,
            (RequestIdPolicy::Make, _) | (RequestIdPolicy::Auto, ServerMode::Edge) => Some(made()),
            (RequestIdPolicy::Accept | RequestIdPolicy::Auto, _) => {
                Some(taken().unwrap_or_else(made))
            }
        }
    }

    /// Tells whether a request says another id than its call has, or several.
    pub(crate) fn says_other_id(
        &self,
        headers: &HeaderMap,
        filter: HeaderFilter,
        id: &RequestId,
    ) -> bool {
        let name = &self.request_id_header;
        filter.may_have(name) && {
            let mut said = headers.get_all(name).iter();
            let first = said.next();
            first.is_some_and(|first| first.as_bytes() != id.as_bytes()) || said.next().is_some()
        }
    }
}
