//! Names in paths.

use std::borrow::Cow;

/// Encodes a name as one segment of a path: all but RFC 3986's unreserved characters.
pub(in crate::serve) fn encode(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out += &format!("%{byte:02X}");
        }
    }
    out
}

/// Decodes a segment; none if it is not UTF-8, or a percent sign is not followed by two digits.
pub(super) fn decode(segment: &str) -> Option<Cow<'_, str>> {
    if !segment.contains('%') {
        return Some(Cow::Borrowed(segment));
    }
    let mut out = Vec::with_capacity(segment.len());
    let mut bytes = segment.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let mut digit = || char::from(bytes.next()?).to_digit(16);
            let (high, low) = (digit()?, digit()?);
            out.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            out.push(byte);
        }
    }
    String::from_utf8(out).ok().map(Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_broken_is_none() {
        for text in ["%", "%4", "%zz", "a%ff", "%é"] {
            assert_eq!(decode(text), None, "{text}");
        }
        assert_eq!(decode("v1%2F2").as_deref(), Some("v1/2"));
        assert_eq!(encode("v1/2 é"), "v1%2F2%20%C3%A9");
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded_again(text in ".{0,20}", any in "[%a-f0-9é]{0,12}") {
            let encoded = encode(&text);
            prop_assert_eq!(decode(&encoded).unwrap(), text);
            let _ = decode(&any);
        }
    }
}
