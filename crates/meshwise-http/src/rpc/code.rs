//! The code that a gRPC call ended with.

use meshwise_core::{
    GrpcCode,
    outcome::{Fault, FaultKind},
};

/// Returns the code of a call that got none: what gRPC libraries tell their callers.
pub(crate) fn fault_code(fault: Fault) -> GrpcCode {
    match fault.kind {
        FaultKind::Grpc(code) => code,
        FaultKind::Refused(rule) => rule.grpc_code(),
        FaultKind::Timeout => GrpcCode::DeadlineExceeded,
        FaultKind::Connect | FaultKind::Reset | FaultKind::Shutdown => GrpcCode::Unavailable,
        FaultKind::Cancelled => GrpcCode::Cancelled,
        FaultKind::Body | FaultKind::Request | FaultKind::RequestBody => GrpcCode::Internal,
        _ => GrpcCode::Unknown,
    }
}
