//! Calls that this process breaks off, and what answers in the place of a handler.

use super::Call;
use meshwise_core::{
    ErrorType, GrpcCode, Protocol,
    outcome::{BrokenOff, FaultKind},
};

impl Call {
    /// Ends the call: its answer is not its own code's, and says why. Its body is not watched: all of it
    /// is known.
    pub(crate) fn answered_for(&mut self, broken: BrokenOff) {
        if !self.progress.bodiless {
            self.progress.seen = self.progress.announced.unwrap_or_default();
        }
        self.broken_off(broken);
    }

    /// Ends the call: it is broken off, and its caller is told.
    pub(crate) fn broken_off(&mut self, broken: BrokenOff) {
        let faults = self.classifier().faults();
        let (mut fault, message) = (faults.of(&broken), faults.message(&broken));
        if self.protocol == Protocol::Grpc && fault.kind == FaultKind::Shutdown {
            // gRPC's word for it.
            fault.name = Some(ErrorType::new(GrpcCode::Unavailable.as_str()));
        }
        self.broke(fault, Some(message));
    }
}
