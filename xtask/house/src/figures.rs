//! Figures of a crate's code.

use crate::{Source, tokens::is_punct};
use proc_macro2::{TokenStream, TokenTree};
use std::collections::{BTreeMap, BTreeSet};

/// The comment that gives the reason for a sleep of a test.
const REAL_TIME: &str = "// Real time: ";

/// What is counted of one package; what tests have is left out unless said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Lines of files, tests inside of `src` too.
    pub lines: usize,
    /// Files of `src`.
    pub files: usize,
    /// Files of more than 500 lines, those of tests too; what a program wrote does not count.
    pub long_files: usize,
    /// `.unwrap()` and `.expect(..)`.
    pub unwraps: usize,
    /// `sleep(` in tests, but for files whose tests pause the time, and where a comment says what real time
    /// is waited for (`Real time: ..`).
    pub sleeps: usize,
    /// `#[inline(always)]`.
    pub inline_always: usize,
    /// `#[cold]`.
    pub cold: usize,
    /// `thread_local!`.
    pub thread_locals: usize,
    /// `repr(C)`, `repr(align(..))` and the like, which say how a type lies in memory; `transparent` and
    /// integers say what it is.
    pub layouts: usize,
    /// Names of types that two files of the crate define; a `nowhere.rs` is the other form of a type,
    /// for a feature that is off, and does not count.
    pub twice: Vec<String>,
    /// Tests: `#[test]`, `#[tokio::test]` and those of proptest, wherever they are.
    pub tests: usize,
}

impl Figures {
    /// Returns how many tricks for nanoseconds there are.
    #[must_use]
    pub fn tricks(&self) -> usize {
        self.inline_always + self.cold + self.thread_locals + self.layouts
    }

    /// Counts the tricks of a file.
    #[must_use]
    pub fn tricks_of(source: &Source) -> usize {
        let mut figures = Self::default();
        figures.count(&source.tokens, &mut BTreeSet::new());
        figures.tricks()
    }

    /// Counts a package.
    #[must_use]
    pub fn of(package: &str, sources: &[Source]) -> Self {
        let mut figures = Self::default();
        let mut types: BTreeMap<String, usize> = BTreeMap::new();
        for source in sources.iter().filter(|source| source.package == package) {
            let lines = source.text.lines().count();
            let inside = source.path.components().any(|part| part.as_os_str() == "src");
            if inside {
                figures.lines += lines;
                figures.files += 1;
            }
            let generated = source.text.starts_with("// This file is @generated");
            figures.long_files += usize::from(lines > 500 && !generated);
            let attribute = |line: &&str| {
                let line = line.trim_start();
                line.starts_with("#[test]") || line.starts_with("#[tokio::test")
            };
            figures.tests += source.text.lines().filter(attribute).count();
            let paused =
                source.text.contains("start_paused") || source.text.contains("time::pause");
            if let (Ok(all), false) = (source.text.parse::<TokenStream>(), paused) {
                let all = sleeps(&all);
                let all = if source.test { all } else { all - sleeps(&source.tokens) };
                figures.sleeps += all.saturating_sub(source.text.matches(REAL_TIME).count());
            }
            let mut own = BTreeSet::new();
            figures.count(&source.tokens, &mut own);
            if !source.path.ends_with("nowhere.rs") {
                own.into_iter().for_each(|name| *types.entry(name).or_default() += 1);
            }
        }
        let twice = types.into_iter().filter(|(_, times)| *times > 1);
        figures.twice = twice.map(|(name, times)| format!("{name} x{times}")).collect();
        figures
    }

    fn count(&mut self, tokens: &TokenStream, types: &mut BTreeSet<String>) {
        let tokens: Vec<TokenTree> = tokens.clone().into_iter().collect();
        for (at, token) in tokens.iter().enumerate() {
            let word = |at: usize| match tokens.get(at) {
                Some(TokenTree::Ident(ident)) => Some(ident.to_string()),
                _ => None,
            };
            match token {
                TokenTree::Ident(ident) => {
                    let method = at > 0 && is_punct(&tokens[at - 1], '.');
                    let name = ident.to_string();
                    self.unwraps += usize::from(method && (name == "unwrap" || name == "expect"));
                    self.thread_locals += usize::from(name == "thread_local");
                    if matches!(name.as_str(), "struct" | "enum" | "union" | "trait")
                        && let Some(name) = word(at + 1)
                    {
                        types.insert(name);
                    }
                }
                TokenTree::Group(group) => {
                    if at > 0 && is_punct(&tokens[at - 1], '#') {
                        let text = group.stream().to_string().replace(' ', "");
                        self.inline_always += usize::from(text == "inline(always)");
                        self.cold += usize::from(text == "cold");
                        let layout = ["repr(C", "repr(align", "repr(packed"];
                        self.layouts +=
                            usize::from(layout.iter().any(|start| text.starts_with(start)));
                    }
                    self.count(&group.stream(), types);
                }
                _ => {}
            }
        }
    }
}

/// Counts calls of a function `sleep`.
fn sleeps(tokens: &TokenStream) -> usize {
    let tokens: Vec<TokenTree> = tokens.clone().into_iter().collect();
    let call = |at: usize, token: &TokenTree| match token {
        TokenTree::Ident(ident) if ident == "sleep" => {
            let defined =
                at > 0 && matches!(&tokens[at - 1], TokenTree::Ident(word) if word == "fn");
            let method = at > 0 && is_punct(&tokens[at - 1], '.');
            let called = matches!(tokens.get(at + 1), Some(TokenTree::Group(_)));
            usize::from(!defined && !method && called)
        }
        TokenTree::Group(group) => sleeps(&group.stream()),
        _ => 0,
    };
    tokens.iter().enumerate().map(|(at, token)| call(at, token)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens;

    #[test]
    fn what_tests_have_is_left_out() {
        let text = "struct A; mod a { struct B; } #[cold] #[repr(align(128))] #[repr(u8)] fn f() { x.unwrap(); y.unwrap_or(1); \
                    z.expect(\"z\") }\n#[cfg(test)] mod tests { #[inline(always)] fn g() \
                    { h.unwrap(); sleep(1); // Real time: x\nsleep(2); q.sleep(3); } fn sleep(_: u8) {}\n#[test]\nfn t() {} }";
        let (tokens, _) = tokens::production(text.parse().unwrap());
        let source = |path: &str, text: &str, tokens| Source {
            package: "x".to_owned(),
            path: path.into(),
            text: text.to_owned(),
            test: false,
            tokens,
        };
        let double = || "struct A;".parse().unwrap();
        let sources = [
            source("crates/x/src/lib.rs", text, tokens),
            source("crates/x/src/b.rs", "", double()),
            source("crates/x/src/nowhere.rs", "", "struct B;".parse().unwrap()),
        ];
        let figures = Figures::of("x", &sources);
        let expected = Figures {
            lines: 5,
            files: 3,
            unwraps: 2,
            sleeps: 1,
            cold: 1,
            layouts: 1,
            twice: vec!["A x2".to_owned()],
            tests: 1,
            ..Figures::default()
        };
        assert_eq!(figures, expected);
    }
}
