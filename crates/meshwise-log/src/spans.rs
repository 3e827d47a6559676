//! The fields of `tracing` spans, formatted once when they are recorded.

use crate::format::names::Place;
use smallvec::SmallVec;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The most bytes of fields that a span keeps, and of one value.
const MAX_BYTES: usize = 8 << 10;
const MAX_VALUE: usize = 4 << 10;

/// Takes the spans around an event, name and fields, from the outermost; then `None`.
pub(crate) type EachSpan<'v> = dyn FnMut(Option<(&str, &SpanFields)>) + 'v;

/// The most bytes that the spans around an event take in its line.
pub(crate) const MAX_SPANS: usize = 64 << 10;

/// Tells the layers of one registry apart: each formats fields in its own way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LayerId(u64);

impl LayerId {
    pub(crate) fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Relaxed))
    }
}

/// What all layers of a registry keep among a span's extensions, which hold one value of a type.
#[derive(Default)]
pub(crate) struct SpanState(SmallVec<[(LayerId, SpanFields); 1]>);

impl SpanState {
    pub(crate) fn get(&self, layer: LayerId) -> Option<&SpanFields> {
        self.0.iter().find(|(id, _)| *id == layer).map(|(_, fields)| fields)
    }

    /// Sets fields of the layer's.
    pub(crate) fn merge(&mut self, layer: LayerId, newer: &SpanFields) {
        match self.0.iter_mut().find(|(id, _)| *id == layer) {
            Some((_, fields)) => fields.merge(newer),
            None => self.0.push((layer, newer.clone())),
        }
    }
}

/// Holds a span's fields as they will stand in lines, each once.
#[derive(Clone, Debug, Default)]
pub(crate) struct SpanFields {
    /// Key and value of each, one behind the other.
    bytes: Vec<u8>,
    /// In the order of their bytes, without gaps between them.
    entries: SmallVec<[Entry; 4]>,
    /// Some field found no room.
    cut: bool,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    place: Place,
    /// How many bytes the key has, and key and value together.
    key: u16,
    length: u16,
}

impl SpanFields {
    pub(crate) const fn new() -> Self {
        Self { bytes: Vec::new(), entries: SmallVec::new_const(), cut: false }
    }

    /// Tells how long a text may be that is set under this key.
    pub(crate) fn room(&self, place: Place, key: &[u8]) -> usize {
        let before = self.find(self.bytes.len(), place, key);
        let before = before.map_or(0, |(_, _, entry)| usize::from(entry.length));
        // Quotes, and the mark of a cut.
        let used = self.bytes.len() - before + key.len() + 16;
        MAX_BYTES.saturating_sub(used).min(MAX_VALUE)
    }

    /// Sets a field; what it was before is replaced.
    pub(crate) fn set(&mut self, place: Place, key: &[u8], value: impl FnOnce(&mut Vec<u8>)) {
        let end = self.bytes.len();
        self.bytes.extend_from_slice(key);
        value(&mut self.bytes);
        let length = self.bytes.len() - end;
        let found = self.find(end, place, key);
        let before = found.map_or(0, |(_, _, entry)| usize::from(entry.length));
        let fits = end - before + length <= MAX_BYTES;
        let (key, length) = (u16::try_from(key.len()), u16::try_from(length));
        let entry = match (fits, key, length) {
            (true, Ok(key), Ok(length)) => Some(Entry { place, key, length }),
            _ => None,
        };
        match (found, entry) {
            (None, Some(entry)) => self.entries.push(entry),
            (Some((index, start, _)), Some(entry)) => {
                // The new bytes take the old ones' place.
                self.bytes[start..].rotate_right(usize::from(entry.length));
                let old = start + usize::from(entry.length);
                self.bytes.drain(old..old + before);
                self.entries[index] = entry;
            }
            (found, None) => {
                self.cut = true;
                self.bytes.truncate(end);
                // Rather none than one that is no longer true.
                if let Some((index, start, _)) = found {
                    self.bytes.drain(start..start + before);
                    self.entries.remove(index);
                }
            }
        }
    }

