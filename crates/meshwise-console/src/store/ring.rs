//! The segments of one service, the oldest first.

use super::segment::Segment;
use std::collections::VecDeque;

/// Says where a row lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    pub(crate) service: u16,
    pub(crate) row: u16,
    pub(crate) segment: u32,
}

/// Holds the segments of one service, the oldest first.
#[derive(Debug)]
pub(crate) struct Ring<R> {
    segments: VecDeque<Segment<R>>,
    /// The number of the oldest segment.
    first: u32,
    /// The memory of all segments but the newest.
    sealed: usize,
    pub(crate) evicted: u64,
}

impl<R> Default for Ring<R> {
    fn default() -> Self {
        Self { segments: VecDeque::new(), first: 0, sealed: 0, evicted: 0 }
    }
}

impl<R> Ring<R> {
    /// Returns the segment that rows are added to, and its number.
    pub(crate) fn open(&mut self) -> (u32, &mut Segment<R>) {
        if self.segments.back().is_none_or(Segment::is_full) {
            if let Some(full) = self.segments.back_mut() {
                full.seal();
                self.sealed += full.memory();
            }
            self.segments.push_back(Segment::new());
        }
        let last = self.segments.len() - 1;
        let number = self.first.wrapping_add(u32::try_from(last).unwrap_or(u32::MAX));
        (number, &mut self.segments[last])
    }

    /// Returns a segment, unless it was evicted.
    pub(crate) fn get(&self, number: u32) -> Option<&Segment<R>> {
        self.segments.get(number.wrapping_sub(self.first) as usize)
    }

    /// Returns the number of the oldest segment.
    pub(crate) fn first(&self) -> u32 {
        self.first
    }

    /// Returns the rows that are there.
    pub(crate) fn rows(&self) -> usize {
        self.segments.iter().map(|segment| segment.rows.len()).sum()
    }

    /// Returns the memory used, in bytes.
    pub(crate) fn memory(&self) -> usize {
        self.sealed + self.segments.back().map_or(0, Segment::memory)
    }

    /// Lists segments with their numbers, the newest first.
    pub(crate) fn newest(&self) -> impl Iterator<Item = (u32, &Segment<R>)> {
        let numbered = self.segments.iter().enumerate().rev();
        numbered.map(|(at, segment)| {
            (self.first.wrapping_add(u32::try_from(at).unwrap_or(u32::MAX)), segment)
        })
    }

    /// Removes the oldest segment, and counts its rows as evicted.
    pub(crate) fn evict(&mut self) -> Option<Segment<R>> {
        let oldest = self.segments.pop_front()?;
        self.first = self.first.wrapping_add(1);
        if !self.segments.is_empty() {
            self.sealed = self.sealed.saturating_sub(oldest.memory());
        }
        self.evicted += oldest.rows.len() as u64;
        Some(oldest)
    }
}
