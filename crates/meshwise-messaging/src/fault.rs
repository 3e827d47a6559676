//! What the errors of tokio's timers and of clients say, where no error below them does.

use meshwise_core::outcome::{Fault, FaultKind};
use std::error::Error;

pub(crate) fn fault(error: &(dyn Error + 'static)) -> Option<Fault> {
    #[cfg(feature = "async-nats-0_51")]
    if let Some(fault) = of_nats(error) {
        return Some(fault);
    }
    error.is::<tokio::time::error::Elapsed>().then(|| Fault::new(FaultKind::Timeout))
}

#[cfg(feature = "async-nats-0_51")]
/// Knows the errors of `async-nats`: that no one listens is told by the server, which has not kept the message.
fn of_nats(error: &(dyn Error + 'static)) -> Option<Fault> {
    use async_nats_0_51::{
        ConnectError, ConnectErrorKind, RequestError, RequestErrorKind,
        jetstream::context::{PublishError, PublishErrorKind},
    };
    let request = error.downcast_ref().and_then(|error: &RequestError| match error.kind() {
        RequestErrorKind::TimedOut => Some(FaultKind::Timeout),
        RequestErrorKind::NoResponders => Some(FaultKind::Connect),
        _ => None,
    });
    let publish = || match error.downcast_ref::<PublishError>()?.kind() {
        PublishErrorKind::TimedOut => Some(FaultKind::Timeout),
        PublishErrorKind::BrokenPipe => Some(FaultKind::Reset),
        _ => None,
    };
    let connect = || match error.downcast_ref::<ConnectError>()?.kind() {
        ConnectErrorKind::TimedOut => Some(FaultKind::Timeout),
        ConnectErrorKind::Dns | ConnectErrorKind::Io | ConnectErrorKind::Tls => {
            Some(FaultKind::Connect)
        }
        _ => None,
    };
    request.or_else(publish).or_else(connect).map(Fault::new)
}
