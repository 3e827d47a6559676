//! JSON with one text for one value, and the digest of that text.
//!
//! The text is that of the JSON Canonicalization Scheme (RFC 8785): keys sorted by their UTF-16
//! code units, no white space, the shortest escapes. Numbers must be integers of up to 53 bits: all
//! that documents use, and all that every language writes alike.

mod scan;

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};
use sha2::Digest as _;

pub(crate) use scan::member_in_canonical;

use crate::text::shorten;

/// The largest integer that every JSON reader keeps exactly.
const MAX_INTEGER: u64 = (1 << 53) - 1;

/// Writes a value in its canonical form.
///
/// # Errors
/// If it holds a number that is no integer of up to 53 bits.
pub(crate) fn to_canonical(value: &Value) -> Result<String, CanonicalError> {
    let mut out = String::new();
    write(value, &mut out)?;
    Ok(out)
}

/// Writes an object in its canonical form, whole and without one of its members; what is no object has
/// but one form.
///
/// # Errors
/// As [`to_canonical`].
pub(crate) fn to_canonical_without(
    value: &Value,
    left_out: &str,
) -> Result<(String, String), CanonicalError> {
    let Value::Object(members) = value else {
        let text = to_canonical(value)?;
        return Ok((text.clone(), text));
    };
    let mut whole = String::from("{");
    // Where the member that is left out begins and ends, with one of the commas around it.
    let mut cut = 0..0;
    for (at, (key, member)) in sorted(members).enumerate() {
        let start = whole.len();
        if at > 0 {
            whole.push(',');
        }
        write_string(key, &mut whole);
        whole.push(':');
        write(member, &mut whole)?;
        if key == left_out {
            cut = start..whole.len();
        }
    }
    if cut.start == 1 && cut.end < whole.len() {
        cut.end += 1;
    }
    whole.push('}');
    let rest = [&whole[..cut.start], &whole[cut.end..]].concat();
    Ok((whole, rest))
}

/// Sorts members by their keys.
fn sorted(members: &Map<String, Value>) -> impl Iterator<Item = (&String, &Value)> {
    // Bytes order ASCII as UTF-16 does. Another crate of the build may have turned on serde_json's
    // `preserve_order`, and then the map is not sorted.
    let as_it_is = members.keys().all(|key| key.is_ascii()) && members.keys().is_sorted();
    let anew = (!as_it_is).then(|| {
        let mut anew: Vec<_> = members.iter().collect();
        anew.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
        anew
    });
    let as_it_is = as_it_is.then(|| members.iter()).into_iter().flatten();
    as_it_is.chain(anew.into_iter().flatten())
}

fn write(value: &Value, out: &mut String) -> Result<(), CanonicalError> {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Number(number) => {
            let integer = number.as_i64().is_some_and(|n| n.unsigned_abs() <= MAX_INTEGER);
            if !integer {
                return Err(CanonicalError(shorten(&number.to_string())));
            }
            out.push_str(&number.to_string());
        }
        Value::String(text) => write_string(text, out),
        Value::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write(item, out)?;
            }
            out.push(']');
        }
        Value::Object(members) => {
            out.push('{');
            for (at, (key, member)) in sorted(members).enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write_string(key, out);
                out.push(':');
                write(member, out)?;
            }
            out.push('}');
        }
    }
    Ok(())
}

fn write_string(text: &str, out: &mut String) {
    out.push('"');
    let mut rest = text;
    // Most texts have nothing to escape, and are copied as they are.
    while let Some(at) = rest.bytes().position(|byte| byte < b' ' || matches!(byte, b'"' | b'\\')) {
        out.push_str(&rest[..at]);
        match rest.as_bytes()[at] {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            0x08 => out.push_str("\\b"),
            b'\t' => out.push_str("\\t"),
            b'\n' => out.push_str("\\n"),
            0x0c => out.push_str("\\f"),
            b'\r' => out.push_str("\\r"),
            byte => out.push_str(&format!("\\u{byte:04x}")),
        }
        rest = &rest[at + 1..];
    }
    out.push_str(rest);
    out.push('"');
}

/// Says that a number has no canonical form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the number {0} is not an integer of up to 53 bits")]
pub struct CanonicalError(String);

/// Holds a SHA-256 digest; written as `sha256:` and 64 hexadecimal digits in lower case.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Computes the digest of bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(sha2::Sha256::digest(bytes).into())
    }

    /// Computes the digest of bytes that lie in two parts.
    pub(crate) fn of_both(first: &[u8], second: &[u8]) -> Self {
        Self(sha2::Sha256::new().chain_update(first).chain_update(second).finalize().into())
    }

    /// Computes the digest of a JSON text in its canonical form (RFC 8785), whatever its own is; none
    /// for what is no JSON, or holds a number that is no integer of up to 53 bits.
    #[must_use]
    #[doc(hidden)]
    pub fn of_json(text: &str) -> Option<Self> {
        let value: Value = serde_json::from_str(text).ok()?;
        Some(Self::of(to_canonical(&value).ok()?.as_bytes()))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let error = || DigestError(shorten(text));
        let hex = text.strip_prefix("sha256:").ok_or_else(error)?;
        if hex.len() != 64 || !hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(error());
        }
        let mut bytes = [0; 32];
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).map_err(|_| error())?;
        }
        Ok(Self(bytes))
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Says that a text is no digest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a digest, which is written sha256: and 64 hexadecimal digits in lower case")]
pub struct DigestError(String);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn one_value_has_one_text() {
        let value = json!({
            "b": [1, -2, 0, true, false, null],
            "a": "tab\t quote\" back\\ bell\u{7} é €",
            "\u{e000}": 1,
            "\u{10000}": 2,
        });
        // A character beyond the first plane sorts by its surrogates, before U+E000 (RFC 8785 3.2.3).
        let text = "{\"a\":\"tab\\t quote\\\" back\\\\ bell\\u0007 é €\",\"b\":[1,-2,0,true,false,null],\"\u{10000}\":2,\"\u{e000}\":1}";
        assert_eq!(to_canonical(&value), Ok(text.to_owned()));
    }

    #[test]
    fn numbers_that_are_not_the_same_everywhere_are_refused() {
        for value in
            [json!(1.5), json!(9_007_199_254_740_992_u64), json!(u64::MAX), json!([{"a": 1e300}])]
        {
            assert!(to_canonical(&value).is_err(), "{value}");
        }
        assert_eq!(
            to_canonical(&json!(9_007_199_254_740_991_u64)),
            Ok("9007199254740991".to_owned())
        );
    }

    #[test]
    fn digests_are_those_of_sha_256() {
        let empty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Digest::of(b"").to_string(), empty);
        assert_eq!(empty.parse(), Ok(Digest::of(b"")));
        for text in [
            "",
            "sha256:",
            "e3b0",
            &empty.to_uppercase(),
            &format!("{empty}0"),
            &empty.replace('e', "é"),
        ] {
            assert!(text.parse::<Digest>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_can_be_read_back(text in "\\PC{0,20}|[\\x00-\\x7f]{0,20}") {
            let canonical = to_canonical(&json!({ &text: &text })).expect("no numbers");
            let value: Value = serde_json::from_str(&canonical).expect("json");
            prop_assert_eq!(value, json!({ &text: &text }));
        }
    }
}
