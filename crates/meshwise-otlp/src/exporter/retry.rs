//! What to try again, and when (OTLP 1.9, "Failures" and "OTLP/HTTP Throttling").

use super::client::ClientError;
use crate::protocol::OtlpProtocol;
use http::{HeaderMap, StatusCode, Uri};
use meshwise_core::{
    Backoff, DropReason,
    internal::{error_chain, error_sources, retry_after},
};
use std::{error::Error, fmt, time::Duration};

/// Says why a request did not end well.
#[derive(Debug)]
pub(super) struct Refusal {
    kind: RefusalKind,
    error: String,
    looks: Looks,
}

/// Says what the answer tells about the protocol that the other side speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Looks {
    /// Nothing.
    Unknown,
    /// The connection broke, or nothing came: some that do not understand answer like that.
    Silent,
    /// It is the other kind: gRPC where HTTP was spoken, or the other way round.
    Other,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RefusalKind {
    /// It would fail again.
    Final,
    /// The collector asks to try again, if it says so after this time.
    Later(Option<Duration>),
    /// The collector was not reached, or the connection broke.
    Unreached,
    /// There was no answer in time.
    Timeout,
}

impl Refusal {
    /// The request is wrong, and will be again.
    pub(super) fn last(error: impl Into<String>) -> Self {
        Self::new(RefusalKind::Final, error)
    }

    /// The collector asks to try again.
    pub(super) fn later(after: Option<Duration>, error: impl Into<String>) -> Self {
        Self::new(RefusalKind::Later(after), error)
    }

    /// There was no answer in time.
    pub(super) fn timeout(after: Duration) -> Self {
        let error = format!("no answer from the collector within {after:?}");
        Self { looks: Looks::Silent, ..Self::new(RefusalKind::Timeout, error) }
    }

    /// No connection, or it broke.
    pub(super) fn unreached(error: &ClientError) -> Self {
        let looks = if error.is_connect() { Looks::Unknown } else { looks(error) };
        Self { looks, ..Self::new(RefusalKind::Unreached, error_chain(error)) }
    }

    /// The connection broke while the answer was read.
    #[cfg(feature = "otlp-grpc")]
    pub(super) fn broken(error: &(dyn Error + 'static)) -> Self {
        Self { looks: looks(error), ..Self::new(RefusalKind::Unreached, error_chain(error)) }
    }

    /// Judges an HTTP status that is no success.
    pub(super) fn status(status: StatusCode, headers: &HeaderMap) -> Self {
        let error = format!("the collector answered HTTP {status}");
        match status.as_u16() {
            429 | 502 | 503 | 504 => Self::later(retry_after(headers), error),
            _ => Self::last(error),
        }
    }

    /// Adds what the collector says of it.
    #[cfg(feature = "otlp-http")]
    pub(super) fn saying(mut self, words: Option<String>) -> Self {
        if let Some(words) = words {
            self.error += ": ";
            self.error += &words;
        }
        self
    }

    /// The other side answers, in another protocol than it was asked in.
    pub(super) fn other_protocol(self) -> Self {
        Self { looks: Looks::Other, ..self }
    }

    /// Says what may be wrong if the other side seems to speak another protocol.
    pub(super) fn hinting(mut self, protocol: OtlpProtocol, uri: &Uri) -> Self {
        let (usual, other) = protocol.usual_ports();
        let kind = if protocol == OtlpProtocol::Grpc { "an HTTP" } else { "a gRPC" };
        let port = uri.port_u16();
        let suspicious = match self.looks {
            Looks::Other => true,
            Looks::Silent => port == Some(other),
            Looks::Unknown => false,
        };
        if suspicious {
            self.error += &format!("; this looks like {kind} port; {}", protocol.way_out());
            if port == Some(usual) {
                self.error += " (the port is the usual one: look at what listens there)";
            }
        }
        self
    }

    fn new(kind: RefusalKind, error: impl Into<String>) -> Self {
        Self { kind, error: error.into(), looks: Looks::Unknown }
    }

    /// Tells whether the collector itself has spoken.
    pub(super) fn was_answered(&self) -> bool {
        matches!(self.kind, RefusalKind::Final | RefusalKind::Later(_))
    }

    pub(super) fn reason(&self) -> DropReason {
        match self.kind {
            RefusalKind::Timeout => DropReason::ExportTimeout,
            RefusalKind::Final | RefusalKind::Later(_) | RefusalKind::Unreached => {
                DropReason::ExportFailed
            }
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.error)
    }
}

/// Waits longer and longer.
#[derive(Debug, Default)]
pub(super) struct Waits {
    retries: u32,
}

/// Up to 5 s, and of that a random part, so that a fleet does not come back all at once.
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(250), Duration::from_secs(5));

