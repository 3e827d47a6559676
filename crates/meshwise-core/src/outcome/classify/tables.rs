//! What statuses and codes mean, as tables that [`Classifier`](crate::outcome::classify::Classifier) changes.

use crate::outcome::{Faults, GrpcCode};
use http::StatusCode;

/// Says what an answer means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Verdict {
    /// It is as it should be.
    Success,
    /// The request makes no sense to the peer: an error of the client's span, nothing against the
    /// peer.
    ClientError,
    /// The peer has more to do than it can: an error of the client's span that lowers adaptive
    /// limits. HTTP's 429 and gRPC's `RESOURCE_EXHAUSTED` are tried again only if the peer says when; what
    /// this is set for with [`Classifier::with_status`](crate::outcome::classify::Classifier::with_status) or [`Classifier::with_code`](crate::outcome::classify::Classifier::with_code) is tried again as it was before.
    Overload,
    /// The peer failed.
    Failure,
}

#[derive(Clone)]
pub(super) struct VerdictTables {
    /// By status, from 100 on.
    pub(super) statuses: [Flags; 500],
    /// By code.
    pub(super) codes: [Flags; 17],
    pub(super) faults: Faults,
}

impl VerdictTables {
    pub(super) const fn new() -> Self {
        let mut statuses = [0; 500];
        // No final answer is informational (RFC 9110, section 15.2): servers send 500 in its place.
        let mut i = 0;
        while i < 100 {
            statuses[i] = if i == 1 { 0 } else { FAILED | SERVER_ERROR };
            i += 1;
        }
        i = 300;
        while i < 500 {
            statuses[i] = if i < 400 { CLIENT_ERROR } else { FAILED | SERVER_ERROR };
            i += 1;
        }
        statuses[329] = CLIENT_ERROR | OVERLOAD | RETRY_IF_ASKED;
        statuses[402] |= RETRY;
        statuses[403] |= RETRY | OVERLOAD;
        statuses[404] |= RETRY | TIMEOUT;
        let mut codes = [CLIENT_ERROR; 17];
        codes[GrpcCode::Ok as usize] = 0;
        codes[GrpcCode::Cancelled as usize] = FAILED | TIMEOUT;
        codes[GrpcCode::Unknown as usize] = FAILED | SERVER_ERROR;
        codes[GrpcCode::DeadlineExceeded as usize] = FAILED | SERVER_ERROR | TIMEOUT;
        codes[GrpcCode::ResourceExhausted as usize] = CLIENT_ERROR | OVERLOAD | RETRY_IF_ASKED;
        codes[GrpcCode::Unimplemented as usize] = CLIENT_ERROR | SERVER_ERROR;
        codes[GrpcCode::Internal as usize] = FAILED | SERVER_ERROR;
        codes[GrpcCode::Unavailable as usize] = FAILED | SERVER_ERROR | RETRY;
        codes[GrpcCode::DataLoss as usize] = FAILED | SERVER_ERROR;
        Self { statuses, codes, faults: Faults::new() }
    }

    #[inline]
    pub(super) fn status(&self, status: StatusCode) -> Flags {
        let at = usize::from(status.as_u16()) - 100;
        // 600 and up mean nothing to HTTP.
        self.statuses.get(at).copied().unwrap_or(FAILED | SERVER_ERROR)
    }
}

pub(super) type Flags = u8;
/// It counts against the peer.
pub(super) const FAILED: Flags = 1;
/// It is an error of the client's span.
pub(super) const CLIENT_ERROR: Flags = 2;
/// It is an error of the server's span.
pub(super) const SERVER_ERROR: Flags = 4;
pub(super) const OVERLOAD: Flags = 8;
pub(super) const RETRY: Flags = 16;
/// It is tried again if the peer says when.
pub(super) const RETRY_IF_ASKED: Flags = 32;
/// The peer may have run out of the time that it was given: tonic's server says `CANCELLED` then.
pub(super) const TIMEOUT: Flags = 64;
/// The end of the body will tell; no table has it.
pub(super) const UNTOLD: Flags = 128;

pub(super) const fn with_verdict(flags: Flags, verdict: Verdict) -> Flags {
    let kept = flags & (RETRY | RETRY_IF_ASKED | TIMEOUT);
    kept | match verdict {
        // What went well is not done again.
        Verdict::Success => return 0,
        Verdict::ClientError => CLIENT_ERROR,
        Verdict::Overload => CLIENT_ERROR | OVERLOAD,
        Verdict::Failure => FAILED | SERVER_ERROR,
    }
}

pub(super) const fn with_retry(flags: Flags, retried: bool) -> Flags {
    let others = flags & !(RETRY | RETRY_IF_ASKED);
    if retried { others | RETRY } else { others }
}
