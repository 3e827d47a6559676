//! Writing text so that it can't break a line.

use crate::words;

/// Appends a text as the inside of a JSON string.
///
/// Besides what JSON demands, the Unicode line separators are escaped: some readers break lines
/// there.
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
            byte @ (0..=0x1f | 0x7f) => {
                const HEX: &[u8; 16] = b"0123456789abcdef";
                let (high, low) = (HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]);
                Some(([b'\\', b'u', b'0', b'0', high, low], 1))
            }
            0xe2 if bytes[at..].starts_with(b"\xe2\x80\xa8") => Some((*b"\\u2028", 3)),
            0xe2 if bytes[at..].starts_with(b"\xe2\x80\xa9") => Some((*b"\\u2029", 3)),
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

/// Tells whether no byte is, or may begin, something to escape.
fn is_plain(bytes: &[u8]) -> bool {
    !words::any(bytes, |word| {
        words::below(word, 0x20)
            | words::equal(word, b'"')
            | words::equal(word, b'\\')
            | words::equal(word, 0x7f)
            | words::equal(word, 0xe2)
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

/// Appends a logfmt key: what would end a key becomes `_`.
pub(crate) fn key(out: &mut Vec<u8>, name: &str) {
    out.extend(name.bytes().map(|b| match b {
        b'"' | b'=' | b'\\' => b'_',
        b if b.is_ascii_graphic() || b >= 0x80 => b,
        _ => b'_',
    }));
}

/// Appends a text for people: control characters can't move the cursor or forge lines.
pub(crate) fn pretty(out: &mut Vec<u8>, text: &str) {
    let harmless = |c: char| !c.is_control() && !matches!(c, '\u{2028}' | '\u{2029}');
    if text.chars().all(harmless) {
        return out.extend_from_slice(text.as_bytes());
    }
    let mut buffer = [0; 4];
    for c in text.chars() {
        match c {
            // A text of several lines stays readable, and can't be taken for lines of its own.
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
    use super::is_plain;

    #[test]
    fn a_byte_to_escape_is_found_wherever_it_stands() {
        for length in 0..20 {
            assert!(is_plain(&vec![b'~'; length]));
            for at in 0..length {
                for byte in 0..=u8::MAX {
                    let mut text = vec![b' '; length];
                    text[at] = byte;
                    let escape = matches!(byte, 0..0x20 | b'"' | b'\\' | 0x7f | 0xe2);
                    assert_eq!(is_plain(&text), !escape, "{byte} at {at} of {length}");
                }
            }
        }
    }
}
