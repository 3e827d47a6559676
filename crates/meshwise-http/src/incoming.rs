//! What is known about the call on whose behalf this code runs, for guards around outgoing calls.

use meshwise_core::{CallInfo, Deadline};
use opentelemetry::Context;
use std::sync::Arc;

/// Returns the deadline that was set on purpose for the call that is being served right now
/// (`grpc-timeout`), if there is one: it holds for streams, too, and goes on as a deadline.
///
/// Made for guards, which know nothing of OpenTelemetry's context.
#[must_use]
pub fn incoming_deadline() -> Option<Deadline> {
    Context::map_current(|cx| cx.get::<CallInfo>()?.deadline)
}

/// Returns the moment past which the caller of the call that is being served right now no longer waits
/// for it: the earliest of its deadline and of the limit of its attempt (`x-request-timeout-ms`).
///
/// Once the call's response streams, only the deadline is left.
#[must_use]
pub fn incoming_limit() -> Option<Deadline> {
    Context::map_current(|cx| cx.get::<CallInfo>()?.limit())
}

/// Returns how many times the call that is being served right now was tried before; 0 outside a
/// call.
#[must_use]
pub fn incoming_attempt() -> u32 {
    Context::map_current(|cx| cx.get::<CallInfo>().map_or(0, |info| info.attempt))
}

/// Returns the name of the service whose call is being served right now, if it told.
#[must_use]
pub fn incoming_caller() -> Option<Arc<str>> {
    Context::map_current(|cx| cx.get::<CallInfo>()?.caller.clone())
}

/// Returns the version of this service's API that the call which is being served right now asks for,
/// if its caller told.
#[must_use]
pub fn incoming_api_version() -> Option<Arc<str>> {
    Context::map_current(|cx| cx.get::<CallInfo>()?.api_version.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    #[test]
    fn they_are_the_current_call_s() {
        assert_eq!((incoming_deadline(), incoming_limit(), incoming_attempt()), (None, None, 0));
        let mut info = CallInfo::default();
        let now = Instant::now();
        let deadline = Deadline::after(now, Duration::from_secs(2));
        (info.deadline, info.attempt) = (Some(deadline), 2);
        info.caller = Some("gateway".into());
        info.api_version = Some("1.1".into());
        info.set_limit(now, Duration::from_secs(1));
        let _attached = Context::new().with_value(info).attach();
        assert_eq!((incoming_deadline(), incoming_attempt()), (Some(deadline), 2));
        assert_eq!(incoming_limit(), Some(Deadline::after(now, Duration::from_secs(1))));
        assert_eq!(incoming_caller().as_deref(), Some("gateway"));
        assert_eq!(incoming_api_version().as_deref(), Some("1.1"));
    }
}
