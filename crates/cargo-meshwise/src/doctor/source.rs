//! Reading Rust source for calls, without a compiler.
//!
//! Comments, strings and test code are blanked out first, so that a doc comment with an example in
//! it is no call; positions stay as they were.

use super::place::Place;

/// A source file of the package.
#[derive(Debug)]
pub(crate) struct Source {
    /// Relative to the package's folder, with `/`.
    pub(crate) path: String,
    text: String,
    /// As `text`, with comments, strings and test code blanked.
    code: String,
    /// As `text`, with comments and test code blanked.
    literal: String,
}

/// Where in the program a file belongs: which processes can run its code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part<'a> {
    /// The library, or modules that any binary may hold.
    Shared,
    /// One binary: `main`, or its name under `src/bin`.
    Binary(&'a str),
}

impl Part<'_> {
    /// Tells whether one process can run code of both.
    pub(crate) fn meets(self, other: Self) -> bool {
        self == other || self == Self::Shared || other == Self::Shared
    }
}

impl Source {
    pub(crate) fn new(path: impl Into<String>, text: impl Into<String>) -> Self {
        let text = text.into();
        let (mut code, mut literal) = blank(&text);
        blank_tests(&mut code, &mut literal);
        let as_text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        Self { path: path.into(), code: as_text(&code), literal: as_text(&literal), text }
    }

    pub(crate) fn part(&self) -> Part<'_> {
        if self.path == "src/main.rs" {
            return Part::Binary("main");
        }
        match self.path.strip_prefix("src/bin/") {
            Some(rest) => {
                let name = rest.split('/').next().unwrap_or(rest);
                Part::Binary(name.strip_suffix(".rs").unwrap_or(name))
            }
            None => Part::Shared,
        }
    }

    /// The code without comments, strings and tests.
    #[cfg(test)]
    pub(crate) fn code(&self) -> &str {
        &self.code
    }

    /// Lists the string literals that are not in comments or tests.
    pub(crate) fn strings(&self) -> impl Iterator<Item = &str> {
        // A literal is where the two differ.
        let (code, literal) = (self.code.as_bytes(), self.literal.as_bytes());
        let mut at = 0;
        std::iter::from_fn(move || {
            while at < literal.len() && code.get(at) == literal.get(at) {
                at += 1;
            }
            let start = at;
            while at < literal.len() && (code.get(at) != literal.get(at) || literal[at] == b' ') {
                at += 1;
            }
            (start < at).then(|| self.literal.get(start..at).unwrap_or_default().trim_end())
        })
    }

    /// Tells whether a string literal holds this text.
    pub(crate) fn says(&self, text: &str) -> bool {
        self.strings().any(|literal| literal.contains(text))
    }

    /// Finds every occurrence of a path or a call in the code, white space aside; returns where.
    ///
    /// It must not continue a longer name: `init(` is not found in `reinit(`.
    pub(crate) fn find<'a>(&'a self, needle: &'a str) -> impl Iterator<Item = usize> {
        let code = self.code.as_bytes();
        let starts = needle.bytes().next();
        let name = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_');
        (0..code.len()).filter(move |&at| {
            Some(code[at]) == starts
                && !(at > 0 && name(starts.as_ref()) && name(code.get(at - 1)))
                && matches_loosely(&code[at..], needle.as_bytes())
        })
    }

    /// Returns what stands between the quotes of the string literal that is the first argument of
    /// the call found here.
    pub(crate) fn literal_after(&self, at: usize) -> Option<&str> {
        let rest = self.literal.get(at..)?;
        let argument = rest.get(rest.find('(')? + 1..)?.trim_start();
        let inner = argument.strip_prefix('"')?;
        inner.get(..inner.find('"')?)
    }

    /// Returns the code from the start of the statement to this position.
    pub(crate) fn statement(&self, at: usize) -> &str {
        let code = self.code.as_bytes();
        let mut depth = 0_usize;
        let mut start = 0;
        for (i, byte) in code.iter().enumerate().take(at).rev() {
            match byte {
                b')' | b']' => depth += 1,
                b'}' if depth > 0 => depth += 1,
                b'{' | b'(' | b'[' if depth > 0 => depth -= 1,
                b'{' | b'}' | b'(' | b'[' | b';' if depth == 0 => {
                    start = i + 1;
                    break;
                }
                _ => {}
            }
        }
        self.code.get(start..at).unwrap_or_default()
    }

    pub(crate) fn place(&self, at: usize) -> Place {
        let before = self.text.as_bytes().get(..at).unwrap_or_default();
        let line = before.iter().filter(|b| **b == b'\n').count();
        let text = self.text.lines().nth(line).unwrap_or_default().trim();
        Place { file: self.path.clone(), line: line + 1, text: text.chars().take(200).collect() }
    }
}

