//! Counting what a crate's API consists of.

use std::collections::{BTreeMap, HashSet};

/// How many public items of each kind there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    types: usize,
    traits: usize,
    /// Free functions, methods, and what traits demand; not what a type has of a trait.
    functions: usize,
    consts: usize,
    modules: usize,
    fields: usize,
}

impl Count {
    /// Counts the lines of a text of `public-api`, which has the members of an implementation below
    /// its `impl` line. What is listed twice, because its type has two paths, is one item.
    fn of(text: &str) -> Self {
        let mut count = Self::default();
        // The type whose implementation of a trait is being read.
        let mut of_trait: Option<&str> = None;
        let mut seen = HashSet::new();
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("impl") {
                of_trait =
                    rest.split_once(" for ").map(|(_, of)| match of.starts_with(['[', '&']) {
                        true => of,
                        false => path(of),
                    });
                continue;
            }
            // `#[non_exhaustive] pub enum ..`
            let bare = line.trim_start_matches(|c| c != ']').trim_start_matches("] ");
            let line = if line.starts_with("#[") { bare } else { line };
            let Some(rest) = line.strip_prefix("pub ") else { continue };
            let words = rest.split_whitespace().filter(|word| {
                !matches!(*word, "async" | "unsafe" | "extern" | "auto" | "dyn" | "&'static")
            });
            let words: Vec<&str> = words.collect();
            let (kind, item) = match words[..] {
                ["const", "fn", item, ..] => ("fn", item),
                [kind, item, ..] => (kind, item),
                _ => continue,
            };
            let member = of_trait.is_some_and(|of| match of.chars().next() {
                // A slice or a reference, whose name has spaces in it.
                Some(first @ ('[' | '&')) => item.starts_with(first),
                _ => item.strip_prefix(of).is_some_and(|rest| rest.starts_with(['<', ':'])),
            });
            if member && matches!(kind, "fn" | "const" | "type") {
                continue;
            }
            of_trait = None;
            if !seen.insert(line) {
                continue;
            }
            match kind {
                "struct" | "enum" | "union" | "type" | "macro" | "proc" => count.types += 1,
                "trait" => count.traits += 1,
                "fn" => count.functions += 1,
                "const" | "static" => count.consts += 1,
                "mod" => count.modules += 1,
                "use" => {}
                // `pub a::Struct::field: Type`; an enum's variants are a part of the enum.
                _ if kind.ends_with(':') && !kind.ends_with("::") => count.fields += 1,
                _ => {}
            }
        }
        count
    }

    fn sum(&self) -> usize {
        let Self { types, traits, functions, consts, modules, fields } = *self;
        types + traits + functions + consts + modules + fields
    }

    fn add(&mut self, other: &Self) {
        self.types += other.types;
        self.traits += other.traits;
        self.functions += other.functions;
        self.consts += other.consts;
        self.modules += other.modules;
        self.fields += other.fields;
    }

    fn row(&self, name: &str) -> String {
        let Self { types, traits, functions, consts, modules, fields } = self;
        let sum = self.sum();
        format!(
            "{name:<20}{types:>7}{traits:>8}{functions:>11}{consts:>8}{modules:>9}{fields:>8}{sum:>7}"
        )
    }
}

/// Returns the path that a type or an item begins with, without its arguments.
fn path(item: &str) -> &str {
    let end = item.find(['<', '(', ' ', ':']).unwrap_or(item.len());
    match item.get(end..) {
        Some(rest) if rest.starts_with("::") => {
            // The next segment belongs to it.
            let inner = path(&rest[2..]);
            &item[..end + 2 + inner.len()]
        }
        _ => &item[..end],
    }
}

/// Prints the counts, and returns the sum of each crate.
pub(super) fn print(texts: &[(String, String)]) -> BTreeMap<String, usize> {
    println!(
        "{:<20}{:>7}{:>8}{:>11}{:>8}{:>9}{:>8}{:>7}",
        "public items", "types", "traits", "functions", "consts", "modules", "fields", "sum"
    );
    let mut all = Count::default();
    let mut sums = BTreeMap::new();
    for (name, text) in texts {
        let count = Count::of(text);
        println!("{}", count.row(name));
        all.add(&count);
        sums.insert(name.clone(), count.sum());
    }
    println!("{}", all.row("all"));
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_type_has_of_a_trait_is_not_counted() {
        let text = "\
pub mod x
pub use x::y
pub mod x::m
#[non_exhaustive] pub enum x::m::E
pub enum x::m::F
pub x::m::F::A
pub x::m::F::B(u8)
pub struct x::S<T>
pub x::S::field: u8
pub const x::S::MAX: usize
impl<T> x::S<T>
pub fn x::S<T>::new() -> Self
pub const fn x::S<T>::get(&self) -> u8
impl<T> core::fmt::Debug for x::S<T>
pub fn x::S<T>::fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result
impl x::Layer for x::S<u8>
pub type x::S<u8>::Service = ()
impl<K, V> x::Tr for [(K, V)]
pub fn [(K, V)]::demanded(&self)
impl<S: x::Tr> x::Tr for &mut S
pub fn &mut S::demanded(&self)
pub trait x::Tr
pub fn x::Tr::demanded(&self)
pub struct x::p::S<T>
impl<T> x::S<T>
pub fn x::S<T>::new() -> Self
pub async fn x::free()
pub const x::LIMIT: usize
";
        let expected =
            Count { types: 4, traits: 1, functions: 4, consts: 2, modules: 2, fields: 1 };
        assert_eq!(Count::of(text), expected);
    }

    #[test]
    fn a_path_ends_where_arguments_begin() {
        assert_eq!(path("a::B<T>::c(x)"), "a::B");
        assert_eq!(path("a::B::c: u8"), "a::B::c");
        assert_eq!(path("a::B"), "a::B");
    }
}
