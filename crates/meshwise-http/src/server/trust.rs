//! What of an incoming request is believed, and what is not left in it.

use super::config::{RequestIdPolicy, ServerConfig, ServerMode};
use crate::names;
use http::{HeaderMap, HeaderName, HeaderValue};
use meshwise_core::{
    CallInfo, RequestId, TraceId,
    internal::{HeaderFilter, random},
    propagation::Propagators,
};

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

    /// Names a call: by the id that came with it, if that is to be taken over, or by its trace.
    #[inline]
    pub(crate) fn name(&self, said: Option<&HeaderValue>, is_in_trace: bool) -> Name {
        let said = match (self.request_id, self.mode) {
            (RequestIdPolicy::Off, _) => return Name::None,
            (RequestIdPolicy::Make, _) | (RequestIdPolicy::Auto, ServerMode::Edge) => None,
            (RequestIdPolicy::Accept | RequestIdPolicy::Auto, _) => said,
        };
        match said.and_then(RequestId::from_header) {
            Some(said) => Name::Own(said),
            None if is_in_trace => Name::Trace,
            None => Name::Own(RequestId::from_random(random::u128().max(1))),
        }
    }

    /// Tells whether a request says another id than its call has, or several.
    pub(crate) fn says_other_id(
        &self,
        headers: &HeaderMap,
        name: &Name,
        trace_id: TraceId,
    ) -> bool {
        let id = match name {
            Name::None => return false,
            Name::Trace => &RequestId::from_random(trace_id.to_int()),
            Name::Own(id) => id,
        };
        let mut said = headers.get_all(&self.request_id_header).iter();
        let first = said.next();
        first.is_some_and(|first| first.as_bytes() != id.as_bytes()) || said.next().is_some()
    }
}

/// What a call's request id is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Name {
    /// It has none.
    None,
    /// Its trace's id: one id to search for.
    Trace,
    /// One that came with it, or was made where there is no trace.
    Own(RequestId),
}

impl Name {
    /// Enters it among a call's facts.
    pub(crate) fn give(self, mut info: CallInfo) -> CallInfo {
        match self {
            Self::None => {}
            Self::Trace => return info.named_by_trace(),
            Self::Own(id) => info.request_id = Some(id),
        }
        info
    }
}
