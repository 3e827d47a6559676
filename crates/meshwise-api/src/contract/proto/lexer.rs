//! Looks through a file before it is parsed: bounds its nesting, and writes what editions write
//! otherwise as proto3 does.

/// How deep brackets of any kind may nest.
const MAX_NESTING: usize = 64;

#[derive(Debug)]
pub(super) struct ProtoSource {
    pub(super) text: String,
    /// The edition, if the file names one: `2023`.
    pub(super) edition: Option<String>,
}

/// A word, a text or a sign, with its place in bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Piece<'a> {
    text: &'a str,
    start: usize,
}

impl Piece<'_> {
    fn end(&self) -> usize {
        self.start + self.text.len()
    }

    fn is_word(&self) -> bool {
        self.text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
    }
}

/// Bounds the nesting, and turns an edition into proto3.
pub(super) fn prepare(text: &str) -> Result<ProtoSource, String> {
    let pieces = pieces(text);
    nesting(&pieces)?;
    let edition = match &pieces[..] {
        [first, equals, value, ..] if first.text == "edition" && equals.text == "=" => {
            value.text.trim_matches(['"', '\'']).to_owned()
        }
        _ => return Ok(ProtoSource { text: text.to_owned(), edition: None }),
    };
    if !matches!(&*edition, "2023" | "2024") {
        return Err(format!(
            "edition {} is not read, write 2023 or 2024",
            crate::text::shorten(&edition)
        ));
    }
    Ok(ProtoSource { text: as_proto3(text, &pieces), edition: Some(edition) })
}

/// Writes the file as proto3: names in `reserved` as texts, `default` as an option of its own, and
/// without the visibility of edition 2024. Lines stay where they are.
fn as_proto3(text: &str, pieces: &[Piece<'_>]) -> String {
    let mut edits: Vec<(Piece<'_>, String)> = Vec::new();
    if let [first, _, value, ..] = pieces {
        edits.push((*first, "syntax".to_owned()));
        edits.push((*value, "\"proto3\"".to_owned()));
    }
    let mut brackets = 0_usize;
    let mut reserved = false;
    for (at, piece) in pieces.iter().enumerate() {
        let next = pieces.get(at + 1).map_or("", |piece| piece.text);
        let before = at.checked_sub(1).and_then(|at| pieces.get(at)).map_or("", |piece| piece.text);
        let begins = matches!(before, ";" | "{" | "}" | "");
        match piece.text {
            "[" => brackets += 1,
            "]" => brackets = brackets.saturating_sub(1),
            ";" => reserved = false,
            "reserved" if begins && next != "=" => reserved = true,
            "default" if brackets > 0 && next == "=" && matches!(before, "[" | ",") => {
                edits.push((*piece, "(default)".to_owned()));
            }
            "export" | "local" if begins && matches!(next, "message" | "enum") => {
                edits.push((*piece, String::new()));
            }
            "option" if before == "import" => edits.push((*piece, String::new())),
            word if reserved && piece.is_word() && word != "to" && word != "max" => {
                edits.push((*piece, format!("\"{word}\"")));
            }
            _ => {}
        }
    }
    let mut out = String::with_capacity(text.len() + 64);
    let mut done = 0;
    for (piece, replacement) in edits {
        out.push_str(&text[done..piece.start]);
        out.push_str(&replacement);
        done = piece.end();
    }
    out.push_str(&text[done..]);
    out
}

fn nesting(pieces: &[Piece<'_>]) -> Result<(), String> {
    let mut depth = 0_usize;
    for piece in pieces {
        match piece.text {
            "{" | "[" | "(" | "<" => depth += 1,
            "}" | "]" | ")" | ">" => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_NESTING {
            return Err(format!("it is nested more than {MAX_NESTING} deep"));
        }
    }
    Ok(())
}

/// Splits a text into words, texts and signs, without white space and comments.
fn pieces(text: &str) -> Vec<Piece<'_>> {
    let bytes = text.as_bytes();
    let mut pieces = Vec::new();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let start = at;
        match byte {
            b'/' if bytes.get(at + 1) == Some(&b'/') => {
                at = find(bytes, at, b"\n").unwrap_or(bytes.len());
                continue;
            }
            b'/' if bytes.get(at + 1) == Some(&b'*') => {
                at = find(bytes, at + 2, b"*/").map_or(bytes.len(), |end| end + 2);
                continue;
            }
            b'"' | b'\'' => {
                at += 1;
                while let Some(&inner) = bytes.get(at) {
                    at += 1;
                    match inner {
                        b'\\' => at += 1,
                        b'\n' => break,
                        _ if inner == byte => break,
                        _ => {}
                    }
                }
                at = at.min(bytes.len());
                while !text.is_char_boundary(at) {
                    at += 1;
                }
            }
            _ if byte.is_ascii_alphanumeric() || byte == b'_' => {
                while bytes.get(at).is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_') {
                    at += 1;
                }
            }
            _ if byte.is_ascii() => at += 1,
            _ => {
                at += 1;
                while !text.is_char_boundary(at) {
                    at += 1;
                }
            }
        }
        if !byte.is_ascii_whitespace() {
            pieces.push(Piece { text: &text[start..at], start });
        }
    }
    pieces
}

fn find(bytes: &[u8], from: usize, wanted: &[u8]) -> Option<usize> {
    let rest = bytes.get(from..)?;
    rest.windows(wanted.len()).position(|window| window == wanted).map(|at| from + at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edition_is_written_as_proto3() {
        let source = prepare(concat!(
            "// edition = \"2023\";\nedition = \"2023\";\nimport option \"x.proto\";\n",
            "export message A {\n  reserved 1, 4 to max;\n  reserved old, \"older\";\n",
            "  int32 reserved = 2 [default = 5, deprecated = true];\n  string default = 3; /* default = */\n}\n",
        ))
        .expect("an edition");
        assert_eq!(source.edition.as_deref(), Some("2023"));
        assert_eq!(
            source.text,
            concat!(
                "// edition = \"2023\";\nsyntax = \"proto3\";\nimport  \"x.proto\";\n",
                " message A {\n  reserved 1, 4 to max;\n  reserved \"old\", \"older\";\n",
                "  int32 reserved = 2 [(default) = 5, deprecated = true];\n  string default = 3; /* default = */\n}\n",
            )
        );
        assert!(protox_parse::parse("x.proto", &source.text).is_ok());
    }

    #[test]
    fn other_files_stay_as_they_are() {
        for text in
            ["", "syntax = \"proto3\";", "message edition {}", "\"ü", "'\\", "/*", "//", "ü'\\ü"]
        {
            let source = prepare(text).expect("no edition");
            assert_eq!((&*source.text, source.edition), (text, None));
        }
        assert!(prepare("edition = \"1999\";").is_err());
        assert!(prepare(&"{".repeat(65)).is_err());
        assert!(prepare(&"({[<>]})".repeat(1000)).is_ok());
    }
}
