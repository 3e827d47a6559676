//! What a store holds, without reading it.

use std::collections::BTreeMap;

/// The largest document or index that is read, in bytes: 16 MiB.
pub(crate) const MAX_BYTES: usize = 16 << 20;
/// How many strays are named: enough to see what happened.
pub(super) const MAX_STRAYS: usize = 20;

/// Lists what a dictionary holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Listing {
    /// The services, by name.
    pub services: BTreeMap<String, Sequence>,
    /// Objects under `services/` that are no documents, at most 20 of them.
    pub strays: Vec<String>,
}

/// Describes the documents of one service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sequence {
    /// The newest document's number.
    pub head: u64,
    /// The lowest number that is missing below the head.
    pub gap: Option<u64>,
    /// The newest document's digest, where an index names it.
    pub digest: Option<String>,
}

impl Sequence {
    /// Describes documents of these numbers.
    pub(super) fn of(mut seqs: Vec<u64>) -> Self {
        seqs.sort_unstable();
        let gap = (1..).zip(&seqs).find(|(want, seq)| want != *seq);
        Self {
            head: seqs.last().copied().unwrap_or_default(),
            gap: gap.map(|(want, _)| want),
            digest: None,
        }
    }
}
