//! What is known about the call on whose behalf this code runs, for guards around outgoing calls.

use meshwise_core::{CallInfo, Deadline};
use opentelemetry::Context;
use std::sync::Arc;

/// Returns the deadline of the call that is being served right now, if it has one.
///
/// Made for `DeadlineConfig::with_incoming` and the like: guards know nothing of OpenTelemetry's
/// context.
#[must_use]
pub fn incoming_deadline() -> Option<Deadline> {
    Context::map_current(|cx| cx.get::<CallInfo>()?.deadline)
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn they_are_the_current_call_s() {
        assert_eq!((incoming_deadline(), incoming_attempt()), (None, 0));
        let mut info = CallInfo::default();
        let deadline = Deadline::at(Instant::now());
        (info.deadline, info.attempt) = (Some(deadline), 2);
        info.caller = Some("gateway".into());
        let _attached = Context::new().with_value(info).attach();
        assert_eq!((incoming_deadline(), incoming_attempt()), (Some(deadline), 2));
        assert_eq!(incoming_caller().as_deref(), Some("gateway"));
    }
}
