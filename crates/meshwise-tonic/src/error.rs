//! What tonic's errors mean.

use meshwise_core::{ErrorType, GrpcCode};
use std::{error::Error, iter};
use tonic::{Code, ConnectError, Status, TimeoutExpired};

/// Names tonic's errors for telemetry; a rule for `ClientLayer::with_error_kind`.
///
/// A status is named by its code, unless it says that no connection could be made (`connect`) or
/// that the time ran out (`timeout`).
#[must_use]
pub fn error_kind(error: &(dyn Error + 'static)) -> Option<ErrorType> {
    if error.is::<TimeoutExpired>() {
        return Some(ErrorType::TIMEOUT);
    }
    if error.is::<ConnectError>() {
        return Some(ErrorType::CONNECT);
    }
    let status = error.downcast_ref::<Status>()?;
    Some(match status.code() {
        Code::DeadlineExceeded => ErrorType::TIMEOUT,
        Code::Unavailable if caused_by::<ConnectError>(status) => ErrorType::CONNECT,
        code => ErrorType::new(GrpcCode::from_number(code as u32).as_str()),
    })
}

/// Turns a channel's error into the status that its caller gets.
pub(crate) fn to_status(error: tonic::transport::Error) -> Status {
    // tonic calls this one CANCELLED; by gRPC it is not.
    if caused_by::<TimeoutExpired>(&error) {
        let mut status = Status::deadline_exceeded("the deadline of the call has passed");
        status.set_source(std::sync::Arc::new(error));
        return status;
    }
    Status::from_error(Box::new(error))
}

fn caused_by<E: Error + 'static>(error: &dyn Error) -> bool {
    // A chain that leads back into itself must not hold up the call that failed.
    let mut sources = iter::successors(error.source(), |&source| source.source()).take(32);
    sources.any(<dyn Error>::is::<E>)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_named_by_its_code_or_its_cause() {
        let kind = |status: Status| error_kind(&status).map(ErrorType::as_str);
        assert_eq!(kind(Status::data_loss("")), Some("DATA_LOSS"));
        assert_eq!(kind(Status::deadline_exceeded("")), Some("timeout"));
        assert_eq!(kind(Status::unavailable("")), Some("UNAVAILABLE"));
        let mut refused = Status::unavailable("");
        refused.set_source(std::sync::Arc::new(ConnectError("refused".into())));
        assert_eq!(kind(refused), Some("connect"));
        assert_eq!(error_kind(&std::fmt::Error), None);
    }
}
