//! What hyper's and h2's errors mean: the part that all adapters share.

use meshwise_core::{
    ErrorType,
    outcome::{Fault, FaultKind},
};
use std::{error::Error, io};

/// `error.type` of a message that breaks the rules of its protocol.
const PROTOCOL: ErrorType = ErrorType::new("protocol");

/// Translates an error of hyper (and of h2, with the feature `h2`); `None` for every other, and for
/// what only an error below it can tell. A [`FaultRule`](meshwise_core::outcome::FaultRule).
///
/// | error | fault |
/// |---|---|
/// | the connection was closed before the head was complete, or broke | reset |
/// | a connection was closed, or the peer spoke on it, before the request was sent | reset, not sent |
/// | the peer did not answer a keep-alive ping | reset |
/// | GOAWAY, for a stream that the peer has not seen; `REFUSED_STREAM` | reset, not sent |
/// | `RST_STREAM` with any other reason | reset |
/// | the request's own body failed | request body |
/// | the request is refused by hyper or h2 | request |
/// | the peer's message breaks the protocol's rules | other, named `protocol` |
#[must_use]
pub fn hyper_fault(error: &(dyn Error + 'static)) -> Option<Fault> {
    if let Some(error) = error.downcast_ref::<hyper::Error>() {
        return hyper(error);
    }
    #[cfg(feature = "h2")]
    if let Some(error) = error.downcast_ref::<h2::Error>() {
        return Some(h2(error));
    }
    None
}

fn hyper(error: &hyper::Error) -> Option<Fault> {
    if error.is_canceled() || error.is_closed() {
        // hyper returns the request, or never accepted it.
        return Some(Fault::new(FaultKind::Reset).with_sent(false));
    }
    if error.is_incomplete_message() || error.is_timeout() {
        return Some(Fault::new(FaultKind::Reset));
    }
    if error.is_parse() {
        return Some(Fault::named(PROTOCOL));
    }
    if error.is_body_write_aborted() {
        return Some(Fault::new(FaultKind::RequestBody));
    }
    if error.is_user() {
        // Of these, only a body that failed has a cause.
        let body = error.source().is_some();
        return Some(Fault::new(if body { FaultKind::RequestBody } else { FaultKind::Request }));
    }
    let Some(below) = error.source() else {
        // The peer spoke on an idle connection (a 408, say), on which nothing was sent therefore.
        return Some(Fault::new(FaultKind::Reset).with_sent(false));
    };
    let io = below.downcast_ref::<io::Error>()?;
    Some(match io.kind() {
        // A chunk that is none, a TLS record that is none.
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => Fault::named(PROTOCOL),
        // Core's own rule knows it.
        io::ErrorKind::TimedOut => return None,
        _ => Fault::new(FaultKind::Reset),
    })
}

#[cfg(feature = "h2")]
fn h2(error: &h2::Error) -> Fault {
    let kind = if let Some(io) = error.get_io() {
        match io.kind() {
            io::ErrorKind::TimedOut => FaultKind::Timeout,
            _ => FaultKind::Reset,
        }
    } else if error.reason().is_none() {
        FaultKind::Request
    } else if error.is_reset() && !error.is_remote() && !error.is_library() {
        // hyper resets a stream itself when the request's body fails.
        FaultKind::RequestBody
    } else {
        FaultKind::Reset
    };
    // h2 ends a stream with the peer's GOAWAY only if it is past the last one that the peer has seen
    // (RFC 9113, section 6.8); those before it go on.
    let goaway = error.is_go_away() && error.is_remote();
    let refused = error.is_remote() && error.reason() == Some(h2::Reason::REFUSED_STREAM);
    let fault = Fault::new(kind);
    if goaway || refused { fault.with_sent(false) } else { fault }
}