    /// Finds a field among the bytes up to `end`: its index, where it begins, and what it is.
    fn find(&self, end: usize, place: Place, key: &[u8]) -> Option<(usize, usize, Entry)> {
        let mut start = 0;
        for (index, entry) in self.entries.iter().enumerate() {
            let name = self.bytes[..end].get(start..start + usize::from(entry.key));
            if entry.place == place && name == Some(key) {
                return Some((index, start, *entry));
            }
            start += usize::from(entry.length);
        }
        None
    }

    /// Gives each field of this place: key and value as they were written, one behind the other.
    pub(crate) fn of(&self, place: Place) -> impl Iterator<Item = &[u8]> {
        let mut start = 0;
        self.entries.iter().filter_map(move |entry| {
            let from = start;
            start += usize::from(entry.length);
            (entry.place == place).then(|| &self.bytes[from..start])
        })
    }

    /// Tells whether not all fields are there.
    pub(crate) fn is_cut(&self) -> bool {
        self.cut
    }

    /// Sets what another holds.
    pub(crate) fn merge(&mut self, newer: &Self) {
        let mut start = 0;
        for entry in &newer.entries {
            let bytes = &newer.bytes[start..start + usize::from(entry.length)];
            let (key, value) = bytes.split_at(usize::from(entry.key));
            self.set(entry.place, key, |out| out.extend_from_slice(value));
            start += usize::from(entry.length);
        }
        self.cut |= newer.cut;
    }

    /// Forgets all, and keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.entries.clear();
        self.cut = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn text(fields: &SpanFields) -> String {
        let bytes: Vec<u8> = fields.of(Place::Line).flatten().copied().collect();
        String::from_utf8(bytes).expect("UTF-8")
    }

    #[test]
    fn a_field_is_replaced_where_it_stands() {
        let mut fields = SpanFields::default();
        let mut set = |key: &str, value: &str| {
            fields.set(Place::Line, key.as_bytes(), |out| out.extend_from_slice(value.as_bytes()));
            text(&fields)
        };
        set("a=", "1");
        assert_eq!(set("b=", "2"), "a=1b=2");
        assert_eq!(set("a=", "long"), "a=longb=2");
        assert_eq!(set("b=", ""), "a=longb=");
        assert_eq!(set("a=", "x"), "a=xb=");
    }

    #[test]
    fn what_finds_no_room_leaves_no_old_value_behind_and_a_mark() {
        let mut fields = SpanFields::default();
        let fill = |n: usize| move |out: &mut Vec<u8>| out.extend(std::iter::repeat_n(b'x', n));
        fields.set(Place::Line, b"a", fill(10));
        fields.set(Place::Line, b"b", fill(MAX_BYTES - 100));
        assert!(!fields.is_cut());
        fields.set(Place::Line, b"c", fill(200));
        assert!(fields.is_cut());
        fields.set(Place::Line, b"a", fill(200));
        assert!(!text(&fields).contains('a'));
        fields.set(Place::Line, b"d", fill(5));
        assert!(text(&fields).ends_with("dxxxxx"));
    }

    proptest! {
        #[test]
        fn it_is_a_map(sets in prop::collection::vec((0_u8..6, any::<bool>(), 0_usize..1500), 0..60)) {
            let mut fields = SpanFields::default();
            let mut model = BTreeMap::new();
            for (name, nested, length) in sets {
                let place = if nested { Place::Nested } else { Place::Line };
                let key = [b'a' + name, b'='];
                let value = vec![b'0' + (length % 10) as u8; length];
                fields.set(place, &key, |out| out.extend_from_slice(&value));
                let whole = [&key[..], &value].concat();
                model.remove(&(nested, name));
                let others: usize = model.values().map(Vec::len).sum();
                if others + whole.len() <= MAX_BYTES {
                    model.insert((nested, name), whole);
                } else {
                    prop_assert!(fields.is_cut());
                }
                for (nested, place) in [(false, Place::Line), (true, Place::Nested)] {
                    let mut seen: Vec<&[u8]> = fields.of(place).collect();
                    seen.sort_unstable();
                    let wanted: Vec<&[u8]> = model
                        .iter()
                        .filter(|((n, _), _)| *n == nested)
                        .map(|(_, value)| &value[..])
                        .collect();
                    prop_assert_eq!(seen, wanted);
                }
            }
        }
    }
}
