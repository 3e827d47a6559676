//! Strings of one segment, each kept once.

use foldhash::fast::FixedState;
use std::{collections::HashMap, hash::BuildHasher};

/// Names a string of one segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Sym(pub(crate) u32);

/// Keeps the strings of a segment in one piece of memory.
///
/// Two strings with one hash are both kept, and only the first is found again: nothing is confused,
/// a little memory is lost.
#[derive(Debug, Default)]
pub(crate) struct Text {
    arena: String,
    ends: Vec<u32>,
    /// From a string's hash to the first that has it; empty once the segment is sealed.
    known: HashMap<u64, u32, FixedState>,
    hasher: FixedState,
}

impl Text {
    /// Returns the name of a string, which is added if it is new.
    pub(crate) fn intern(&mut self, text: &str) -> Sym {
        let hash = self.hasher.hash_one(text);
        if let Some(&known) = self.known.get(&hash)
            && self.get(Sym(known)) == text
        {
            return Sym(known);
        }
        let sym = u32::try_from(self.ends.len()).unwrap_or(u32::MAX);
        self.arena.push_str(text);
        self.ends.push(u32::try_from(self.arena.len()).unwrap_or(u32::MAX));
        self.known.entry(hash).or_insert(sym);
        Sym(sym)
    }

    /// Returns a string; an empty one for a name of another segment.
    pub(crate) fn get(&self, sym: Sym) -> &str {
        let at = sym.0 as usize;
        let Some(&end) = self.ends.get(at) else { return "" };
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        self.arena.get(start as usize..end as usize).unwrap_or_default()
    }

    /// Lists all strings.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Sym, &str)> {
        (0..self.ends.len()).map(|at| {
            let sym = Sym(u32::try_from(at).unwrap_or(u32::MAX));
            (sym, self.get(sym))
        })
    }

    /// Returns how many strings there are.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Returns the memory used, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.arena.capacity() + self.ends.capacity() * 4 + self.known.capacity() * 18
    }

    /// Releases what only additions need.
    pub(crate) fn seal(&mut self) {
        self.known = HashMap::default();
        self.arena.shrink_to_fit();
        self.ends.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_is_kept_once_and_found_again() {
        let mut text = Text::default();
        let (stock, orders) = (text.intern("stock"), text.intern("orders"));
        assert_eq!(text.intern("stock"), stock);
        text.seal();
        assert_eq!((text.get(stock), text.get(orders), text.len()), ("stock", "orders", 2));
        assert_eq!(text.get(Sym(9)), "");
        assert_eq!(text.iter().map(|(_, text)| text).collect::<Vec<_>>(), ["stock", "orders"]);
    }
}
