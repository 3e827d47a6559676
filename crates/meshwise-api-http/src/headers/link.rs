//! The `Link` header (RFC 8288).

use http::{HeaderMap, HeaderValue};
use meshwise_api::names;
use std::borrow::Cow;

/// Holds one link of a `Link` header.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Link<'a> {
    /// Where it leads: a URI reference, as it was written.
    pub target: &'a str,
    /// What it means: relation types, separated by spaces.
    pub rel: Cow<'a, str>,
    /// Whether it has an `anchor`: then it speaks of another resource than the one that was asked
    /// for.
    pub anchored: bool,
}

impl<'a> Link<'a> {
    /// Writes a link: `<target>; rel="rel"`.
    ///
    /// `None` if the target has characters that no URI has (controls, spaces, angle brackets, quotes,
    /// anything but ASCII), or the relation is none.
    #[must_use]
    pub fn header(target: &str, rel: &str) -> Option<HeaderValue> {
        let uri = |b: u8| {
            b.is_ascii_graphic()
                && !matches!(b, b'<' | b'>' | b'"' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}')
        };
        let word = |b: u8| b.is_ascii_graphic() && !matches!(b, b'"' | b'\\');
        let fine = target.bytes().all(uri) && !rel.is_empty() && rel.bytes().all(word);
        fine.then(|| HeaderValue::try_from(format!("<{target}>; rel=\"{rel}\"")).ok()).flatten()
    }

    /// Reads the links of one header value, or of what several come to when joined with commas.
    ///
    /// Where the text is broken, reading ends; the links before are kept.
    #[must_use]
    pub const fn parse(value: &'a str) -> Links<'a> {
        Links { rest: value }
    }

    /// Finds the target of the first link with this relation that speaks of the resource itself.
    #[must_use]
    pub fn find(headers: &'a HeaderMap, rel: &str) -> Option<&'a str> {
        let values = headers.get_all(names::LINK).iter();
        let mut links = values.filter_map(|value| value.to_str().ok()).flat_map(Self::parse);
        links.find(|link| !link.anchored && link.has_rel(rel)).map(|link| link.target)
    }

    /// Tells whether the relation is among the link's; they are compared in any case.
    #[must_use]
    pub fn has_rel(&self, rel: &str) -> bool {
        self.rel.split_ascii_whitespace().any(|word| word.eq_ignore_ascii_case(rel))
    }
}

/// Yields the links of a `Link` header. Made by [`Link::parse`].
#[derive(Clone, Debug)]
pub struct Links<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Links<'a> {
    type Item = Link<'a>;

    fn next(&mut self) -> Option<Link<'a>> {
        // Taken, so that a broken text ends the iterator for good.
        let text = std::mem::take(&mut self.rest).trim_start_matches([' ', '\t', ',']);
        let (target, mut rest) = text.strip_prefix('<')?.split_once('>')?;
        let (mut rel, mut anchored) = (None, false);
        loop {
            rest = rest.trim_start_matches([' ', '\t']);
            let Some(parameter) = rest.strip_prefix(';') else { break };
            let parameter = parameter.trim_start_matches([' ', '\t']);
            let end = parameter.find(['=', ';', ',', ' ', '\t']).unwrap_or(parameter.len());
            let (name, after) = parameter.split_at(end);
            let (value, after) = parameter_value(after)?;
            // Only the first `rel` counts (section 3.3).
            if name.eq_ignore_ascii_case("rel") && rel.is_none() {
                rel = Some(value);
            } else if name.eq_ignore_ascii_case("anchor") {
                anchored = true;
            }
            rest = after;
        }
        if !rest.is_empty() && !rest.starts_with(',') {
            return None;
        }
        self.rest = rest;
        Some(Link { target, rel: rel.unwrap_or_default(), anchored })
    }
}

