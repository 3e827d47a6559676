//! What is known about a call once it is over.

use meshwise_core::{CallEnd, GrpcCode, outcome::EndedBy};
use std::time::Duration;

/// What is known about a call once it is over.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) end: CallEnd,
    pub(crate) duration: Duration,
    pub(crate) status: Option<u16>,
    pub(crate) code: Option<GrpcCode>,
    pub(crate) message: Option<String>,
    pub(crate) request_size: Option<u64>,
    pub(crate) response_size: u64,
}

impl Finished {
    /// Returns who ended the call, if it was not the peer.
    pub(crate) fn ended_by(&self) -> Option<&'static str> {
        (self.end.ended_by != EndedBy::Peer).then(|| self.end.ended_by.as_str())
    }
}
