//! What a peer says about when to come back.

use super::{Protocol, RetryAfter};
use crate::internal::retry_after::retry_after;
use http::{HeaderMap, StatusCode};
use std::time::Duration;

/// Reads `Retry-After`, or gRPC's `grpc-retry-pushback-ms`. What answers a gRPC call with another status than
/// 200 is not gRPC, and says it in HTTP's way.
pub(super) fn read(
    protocol: Protocol,
    status: StatusCode,
    headers: &HeaderMap,
) -> Option<RetryAfter> {
    let http = || retry_after(headers).map(RetryAfter::AtLeast);
    match protocol {
        Protocol::Http => http(),
        Protocol::Grpc => pushback(headers).or_else(|| http().filter(|_| status != StatusCode::OK)),
    }
}

/// Reads `grpc-retry-pushback-ms` (gRPC proposal A6, "Pushback"): what is negative or no number says
/// not to come back.
fn pushback(headers: &HeaderMap) -> Option<RetryAfter> {
    let value = headers.get("grpc-retry-pushback-ms")?;
    Some(match value.to_str().ok().and_then(|value| value.parse::<u32>().ok()) {
        Some(millis) => RetryAfter::Exactly(Duration::from_millis(millis.into())),
        None => RetryAfter::Stop,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pushback_that_is_negative_or_no_number_says_stop() {
        let read = |value: &str| {
            pushback(&HeaderMap::from_iter([(
                "grpc-retry-pushback-ms".parse().unwrap(),
                value.parse().unwrap(),
            )]))
        };
        assert_eq!(read("150"), Some(RetryAfter::Exactly(Duration::from_millis(150))));
        assert_eq!(read("0"), Some(RetryAfter::Exactly(Duration::ZERO)));
        for stop in ["-1", "-150", "x", "", "1e3", "99999999999"] {
            assert_eq!(read(stop), Some(RetryAfter::Stop), "{stop}");
        }
        assert_eq!(pushback(&HeaderMap::new()), None);
    }
}
