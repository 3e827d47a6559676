//! The spans that came last, so that a batch that is sent again counts once.

use foldhash::fast::FixedState;
use std::{
    collections::{HashSet, VecDeque},
    hash::BuildHasher,
};

/// So many are remembered.
const REMEMBERED: usize = 1 << 16;

/// Remembers what came last, by hash.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    known: HashSet<u64, FixedState>,
    order: VecDeque<u64>,
}

impl Recent {
    /// Tells whether it is new.
    pub(crate) fn is_new(&mut self, trace: u128, span: u64) -> bool {
        let hash = FixedState::default().hash_one((trace, span));
        if !self.known.insert(hash) {
            return false;
        }
        if self.order.len() >= REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        self.order.push_back(hash);
        true
    }
}
