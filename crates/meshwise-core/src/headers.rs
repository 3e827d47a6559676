//! Finding out cheaply that a message does not have a header.

use http::{HeaderMap, HeaderName, HeaderValue};

/// Remembers in one word which headers a message may have.
///
/// A layer asks for a dozen headers by name, most of which few messages have, and each look-up
/// hashes the name. One look at all names answers most of these questions with "no"; a "maybe" is
/// looked up. It is a Bloom filter of 64 bits with one hash.
///
/// ```
/// use http::{HeaderMap, HeaderName, HeaderValue, header};
/// use meshwise_core::internal::HeaderFilter;
/// let mut headers = HeaderMap::new();
/// headers.insert(header::HOST, HeaderValue::from_static("orders"));
/// let filter = HeaderFilter::of(&headers);
/// assert!(filter.may_have(&header::HOST));
/// assert!(!filter.may_have(&HeaderName::from_static("x-request-id")));
/// assert_eq!(filter.get(&headers, &header::HOST), headers.get(header::HOST));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeaderFilter(u64);

impl HeaderFilter {
    /// Looks at all names once. It knows nothing of headers that are added later.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Self {
        Self(headers.keys().fold(0, |bits, name| bits | bit(name)))
    }

    /// Gathers names that are asked for together.
    #[must_use]
    pub fn of_names<'n>(names: impl IntoIterator<Item = &'n HeaderName>) -> Self {
        Self(names.into_iter().fold(0, |bits, name| bits | bit(name)))
    }

    /// Says yes to every name.
    #[must_use]
    pub const fn all() -> Self {
        Self(u64::MAX)
    }

    /// Tells whether the message may have any of the headers that were gathered; `false` is sure.
    #[inline]
    #[must_use]
    pub const fn may_have_any(self, names: Self) -> bool {
        self.0 & names.0 != 0
    }

    /// Tells whether the message may have the header; `false` is sure.
    #[inline]
    #[must_use]
    pub fn may_have(self, name: &HeaderName) -> bool {
        self.0 & bit(name) != 0
    }

    /// Returns the header's first value in `headers`, which must be the ones that were looked at.
    #[inline]
    #[must_use]
    pub fn get<'h>(self, headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h HeaderValue> {
        if self.may_have(name) { headers.get(name) } else { None }
    }
}

/// The length, the first byte and the last, in such a mixture that the names in common use fall on
/// other bits than those that layers ask for.
#[inline]
fn bit(name: &HeaderName) -> u64 {
    let name = name.as_str().as_bytes();
    let [first, .., last] = name else { return 1 };
    1 << ((name.len() + 13 * usize::from(*first) + 8 * usize::from(*last)) % 64)
}

/// Tells whether a header says where a message ends, how it is coded, or how its connection is used (RFC 9110,
/// sections 6.6, 7.6, 8.4 and 10.1; RFC 9112, section 6): only what sends the message knows. A `content-type` is
/// none: what knows better replaces it.
#[must_use]
pub fn is_of_sender(name: &HeaderName) -> bool {
    const OF_SENDER: [&str; 12] = [
        "connection",
        "content-encoding",
        "content-length",
        "expect",
        "grpc-encoding",
        "grpc-timeout",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ];
    OF_SENDER.contains(&name.as_str())
}

/// Tells whether a `content-type` is that of server-sent events.
#[must_use]
pub fn is_event_stream(content_type: Option<&HeaderValue>) -> bool {
    begins_with_type(content_type, "text/event-stream")
}

/// Tells whether a `content-type` begins with a media type, in any case, and has nothing but parameters after
/// it (RFC 9110, section 8.3.1).
#[must_use]
pub fn begins_with_type(content_type: Option<&HeaderValue>, media_type: &str) -> bool {
    let rest = behind_type(content_type, media_type);
    rest.is_some_and(|rest| matches!(rest.first(), None | Some(b';' | b' ' | b'\t')))
}

/// Returns what stands behind a media type, which is written in any case, if a `content-type` begins with it.
#[inline]
pub(crate) fn behind_type<'v>(
    value: Option<&'v HeaderValue>,
    media_type: &str,
) -> Option<&'v [u8]> {
    let (begin, rest) = value?.as_bytes().split_at_checked(media_type.len())?;
    // Most types of one length that differ differ in the last letter.
    let last = |name: &[u8]| name.last().map(u8::to_ascii_lowercase);
    let media_type = media_type.as_bytes();
    let same = last(begin) == last(media_type)
        && (begin == media_type || begin.eq_ignore_ascii_case(media_type));
    same.then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_never_denied() {
        let names = [
            "a",
            "host",
            "content-type",
            "traceparent",
            "tracestate",
            "x-request-id",
            "x-b3-traceid",
            "x-b3-spanid",
        ];
        for count in 0..=names.len() {
            let mut headers = HeaderMap::new();
            for name in &names[..count] {
                headers.append(*name, HeaderValue::from_static("1"));
                headers.append(*name, HeaderValue::from_static("2"));
            }
            let filter = HeaderFilter::of(&headers);
            let all = names.map(HeaderName::from_static);
            assert_eq!(filter.may_have_any(HeaderFilter::of_names(&all)), count > 0);
            for name in all {
                assert!(filter.may_have(&name) || !headers.contains_key(&name), "{name}");
                assert_eq!(filter.get(&headers, &name), headers.get(&name));
            }
        }
        assert!(!HeaderFilter::default().may_have(&http::header::HOST));
    }

    #[test]
    fn a_media_type_is_meant_whole_in_any_case_and_with_parameters() {
        let is = |value| is_event_stream(Some(&HeaderValue::from_static(value)));
        for events in [
            "text/event-stream",
            "TEXT/Event-Stream",
            "text/event-stream;charset=utf-8",
            "text/event-stream ; charset=utf-8",
        ] {
            assert!(is(events), "{events}");
        }
        for other in ["text/event-streams", "text/event-stream+json", "text/event-strea", ""] {
            assert!(!is(other), "{other}");
        }
        assert!(!is_event_stream(None));
    }

    #[test]
    fn a_usual_request_is_told_apart_from_what_it_does_not_have() {
        let usual = [
            "host",
            "user-agent",
            "accept",
            "accept-encoding",
            "content-type",
            "content-length",
            "authorization",
            "x-forwarded-for",
            "x-forwarded-proto",
            "connection",
        ];
        let headers: HeaderMap = usual
            .into_iter()
            .map(|name| (HeaderName::from_static(name), HeaderValue::from_static("1")))
            .collect();
        let filter = HeaderFilter::of(&headers);
        let asked = [
            "traceparent",
            "tracestate",
            "baggage",
            "x-request-id",
            "x-request-timeout-ms",
            "grpc-timeout",
            "grpc-previous-rpc-attempts",
        ];
        let maybe = asked.iter().filter(|name| filter.may_have(&HeaderName::from_static(name)));
        assert!(maybe.count() <= 1, "most are denied at once");
    }
}