/// Tells whether code begins with this text, any white space between its tokens.
fn matches_loosely(code: &[u8], needle: &[u8]) -> bool {
    let mut at = 0;
    for (i, want) in needle.iter().enumerate() {
        let name = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        // White space may stand anywhere but inside a name.
        if i > 0 && !(name(needle[i - 1]) && name(*want)) {
            while code.get(at).is_some_and(u8::is_ascii_whitespace) {
                at += 1;
            }
        }
        if code.get(at) != Some(want) {
            return false;
        }
        at += 1;
    }
    true
}

/// Blanks comments and strings (first result), and comments only (second).
fn blank(text: &str) -> (Vec<u8>, Vec<u8>) {
    let bytes = text.as_bytes();
    let (mut code, mut literal) = (bytes.to_vec(), bytes.to_vec());
    let mut at = 0;
    while at < bytes.len() {
        let rest = &bytes[at..];
        let (length, is_comment) = match rest {
            [b'/', b'/', ..] => (line_end(rest), true),
            [b'/', b'*', ..] => (block_end(rest), true),
            [b'"', ..] => (string_end(rest), false),
            [b'\'', ..] => (char_end(rest), false),
            [b'r', b'"' | b'#', ..] if !continues_name(bytes, at) => (raw_end(rest), false),
            _ => (0, false),
        };
        for i in at..(at + length).min(bytes.len()) {
            if bytes[i] != b'\n' {
                code[i] = b' ';
                if is_comment {
                    literal[i] = b' ';
                }
            }
        }
        at += length.max(1);
    }
    (code, literal)
}

fn continues_name(bytes: &[u8], at: usize) -> bool {
    // `br"..."` and `cr"..."` are raw strings too, `bar"` is none.
    let name = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_';
    match at.checked_sub(1).and_then(|i| bytes.get(i)) {
        Some(b'b' | b'c') => at.checked_sub(2).and_then(|i| bytes.get(i)).is_some_and(name),
        other => other.is_some_and(name),
    }
}

fn line_end(rest: &[u8]) -> usize {
    rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len())
}

fn block_end(rest: &[u8]) -> usize {
    let (mut at, mut depth) = (0, 0_usize);
    while at < rest.len() {
        match &rest[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => {
                (depth, at) = (depth - 1, at + 2);
                if depth == 0 {
                    return at;
                }
            }
            _ => at += 1,
        }
    }
    rest.len()
}

fn string_end(rest: &[u8]) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

/// A character literal's length, or 0 for a lifetime.
fn char_end(rest: &[u8]) -> usize {
    match rest {
        [_, b'\\', ..] => rest.iter().skip(3).position(|b| *b == b'\'').map_or(0, |i| i + 4),
        [_, first, ..] => {
            let width = match first {
                0..0x80 => 1,
                0x80..0xE0 => 2,
                0xE0..0xF0 => 3,
                _ => 4,
            };
            if rest.get(1 + width) == Some(&b'\'') { 2 + width } else { 0 }
        }
        _ => 0,
    }
}

fn raw_end(rest: &[u8]) -> usize {
    let hashes = rest.iter().skip(1).take_while(|b| **b == b'#').count();
    if rest.get(1 + hashes) != Some(&b'"') {
        return 0; // a raw identifier
    }
    let mut at = 2 + hashes;
    while at < rest.len() {
        if rest[at] == b'"'
            && rest[at + 1..].iter().take(hashes).filter(|b| **b == b'#').count() == hashes
        {
            return at + 1 + hashes;
        }
        at += 1;
    }
    rest.len()
}

/// Blanks what only tests compile: the items after `#[cfg(test)]` and `#[test]`.
fn blank_tests(code: &mut [u8], literal: &mut [u8]) {
    let mut at = 0;
    while at < code.len() {
        let is_test = ["#[cfg(test)]", "#[cfg(all(test", "#[test]", "#[tokio::test"]
            .iter()
            .any(|attribute| matches_loosely(&code[at..], attribute.as_bytes()));
        if !is_test {
            at += 1;
            continue;
        }
        let end = item_end(code, at);
        for i in at..end {
            if code[i] != b'\n' {
                code[i] = b' ';
                literal[i] = b' ';
            }
        }
        at = end;
    }
}

/// Finds the end of the item that begins here with an attribute.
fn item_end(code: &[u8], start: usize) -> usize {
    let (mut braces, mut other) = (0_usize, 0_usize);
    for (i, byte) in code.iter().enumerate().skip(start) {
        match byte {
            b'(' | b'[' => other += 1,
            b')' | b']' => other = other.saturating_sub(1),
            b'{' => braces += 1,
            b'}' if braces <= 1 => return i + 1,
            b'}' => braces -= 1,
            b';' if braces == 0 && other == 0 => return i + 1,
            _ => {}
        }
    }
    code.len()
}

#[cfg(test)]
mod tests;