impl Waits {
    /// Returns how long to wait before the next attempt; `None` if there shall be none.
    pub(super) fn next(&mut self, refusal: &Refusal) -> Option<Duration> {
        self.retries = self.retries.saturating_add(1);
        match refusal.kind {
            RefusalKind::Final => None,
            RefusalKind::Later(Some(after)) => Some(BACKOFF.after_asked(self.retries, after)),
            RefusalKind::Later(None) | RefusalKind::Unreached | RefusalKind::Timeout => {
                Some(BACKOFF.wait(self.retries))
            }
        }
    }
}

/// Judges by an error what the other side speaks: an HTTP/1 client that gets HTTP/2's frames cannot
/// parse them, or did not expect any before it asked; an HTTP/2 client takes the first letters of
/// `HTTP/1.1` for the length of a frame.
fn looks(error: &(dyn Error + 'static)) -> Looks {
    let of_hyper = error_sources(error).find_map(|error| error.downcast_ref::<hyper::Error>());
    let Some(error) = of_hyper else { return Looks::Unknown };
    let text = error_chain(error);
    // These have no question of their own in hyper's error.
    let garbled = ["unexpected message", "frame with invalid size"];
    let garbled = error.is_parse() || garbled.iter().any(|words| text.contains(words));
    if garbled { Looks::Other } else { Looks::Silent }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderValue, header::RETRY_AFTER};

    fn asked(value: &'static str) -> RefusalKind {
        let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(value))]);
        Refusal::status(StatusCode::SERVICE_UNAVAILABLE, &headers).kind
    }

    #[test]
    fn only_what_may_pass_is_tried_again() {
        for status in [400, 401, 403, 404, 408, 413, 415, 500, 501, 505, 301] {
            let refusal = Refusal::status(StatusCode::from_u16(status).unwrap(), &HeaderMap::new());
            assert_eq!(refusal.kind, RefusalKind::Final, "{status}");
            assert_eq!(Waits::default().next(&refusal), None);
        }
        for status in [429, 502, 503, 504] {
            let refusal = Refusal::status(StatusCode::from_u16(status).unwrap(), &HeaderMap::new());
            assert_eq!(refusal.kind, RefusalKind::Later(None), "{status}");
        }
    }

    #[test]
    fn a_collector_says_when_to_come_back() {
        assert_eq!(asked("7"), RefusalKind::Later(Some(Duration::from_secs(7))));
        assert_eq!(asked("soon"), RefusalKind::Later(None));
        let past = asked("Fri, 31 Dec 1999 23:59:59 GMT");
        assert_eq!(past, RefusalKind::Later(Some(Duration::ZERO)));
    }

    #[test]
    fn waits_grow_within_bounds_and_never_undercut_the_collector() {
        let mut backoff = Waits::default();
        let refusal = Refusal::later(None, "");
        let mut most = BACKOFF.base;
        for _ in 0..10 {
            let wait = backoff.next(&refusal).unwrap();
            assert!(wait <= most, "{wait:?} of {most:?}");
            most = (most * 2).min(BACKOFF.max);
        }
        let asked = Duration::from_secs(42);
        let wait = backoff.next(&Refusal::later(Some(asked), "")).unwrap();
        assert!(wait >= asked && wait < asked * 2);
        let huge = Refusal::later(Some(Duration::MAX), "");
        assert_eq!(backoff.next(&huge), Some(Duration::MAX));
    }
}
