//! What tonic's errors mean.

use meshwise_core::{
    GrpcCode,
    internal::error_sources,
    outcome::{Fault, FaultKind, Faults, Phase},
};
use meshwise_http::hyper_fault;
use std::{error::Error, sync::Arc};
use tonic::{Code, ConnectError, Status, TimeoutExpired};

/// Translates the errors of tonic and of what it is built on; `None` for every other, and for what
/// only an error below it can tell. A rule for `Classifier::with_fault` and the layers' `with_fault`.
///
/// | error | fault |
/// |---|---|
/// | no connection | connect, not sent |
/// | tonic's own timer | timeout |
/// | a status that tonic made of a broken connection | what broke it: see [`hyper_fault`] |
/// | a stream reset by the peer with a reason that gRPC knows (`CANCEL`, `INTERNAL_ERROR`, ...) | the code for that reason |
/// | any other status | its code |
#[must_use]
pub fn fault(error: &(dyn Error + 'static)) -> Option<Fault> {
    match error.downcast_ref::<Status>() {
        Some(status) => Some(of_status(status)),
        None => of_transport(error),
    }
}

fn of_transport(error: &(dyn Error + 'static)) -> Option<Fault> {
    if error.is::<TimeoutExpired>() {
        return Some(Fault::new(FaultKind::Timeout));
    }
    if error.is::<ConnectError>() {
        return Some(Fault::new(FaultKind::Connect));
    }
    hyper_fault(error)
}

fn of_status(status: &Status) -> Fault {
    let code = GrpcCode::from_number(status.code() as u32);
    // The codes that are made here of what befell a connection. A status of any other was thought of, unless it
    // is that of a reset.
    let of_connection = matches!(
        status.code(),
        Code::Unavailable
            | Code::Unknown
            | Code::Internal
            | Code::Cancelled
            | Code::DeadlineExceeded
    );
    let tells =
        |source: &&(dyn Error + 'static)| of_connection || reset_code(*source) == Some(code);
    let below = status.source().filter(tells).map(below).unwrap_or_default();
    match below.kind {
        FaultKind::Other => Fault::new(FaultKind::Grpc(code)),
        _ => below,
    }
}

/// Looks through an error and its sources.
fn below(error: &(dyn Error + 'static)) -> Fault {
    if let Some(code) = reset_code(error) {
        // As good as an answer.
        return Fault::new(FaultKind::Grpc(code)).with_phase(Phase::Body);
    }
    let mut faults = Faults::new();
    faults.rule(of_transport);
    faults.of_chain(error)
}

/// Returns the code of a stream that the peer has reset ("Errors" in gRPC over HTTP/2). With
/// `REFUSED_STREAM` the peer has not seen the call.
fn reset_code(error: &(dyn Error + 'static)) -> Option<GrpcCode> {
    let h2 = error_sources(error).find_map(|error| error.downcast_ref::<h2::Error>())?;
    if !(h2.is_reset() && h2.is_remote()) {
        return None;
    }
    Some(match h2.reason()? {
        h2::Reason::REFUSED_STREAM => return None,
        h2::Reason::CANCEL => GrpcCode::Cancelled,
        h2::Reason::ENHANCE_YOUR_CALM => GrpcCode::ResourceExhausted,
        h2::Reason::INADEQUATE_SECURITY => GrpcCode::PermissionDenied,
        _ => GrpcCode::Internal,
    })
}

/// Turns a transport's error into the status that its caller gets.
pub(crate) fn to_status(error: impl Into<Box<dyn Error + Send + Sync>>) -> Status {
    let error = match error.into().downcast::<Status>() {
        Ok(status) => return mend(*status),
        Err(error) => error,
    };
    let text = meshwise_core::internal::error_chain(&*error);
    match code(below(&*error)) {
        Some(code) => status(code, text, error.into()),
        None => Status::from_error(error),
    }
}

/// Gives a status that tonic made of a broken connection, while a response was read, its code.
pub(crate) fn mend(broken: Status) -> Status {
    match code(of_status(&broken)) {
        Some(code) if broken.code() != code => {
            status(code, broken.message().to_owned(), Arc::new(broken))
        }
        _ => broken,
    }
}

/// Returns the code that gRPC libraries give for what befell a connection: tonic says `UNKNOWN`,
/// `INTERNAL` or `CANCELLED` for some.
fn code(fault: Fault) -> Option<Code> {
    Some(match fault.kind {
        FaultKind::Timeout => Code::DeadlineExceeded,
        FaultKind::Connect | FaultKind::Reset => Code::Unavailable,
        FaultKind::Request | FaultKind::RequestBody => Code::Internal,
        FaultKind::Grpc(code) => Code::from_i32(code as i32),
        _ => return None,
    })
}

fn status(code: Code, text: String, source: Arc<dyn Error + Send + Sync>) -> Status {
    let mut status = Status::new(code, text);
    status.set_source(source);
    status
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    fn kind(status: &Status) -> FaultKind {
        fault(status).map(|fault| fault.kind).unwrap()
    }

    fn with_source(mut status: Status, source: impl Error + Send + Sync + 'static) -> Status {
        status.set_source(Arc::new(source));
        status
    }

    #[test]
    fn a_status_is_its_code_or_what_befell_its_connection() {
        let reset = || io::Error::from(io::ErrorKind::ConnectionReset);
        for (status, expected) in [
            (Status::data_loss(""), FaultKind::Grpc(GrpcCode::DataLoss)),
            (Status::deadline_exceeded(""), FaultKind::Grpc(GrpcCode::DeadlineExceeded)),
            (Status::unavailable(""), FaultKind::Grpc(GrpcCode::Unavailable)),
            (with_source(Status::unavailable(""), ConnectError("no".into())), FaultKind::Connect),
            (with_source(Status::unknown(""), reset()), FaultKind::Reset),
            (
                with_source(Status::unavailable(""), h2::Error::from(h2::Reason::CANCEL)),
                FaultKind::Reset,
            ),
            // An interceptor's own, because of another peer.
            (
                with_source(Status::unauthenticated(""), reset()),
                FaultKind::Grpc(GrpcCode::Unauthenticated),
            ),
            (
                with_source(Status::unavailable(""), std::fmt::Error),
                FaultKind::Grpc(GrpcCode::Unavailable),
            ),
        ] {
            assert_eq!(kind(&status), expected, "{status:?}");
        }
        assert_eq!(fault(&std::fmt::Error), None);
    }

    #[test]
    fn a_broken_connection_is_unavailable_and_keeps_its_cause() {
        let broken = with_source(
            Status::unknown("transport error"),
            io::Error::from(io::ErrorKind::BrokenPipe),
        );
        let mended = mend(broken);
        assert_eq!((mended.code(), mended.message()), (Code::Unavailable, "transport error"));
        assert_eq!(kind(&mended), FaultKind::Reset);
        assert_eq!(mend(Status::unknown("a thought")).code(), Code::Unknown);
    }
}
