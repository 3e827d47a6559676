//! Reading tokens: comments are gone, and what macros are given is there.

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// Leaves out the items that only tests have, whatever they are nested in; names those of them that
/// are modules of another file.
pub(crate) fn production(tokens: TokenStream) -> (TokenStream, Vec<String>) {
    let (mut kept, mut modules) = (Vec::new(), Vec::new());
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        let attribute = is_punct(&token, '#')
            && matches!(tokens.peek(), Some(TokenTree::Group(group))
                if group.delimiter() == Delimiter::Bracket && only_tests(&group.stream()));
        if attribute {
            tokens.next();
            modules.extend(skip_item(&mut tokens));
            continue;
        }
        kept.push(match token {
            TokenTree::Group(group) => {
                let (inner, names) = production(group.stream());
                modules.extend(names);
                TokenTree::Group(proc_macro2::Group::new(group.delimiter(), inner))
            }
            other => other,
        });
    }
    (kept.into_iter().collect(), modules)
}

/// Tells `cfg(test)`, `cfg(all(test, ..))`, `test` and `tokio::test`.
fn only_tests(attribute: &TokenStream) -> bool {
    let text: String = attribute.to_string().chars().filter(|c| !c.is_whitespace()).collect();
    text == "cfg(test)"
        || text.starts_with("cfg(all(test,")
        || text == "test"
        || text.starts_with("tokio::test")
}

/// Skips an item up to its end: a semicolon, or braces.
fn skip_item(tokens: &mut impl Iterator<Item = TokenTree>) -> Option<String> {
    let (mut module, mut name) = (false, None);
    for token in tokens {
        match &token {
            TokenTree::Ident(ident) if module && name.is_none() => name = Some(ident.to_string()),
            TokenTree::Ident(ident) => module |= ident == "mod",
            TokenTree::Punct(punct) if matches!(punct.as_char(), ';' | ',') => return name,
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => return None,
            _ => {}
        }
    }
    None
}

pub(crate) fn is_punct(token: &TokenTree, c: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == c)
}

/// Takes the two colons of a path if they come next.
pub(crate) fn colons(tokens: &[TokenTree], at: usize) -> bool {
    tokens.len() > at + 1 && is_punct(&tokens[at], ':') && is_punct(&tokens[at + 1], ':')
}

/// Finds every path in the tokens, use trees flattened: `use a::{b, c as d}` has `a::b` and `a::c`.
/// A path's second part is the name that it is known by here.
pub(crate) fn paths(tokens: &TokenStream) -> Vec<Path> {
    let mut found = Vec::new();
    scan(tokens, &mut found);
    found
}

/// A path as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Path {
    pub(crate) segments: Vec<String>,
    /// Whether it stands in a `use`.
    pub(crate) import: bool,
    /// What a `use` names it.
    pub(crate) known_as: String,
}

fn scan(tokens: &TokenStream, found: &mut Vec<Path>) {
    let tokens: Vec<TokenTree> = tokens.clone().into_iter().collect();
    let mut at = 0;
    let mut import = false;
    while at < tokens.len() {
        match &tokens[at] {
            TokenTree::Ident(ident) if ident == "use" => import = true,
            TokenTree::Ident(_) if !(at >= 2 && colons(&tokens, at - 2)) => {
                at = path(&tokens, at, Vec::new(), import, found);
                continue;
            }
            TokenTree::Group(group) => scan(&group.stream(), found),
            token if is_punct(token, ';') => import = false,
            _ => {}
        }
        at += 1;
    }
}

/// Reads a path from an identifier on; returns where it ends.
fn path(
    tokens: &[TokenTree],
    mut at: usize,
    mut segments: Vec<String>,
    import: bool,
    found: &mut Vec<Path>,
) -> usize {
    while let Some(TokenTree::Ident(ident)) = tokens.get(at) {
        segments.push(ident.to_string());
        at += 1;
        if !colons(tokens, at) {
            break;
        }
        match tokens.get(at + 2) {
            Some(TokenTree::Ident(_)) => at += 2,
            Some(TokenTree::Group(group)) if import && group.delimiter() == Delimiter::Brace => {
                tree(&group.stream(), &segments, found);
                return at + 3;
            }
            Some(token) if is_punct(token, '*') => {
                segments.push("*".to_owned());
                at += 3;
                break;
            }
            _ => break,
        }
    }
    let mut known_as = segments.last().cloned().unwrap_or_default();
    if import
        && let (Some(TokenTree::Ident(word)), Some(TokenTree::Ident(name))) =
            (tokens.get(at), tokens.get(at + 1))
        && word == "as"
    {
        known_as = name.to_string();
        at += 2;
    }
    found.push(Path { segments, import, known_as });
    at
}

/// Reads the braces of a `use`.
fn tree(inner: &TokenStream, before: &[String], found: &mut Vec<Path>) {
    let tokens: Vec<TokenTree> = inner.clone().into_iter().collect();
    let mut at = 0;
    while at < tokens.len() {
        match &tokens[at] {
            TokenTree::Ident(ident) if ident == "self" && !colons(&tokens, at + 1) => {
                let known_as = before.last().cloned().unwrap_or_default();
                found.push(Path { segments: before.to_vec(), import: true, known_as });
                at += 1;
            }
            TokenTree::Ident(_) => at = path(&tokens, at, before.to_vec(), true, found),
            token if is_punct(token, '*') => {
                let mut segments = before.to_vec();
                segments.push("*".to_owned());
                found.push(Path { segments, import: true, known_as: "*".to_owned() });
                at += 1;
            }
            _ => at += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<String> {
        let paths = paths(&text.parse().unwrap());
        let line = |path: Path| {
            let text = path.segments.join("::");
            if path.segments.last() == Some(&path.known_as) {
                text
            } else {
                format!("{text} as {}", path.known_as)
            }
        };
        paths.into_iter().filter(|path| path.segments.len() > 1).map(line).collect()
    }

    #[test]
    fn use_trees_are_flattened() {
        let found = read("use crate::{a::{self, B as C}, d::*, e}; pub(crate) use super::f::G;");
        let expected = ["crate::a", "crate::a::B as C", "crate::d::*", "crate::e", "super::f::G"];
        assert_eq!(found, expected);
    }

    #[test]
    fn paths_of_code_and_of_macros_are_found() {
        let found =
            read("fn f() -> x::Y<crate::a::B> { print!(\"{}\", crate::c::d()); s.t::<U>() }");
        assert_eq!(found, ["x::Y", "crate::a::B", "crate::c::d"]);
    }

    #[test]
    fn what_only_tests_have_is_left_out() {
        let text = "use a::b; #[cfg(test)] mod tests { use c::d; } #[cfg(test)] mod far; \
                    fn f() { #[cfg(test)] g::h(); i::j(); } #[cfg(feature = \"x\")] mod m;";
        let (kept, modules) = production(text.parse().unwrap());
        assert_eq!(modules, ["far"]);
        let kept = paths(&kept);
        let kept: Vec<_> =
            kept.iter().map(|p| p.segments.join("::")).filter(|p| p.contains("::")).collect();
        assert_eq!(kept, ["a::b", "i::j"]);
    }
}
