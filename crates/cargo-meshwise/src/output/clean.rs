//! What strangers declared must not steer a terminal.

use std::borrow::Cow;

/// Replaces control characters, of which a terminal could be told to hide, move or rewrite text,
/// and those that show text in another order than it is read (UAX #9, explicit directions), by U+FFFD. Line
/// ends, tabs and colours (`ESC [ digits m`, which this command writes itself) stay.
pub(super) fn clean(text: &str) -> Cow<'_, str> {
    let turns = |c: char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let tame = |c: char| !(c.is_control() || turns(c)) || matches!(c, '\n' | '\t');
    if text.chars().all(tame) {
        return text.into();
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let taken = match colour(rest) {
            Some(length) => {
                out.push_str(&rest[..length]);
                length
            }
            None => {
                out.push(if tame(c) { c } else { char::REPLACEMENT_CHARACTER });
                c.len_utf8()
            }
        };
        rest = &rest[taken..];
    }
    out.into()
}

/// Returns the length of the colour sequence that a text begins with.
fn colour(text: &str) -> Option<usize> {
    let codes = text.strip_prefix("\x1b[")?;
    let end = codes.find(|c: char| !c.is_ascii_digit() && c != ';')?;
    codes[end..].starts_with('m').then_some(2 + end + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_colours_and_line_ends_pass() {
        for same in ["", "plain\n\ttext", "\x1b[1;31merror\x1b[0m: ü", "\x1b[m"] {
            assert_eq!(clean(same), same);
        }
        for (text, cleaned) in [
            ("\x1b[2Jgone", "\u{fffd}[2Jgone"),
            ("a\rb", "a\u{fffd}b"),
            ("\x1b]0;title\x07", "\u{fffd}]0;title\u{fffd}"),
            ("\u{9b}2J", "\u{fffd}2J"),
            ("\x1b[31", "\u{fffd}[31"),
            ("\x1b", "\u{fffd}"),
            ("no: \u{202e}sey", "no: \u{fffd}sey"),
            ("\u{2067}a\u{2069}", "\u{fffd}a\u{fffd}"),
            ("\x1b[1mx\x1b[1A", "\x1b[1mx\u{fffd}[1A"),
        ] {
            assert_eq!(clean(text), cleaned, "{text:?}");
        }
    }
}
