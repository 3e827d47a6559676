//! Tells in one pass whether a text has its canonical form already.
//!
//! What a release of ours wrote has it. Such a text needs no tree of values, no second text, and no
//! comparison of the two: a dictionary of thousands of documents is read in half the time.

use std::ops::Range;

use super::MAX_INTEGER;

/// How deep values may lie in each other; what is deeper is left to the parser.
const MAX_DEPTH: u32 = 100;

/// Finds a member of the object that a text is, with one of the commas around it; none if there is no
/// such member, or if the text has not, or not surely, its canonical form.
pub(crate) fn member_in_canonical(text: &str, name: &str) -> Option<Range<usize>> {
    let mut scan = Scan { text: text.as_bytes(), at: 0, wanted: name.as_bytes(), found: None };
    scan.object(0)?;
    let mut found = scan.found.filter(|_| scan.at == text.len())?;
    if found.start == 1 && scan.text.get(found.end) == Some(&b',') {
        found.end += 1;
    }
    Some(found)
}

struct Scan<'t> {
    text: &'t [u8],
    at: usize,
    wanted: &'t [u8],
    found: Option<Range<usize>>,
}

impl<'t> Scan<'t> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn takes(&mut self, byte: u8) -> bool {
        let is_it = self.peek() == Some(byte);
        self.at += usize::from(is_it);
        is_it
    }

    fn word(&mut self, word: &[u8]) -> Option<()> {
        self.text[self.at..].starts_with(word).then(|| self.at += word.len())
    }

    fn value(&mut self, depth: u32) -> Option<()> {
        match self.peek()? {
            b'{' => self.object(depth),
            b'[' => self.array(depth),
            b'"' => self.string().map(|_| ()),
            b't' => self.word(b"true"),
            b'f' => self.word(b"false"),
            b'n' => self.word(b"null"),
            _ => self.integer(),
        }
    }

    fn object(&mut self, depth: u32) -> Option<()> {
        if depth > MAX_DEPTH || !self.takes(b'{') {
            return None;
        }
        let mut before: Option<&[u8]> = None;
        while !self.takes(b'}') {
            let start = self.at;
            if before.is_some() && !self.takes(b',') {
                return None;
            }
            let key = self.string()?;
            // Keys that are ASCII are sorted by their bytes; others, and escapes, are not looked at here.
            let is_plain = key.is_ascii() && !key.contains(&b'\\');
            if !is_plain || before.is_some_and(|before| before >= key) || !self.takes(b':') {
                return None;
            }
            self.value(depth + 1)?;
            if depth == 0 && key == self.wanted {
                self.found = Some(start..self.at);
            }
            before = Some(key);
        }
        Some(())
    }

    fn array(&mut self, depth: u32) -> Option<()> {
        if depth > MAX_DEPTH || !self.takes(b'[') {
            return None;
        }
        let mut is_first = true;
        while !self.takes(b']') {
            if !is_first && !self.takes(b',') {
                return None;
            }
            self.value(depth + 1)?;
            is_first = false;
        }
        Some(())
    }

    /// Returns what stands between the quotes.
    fn string(&mut self) -> Option<&'t [u8]> {
        if !self.takes(b'"') {
            return None;
        }
        let start = self.at;
        loop {
            let rest = &self.text[self.at..];
            let plain = rest.iter().position(|byte| matches!(byte, 0..b' ' | b'"' | b'\\'))?;
            self.at += plain + 1;
            match rest[plain] {
                b'"' => return Some(&self.text[start..self.at - 1]),
                b'\\' => self.escape()?,
                _ => return None,
            }
        }
    }

    /// The shortest escapes alone are canonical.
    fn escape(&mut self) -> Option<()> {
        let byte = self.peek()?;
        self.at += 1;
        match byte {
            b'"' | b'\\' | b'b' | b't' | b'n' | b'f' | b'r' => Some(()),
            b'u' => {
                let digits = self.text.get(self.at..self.at + 4)?;
                self.at += 4;
                let has_none_shorter =
                    !matches!(&digits[2..], b"08" | b"09" | b"0a" | b"0c" | b"0d");
                let is_it = digits.starts_with(b"00")
                    && matches!(digits[2], b'0' | b'1')
                    && matches!(digits[3], b'0'..=b'9' | b'a'..=b'f')
                    && has_none_shorter;
                is_it.then_some(())
            }
            _ => None,
        }
    }

    fn integer(&mut self) -> Option<()> {
        let is_negative = self.takes(b'-');
        let rest = &self.text[self.at..];
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += digits;
        let starts_well = match (rest.first(), digits) {
            (_, 0) => false,
            (Some(b'0'), _) => digits == 1 && !is_negative,
            _ => digits <= 16,
        };
        let value = rest[..digits].iter().fold(0, |value: u64, digit| {
            value.saturating_mul(10).saturating_add(u64::from(digit - b'0'))
        });
        (starts_well && value <= MAX_INTEGER).then_some(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, Value};

    use super::*;
    use crate::canonical::{to_canonical, to_canonical_without};

    fn value() -> impl Strategy<Value = Value> {
        let text = "[a-c\\x00-\\x1f\"\\\\é/]{0,6}";
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            (-20_i64..20).prop_map(Value::from),
            any::<i64>().prop_map(|n| Value::from(n >> 11)),
            text.prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 20, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                object(inner).prop_map(Value::from),
            ]
        })
    }

    fn object(values: impl Strategy<Value = Value>) -> impl Strategy<Value = Map<String, Value>> {
        let members = prop::collection::vec(("[a-e]{1,2}|digest", values), 0..5);
        members.prop_map(|members| members.into_iter().collect())
    }

    proptest! {
        #[test]
        fn a_canonical_text_is_cut_as_its_value_is(members in object(value())) {
            let is_there = members.contains_key("digest");
            let Ok((whole, rest)) = to_canonical_without(&Value::from(members), "digest") else {
                return Ok(());
            };
            let cut = member_in_canonical(&whole, "digest");
            prop_assert_eq!(cut.is_some(), is_there, "{}", whole);
            if let Some(cut) = cut {
                prop_assert_eq!([&whole[..cut.start], &whole[cut.end..]].concat(), rest);
            }
        }

        #[test]
        fn what_is_taken_for_canonical_is(
            members in object(value()),
            at in any::<prop::sample::Index>(),
            length in 0..2_usize,
            put in "[ \t\n,:\\[\\]{}\"\\\\0-9a-fu.e/é-]{0,3}",
        ) {
            let mut members = members;
            members.insert("digest".into(), "x".into());
            let Ok(mut text) = to_canonical(&Value::from(members)) else { return Ok(()) };
            let at = at.index(text.len());
            if !text.is_char_boundary(at) || !text.is_char_boundary(at + length) {
                return Ok(());
            }
            text.replace_range(at..at + length, &put);
            if member_in_canonical(&text, "digest").is_some() {
                let value: Value = serde_json::from_str(&text).expect("what is canonical is JSON");
                prop_assert_eq!(to_canonical(&value), Ok(text));
            }
        }
    }

    #[test]
    fn other_texts_are_left_to_the_parser() {
        for text in [
            "",
            "{}",
            "[]",
            "{\"a\":1}",
            "{\"digest\":1} ",
            " {\"digest\":1}",
            "{\"digest\": 1}",
            "{\"b\":1,\"a\":2,\"digest\":1}",
            "{\"digest\":1,\"digest\":1}",
            "{\"digest\":01}",
            "{\"digest\":-0}",
            "{\"digest\":1.0}",
            "{\"digest\":1e1}",
            "{\"digest\":9007199254740992}",
            "{\"digest\":\"\\/\"}",
            "{\"digest\":\"\\u0041\"}",
            "{\"digest\":\"\\u000a\"}",
            "{\"digest\":\"\\u001F\"}",
            "{\"digest\":1,}",
            "{,\"digest\":1}",
            "{\"digest\":[1,]}",
            "{\"digest\":1",
            "{\"digest\":tru}",
            "{\"digest\":\"\n\"}",
            "{\"digest\":1,\"é\":1}",
        ] {
            assert_eq!(member_in_canonical(text, "digest"), None, "{text}");
        }
        let deep = format!("{{\"digest\":{}{}}}", "[".repeat(50_000), "]".repeat(50_000));
        assert_eq!(member_in_canonical(&deep, "digest"), None);
        assert_eq!(member_in_canonical("{\"digest\":1,\"e\":\"\\u001f\"}", "digest"), Some(1..12));
    }
}