/// Reads `=value` or `="quoted value"`, if there is one; returns what follows too. `None` if a
/// quotation never ends.
fn parameter_value(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let Some(value) = text.trim_start_matches([' ', '\t']).strip_prefix('=') else {
        return Some((Cow::Borrowed(""), text));
    };
    let value = value.trim_start_matches([' ', '\t']);
    let Some(quoted) = value.strip_prefix('"') else {
        let end = value.find([';', ',', ' ', '\t']).unwrap_or(value.len());
        let (value, rest) = value.split_at(end);
        return Some((Cow::Borrowed(value), rest));
    };
    let end = quoted.find(['"', '\\'])?;
    if quoted[end..].starts_with('"') {
        return Some((Cow::Borrowed(&quoted[..end]), &quoted[end + 1..]));
    }
    let mut unescaped = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((Cow::Owned(unescaped), &quoted[at + 1..])),
            '\\' => unescaped.push(chars.next()?.1),
            c => unescaped.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn links(text: &str) -> Vec<(&str, String)> {
        Link::parse(text).map(|link| (link.target, link.rel.into_owned())).collect()
    }

    #[test]
    fn links_are_read_as_people_write_them() {
        for (text, expected) in [
            ("</v2>; rel=\"successor-version\"", vec![("/v2", "successor-version")]),
            ("</v2>;rel=successor-version", vec![("/v2", "successor-version")]),
            (
                "</a>; title=\"x, y; <z>\"; rel=\"sunset next\", </b>;REL=b",
                vec![("/a", "sunset next"), ("/b", "b")],
            ),
            ("</a>; rel=first; rel=second", vec![("/a", "first")]),
            ("</a>", vec![("/a", "")]),
            ("</a>; flag; rel = \"a\\\"b\"", vec![("/a", "a\"b")]),
            (",, </a>; rel=a,,", vec![("/a", "a")]),
            (
                "<https://x.example/?a=1,2;3>; rel=help",
                vec![("https://x.example/?a=1,2;3", "help")],
            ),
            // What is broken ends the reading.
            ("</a>; rel=a, </b", vec![("/a", "a")]),
            ("</a>; rel=\"a", vec![]),
            ("</a> x, </b>; rel=b", vec![]),
            ("nothing", vec![]),
            ("", vec![]),
        ] {
            let expected: Vec<(&str, String)> =
                expected.into_iter().map(|(target, rel)| (target, rel.to_owned())).collect();
            assert_eq!(links(text), expected, "{text}");
        }
    }

    #[test]
    fn a_link_is_found_by_any_of_its_relations() {
        let mut headers = HeaderMap::new();
        let mut add = |value| headers.append(names::LINK, HeaderValue::from_static(value));
        add("</other>; rel=\"sunset\"; anchor=\"/elsewhere\"");
        add("</style>; rel=preload, </v2>; rel=\"next Successor-Version\"");
        add("</bye>; rel=sunset");
        assert_eq!(Link::find(&headers, "successor-version"), Some("/v2"));
        assert_eq!(Link::find(&headers, "sunset"), Some("/bye"));
        assert_eq!(Link::find(&headers, "version"), None);
    }

    #[test]
    fn nothing_is_written_that_would_be_read_otherwise() {
        assert!(Link::header("https://x.example/a?b=c#d", "sunset").is_some());
        for target in ["/a b", "/a>", "/é", "/a\"", "/a\n"] {
            assert_eq!(Link::header(target, "sunset"), None, "{target}");
        }
        assert_eq!(Link::header("/a", ""), None);
        assert_eq!(Link::header("/a", "a\"; x=\""), None);
    }

    proptest! {
        #[test]
        fn nothing_panics_and_reading_ends(text in "[<>;,=\" \\\\a-c/]{0,60}|.{0,60}") {
            prop_assert!(Link::parse(&text).count() <= text.len());
        }

        #[test]
        fn what_is_written_is_read_again(target in "[!-~]{0,30}", rel in "[!-~]{1,10}") {
            if let Some(value) = Link::header(&target, &rel) {
                prop_assert_eq!(links(value.to_str().unwrap()), vec![(target.as_str(), rel)]);
            }
        }
    }
}
