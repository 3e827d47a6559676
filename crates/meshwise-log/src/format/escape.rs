//! Writing text so that it cannot break a line.

use meshwise_core::internal::swar;

/// Appends a text as the inside of a JSON string.
///
/// Besides what JSON demands, these are escaped: the Unicode line separators and NEL, where some
/// readers break lines; the other C1 controls, which terminals obey; and what changes the direction
/// of text, which can make a line read otherwise than it is.
pub(crate) fn json(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    // Nearly all texts are copied as they are.
    if is_plain(bytes) {
        return out.extend_from_slice(bytes);
    }
    let mut copied = 0;
    let mut at = 0;
    while at < bytes.len() {
        let escape: Option<([u8; 6], usize)> = match bytes[at] {
            b'"' => Some((*b"\\\"\0\0\0\0", 1)),
            b'\\' => Some((*b"\\\\\0\0\0\0", 1)),
            b'\n' => Some((*b"\\n\0\0\0\0", 1)),
            b'\r' => Some((*b"\\r\0\0\0\0", 1)),
            b'\t' => Some((*b"\\t\0\0\0\0", 1)),
            byte @ (0..=0x1f | 0x7f) => Some((unicode(byte.into()), 1)),
            0xc2 if matches!(bytes.get(at + 1), Some(0x80..=0x9f)) => {
                Some((unicode(u32::from(bytes[at + 1])), 2))
            }
            0xe2 => {
                text[at..].chars().next().filter(|c| is_marked(*c)).map(|c| (unicode(c.into()), 3))
            }
            _ => None,
        };
        match escape {
            Some((escape, length)) => {
                out.extend_from_slice(&bytes[copied..at]);
                let end = escape.iter().position(|byte| *byte == 0).unwrap_or(escape.len());
                out.extend_from_slice(&escape[..end]);
                at += length;
                copied = at;
            }
            None => at += 1,
        }
    }
    out.extend_from_slice(&bytes[copied..]);
}

/// Writes a character below U+10000 as JSON escapes it.
fn unicode(c: u32) -> [u8; 6] {
    let digit = |shift: u32| char::from_digit(c >> shift & 15, 16).map_or(b'0', |c| c as u8);
    [b'\\', b'u', digit(12), digit(8), digit(4), digit(0)]
}

/// Tells whether a character breaks lines, or turns the direction of text (Unicode's `Bidi_Control`).
fn is_marked(c: char) -> bool {
    matches!(
        c,
        '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    )
}

/// Tells whether no byte is, or may begin, something to escape.
fn is_plain(bytes: &[u8]) -> bool {
    !swar::any(bytes, |word| {
        swar::below(word, 0x20)
            | swar::equal(word, b'"')
            | swar::equal(word, b'\\')
            | swar::equal(word, 0x7f)
            | swar::equal(word | (swar::ONES * 0x20), 0xe2) // and 0xc2
    })
}

/// Appends a text as a JSON string.
pub(crate) fn json_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    json(out, text);
    out.push(b'"');
}

/// Appends a text as a logfmt value: bare if it can be, otherwise quoted.
pub(crate) fn logfmt(out: &mut Vec<u8>, text: &str) {
    let bare = |b: u8| b.is_ascii_graphic() && !matches!(b, b'"' | b'=' | b'\\');
    if !text.is_empty() && text.bytes().all(bare) {
        out.extend_from_slice(text.as_bytes());
    } else {
        json_string(out, text);
    }
}

/// Appends a logfmt key: what would end a key becomes `_`, and so does a name of nothing.
pub(crate) fn key(out: &mut Vec<u8>, name: &str) {
    if name.is_empty() {
        out.push(b'_');
    }
    let mut buffer = [0; 4];
    for c in name.chars() {
        let ends =
            matches!(c, '"' | '=' | '\\') || c.is_whitespace() || c.is_control() || is_marked(c);
        out.extend_from_slice(if ends { '_' } else { c }.encode_utf8(&mut buffer).as_bytes());
    }
}

/// Appends a text for people: control characters cannot move the cursor or forge lines.
pub(crate) fn pretty(out: &mut Vec<u8>, text: &str) {
    // (The Arabic letter mark is the only one that is no three bytes long.)
    let harmless = |c: char| !c.is_control() && !is_marked(c) && c != '\u{61c}';
    if text.chars().all(harmless) {
        return out.extend_from_slice(text.as_bytes());
    }
    let mut buffer = [0; 4];
    for c in text.chars() {
        match c {
            // A text of several lines stays readable, and cannot be taken for lines of its own.
            '\n' => out.extend_from_slice(b"\n    | "),
            c if harmless(c) || c == '\t' => {
                out.extend_from_slice(c.encode_utf8(&mut buffer).as_bytes());
            }
            c => out.extend(c.escape_default().map(|c| c as u8)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{is_plain, key};

    #[test]
    fn a_key_is_one_word_whatever_the_name() {
        for (name, wanted) in [("", "_"), ("a b=c", "a_b_c"), ("\n", "_"), ("ü", "ü")] {
            let mut out = Vec::new();
            key(&mut out, name);
            assert_eq!(out, wanted.as_bytes());
        }
    }

    #[test]
    fn a_byte_to_escape_is_found_wherever_it_stands() {
        for length in 0..20 {
            assert!(is_plain(&vec![b'~'; length]));
            for at in 0..length {
                for byte in 0..=u8::MAX {
                    let mut text = vec![b' '; length];
                    text[at] = byte;
                    let escape = matches!(byte, 0..0x20 | b'"' | b'\\' | 0x7f | 0xc2 | 0xe2);
                    assert_eq!(is_plain(&text), !escape, "{byte} at {at} of {length}");
                }
            }
        }
    }

    #[test]
    fn what_breaks_lines_or_turns_text_is_escaped_and_nothing_else() {
        for (text, json) in [
            ("a\u{85}b", "a\\u0085b"),
            ("a\u{9b}2Jb", "a\\u009b2Jb"),
            ("a\u{202e}b\u{2066}", "a\\u202eb\\u2066"),
            ("a\u{2028}b", "a\\u2028b"),
            ("© ü € “x”", "© ü € “x”"),
        ] {
            let mut out = Vec::new();
            super::json(&mut out, text);
            assert_eq!(str::from_utf8(&out).expect("UTF-8"), json);
        }
        let mut out = Vec::new();
        super::pretty(&mut out, "a\u{202e}b\u{9b}c\u{61c}ü");
        assert_eq!(str::from_utf8(&out).expect("UTF-8"), "a\\u{202e}b\\u{9b}c\\u{61c}ü");
        let mut out = Vec::new();
        key(&mut out, "a b=c\u{2028}\u{85}ü");
        assert_eq!(str::from_utf8(&out).expect("UTF-8"), "a_b_c__ü");
    }
}
