//! Telling a response that streams: its body may flow for hours and says nothing of the peer's
//! health.

use bytes::Buf;
use http::{HeaderMap, StatusCode, header};
use meshwise_core::{Protocol, outcome::is_event_stream};

/// Says which responses stream, beside those that tell so themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Streaming {
    /// All of them.
    pub(crate) all: bool,
    /// Those of these gRPC methods, as `package.Service/Method` or `package.Service/*`.
    pub(crate) methods: Vec<Box<str>>,
}

impl Streaming {
    /// Tells whether a gRPC method is listed.
    pub(crate) fn lists(&self, path: &str) -> bool {
        let method = path.trim_start_matches('/');
        self.methods.iter().any(|listed| match listed.strip_suffix("/*") {
            Some(service) => method.strip_prefix(service).is_some_and(|rest| rest.starts_with('/')),
            None => **listed == *method,
        })
    }
}

/// Tells whether a response streams by what its head says: server-sent events, and connections that
/// become another protocol's.
#[inline]
pub(super) fn by_head(protocol: Protocol, status: StatusCode, headers: &HeaderMap) -> bool {
    if protocol == Protocol::Grpc {
        return false;
    }
    status == StatusCode::SWITCHING_PROTOCOLS
        || (!headers.is_empty() && is_event_stream(headers.get(header::CONTENT_TYPE)))
}

/// Follows the messages in a gRPC body: a flag byte, four bytes of length, the message ("gRPC over
/// HTTP/2", Length-Prefixed-Message).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct GrpcMessages {
    prefix: [u8; 5],
    have: u8,
    left: u32,
    /// Whether a message is complete.
    pub(crate) one: bool,
}

impl GrpcMessages {
    /// Takes note of a piece of the body.
    pub(crate) fn data(&mut self, data: &impl Buf) {
        // One complete message is all that is asked for.
        if self.one {
            return;
        }
        // A piece that is in several parts is looked at as far as its first goes: what is missed
        // makes the body a stream a message later.
        let mut rest = data.chunk();
        let whole = data.remaining();
        let mut skipped = 0;
        while self.have < 5 {
            let Some((byte, after)) = rest.split_first() else { return };
            if let Some(place) = self.prefix.get_mut(usize::from(self.have)) {
                *place = *byte;
            }
            self.have += 1;
            skipped += 1;
            rest = after;
            if self.have == 5 {
                let [_, a, b, c, d] = self.prefix;
                self.left = u32::from_be_bytes([a, b, c, d]);
            }
        }
        let seen = u32::try_from(whole - skipped).unwrap_or(u32::MAX);
        self.left = self.left.saturating_sub(seen);
        self.one = self.left == 0;
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_complete_with_its_last_byte_however_it_is_cut() {
        for cut in 1..9 {
            let message = [0, 0, 0, 0, 4, 1, 2, 3, 4];
            let mut seen = GrpcMessages::default();
            let (first, second) = message.split_at(cut);
            seen.data(&first);
            assert!(!seen.one, "{cut}");
            seen.data(&second);
            assert!(seen.one, "{cut}");
        }
        let mut empty = GrpcMessages::default();
        empty.data(&&[0, 0, 0, 0, 0][..]);
        assert!(empty.one);
    }

    #[test]
    fn methods_are_listed_one_by_one_or_by_service() {
        let streaming = Streaming {
            all: false,
            methods: vec!["shop.v1.Stock/Watch".into(), "grpc.health.v1.Health/*".into()],
        };
        for (path, listed) in [
            ("/shop.v1.Stock/Watch", true),
            ("/shop.v1.Stock/Get", false),
            ("/grpc.health.v1.Health/Watch", true),
            ("/grpc.health.v1.Healthy/Watch", false),
        ] {
            assert_eq!(streaming.lists(path), listed, "{path}");
        }
    }
}
