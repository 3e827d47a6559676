//! The functions that a file defines, and what else it names: whether one file leads to another.

use crate::tokens::{is_punct, production};
use anyhow::anyhow;
use proc_macro2::{Delimiter, TokenStream, TokenTree};
use std::collections::BTreeSet;

/// What a Rust file defines and names, without the items that only tests have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Functions {
    defined: BTreeSet<String>,
    named: BTreeSet<String>,
}

impl Functions {
    /// Reads a file's text.
    ///
    /// # Errors
    /// If it is not Rust.
    pub fn of(text: &str) -> anyhow::Result<Self> {
        let tokens: TokenStream = text.parse().map_err(|error| anyhow!("{error}"))?;
        let mut functions = Self::default();
        functions.scan(production(tokens).0, None);
        Ok(functions)
    }

    /// Tells whether `name` is a function of the file, `Type::name` one in a block of that type.
    #[must_use]
    pub fn defines(&self, name: &str) -> bool {
        self.defined.contains(name)
    }

    /// Tells whether the file speaks of a function (the last part of its name) that it does not define by
    /// saying so.
    #[must_use]
    pub fn names(&self, name: &str) -> bool {
        self.named.contains(name.rsplit("::").next().unwrap_or(name))
    }

    fn scan(&mut self, tokens: TokenStream, within: Option<&str>) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let (mut at, mut signature) = (0, false);
        let mut owner = None;
        while let Some(token) = tokens.get(at) {
            match token {
                TokenTree::Ident(word) if word == "fn" => {
                    if let Some(TokenTree::Ident(name)) = tokens.get(at + 1) {
                        let own = within.map_or_else(String::new, |within| format!("{within}::"));
                        self.defined.insert(format!("{own}{name}"));
                        (at, signature) = (at + 1, true);
                    }
                }
                TokenTree::Ident(word) if !signature && (word == "impl" || word == "trait") => {
                    owner = owner_of(&tokens[at + 1..]);
                }
                TokenTree::Ident(word) => _ = self.named.insert(word.to_string()),
                TokenTree::Group(group) => {
                    let is_block = group.delimiter() == Delimiter::Brace;
                    let within = if is_block { owner.take() } else { None };
                    signature &= !is_block;
                    self.scan(group.stream(), within.as_deref());
                }
                token => signature &= !is_punct(token, ';'),
            }
            at += 1;
        }
    }
}

/// Finds whose block begins: the last type that is named before it, outside of angle brackets, and before
/// any `where`.
fn owner_of(tokens: &[TokenTree]) -> Option<String> {
    let (mut depth, mut owner, mut before) = (0_usize, None, ' ');
    for token in tokens {
        match token {
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => break,
            TokenTree::Ident(word) if depth == 0 && word == "where" => break,
            TokenTree::Ident(word) if depth == 0 && word != "for" && word != "dyn" => {
                owner = Some(word.to_string());
            }
            // What a trait asks of its types comes after its name.
            token if depth == 0 && is_punct(token, ':') && owner.is_some() && before != ':' => {
                let path = matches!(token, TokenTree::Punct(punct)
                    if punct.spacing() == proc_macro2::Spacing::Joint);
                if !path {
                    break;
                }
            }
            token if is_punct(token, '<') => depth += 1,
            token if is_punct(token, '>') && before != '-' => depth = depth.saturating_sub(1),
            _ => {}
        }
        before = match token {
            TokenTree::Punct(punct) => punct.as_char(),
            _ => ' ',
        };
    }
    owner
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_found_with_their_types() {
        let text = "
            fn free() -> impl Iterator<Item = u8> { fn inner() {} called(); }
            impl<T: Into<Vec<u8>>> a::Own<T> where T: Clone { fn new(f: impl Fn() -> T) -> Self {} }
            impl<F: Fn() -> u8> Trait<F> for Held<'_, F> { fn next(&mut self) { self.method() } }
            trait Seam: Recorder + Send { fn given(&self) {} }
            macro! { impl Drop for Made { fn drop(&mut self) {} } }
            #[cfg(test)] mod tests { fn hidden() {} }
        ";
        let functions = Functions::of(text).unwrap();
        let defined: Vec<&str> = functions.defined.iter().map(|name| &**name).collect();
        let expected = ["Held::next", "Made::drop", "Own::new", "Seam::given", "free", "inner"];
        assert_eq!(defined, expected);
        assert!(functions.names("called") && functions.names("Any::method"));
        assert!(!functions.names("free") && !functions.names("next") && !functions.names("hidden"));
    }
}
