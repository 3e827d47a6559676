//! What a registry needs of those that keep the numbers, and what bounds it.

use super::Family;
use crate::{buckets::Buckets, kind::Handle, names};
use std::{collections::BTreeMap, fmt, time::Duration};

/// Valid names of labels and their values.
pub(crate) type Pairs = BTreeMap<String, String>;

/// Keeps the numbers of series.
pub(crate) trait Storage: fmt::Debug + Send + Sync + 'static {
    /// The numbers of one series.
    type Cell: Send + Sync + 'static;

    /// Begins a series.
    fn make(&self, family: &Family<Self::Cell>, labels: &Pairs) -> Self::Cell;

    /// Hands out a way to write to a series.
    fn handle(&self, cell: &Self::Cell) -> Handle;

    /// Tells whether anything was written since this was asked last.
    fn touched(&self, cell: &Self::Cell) -> bool;

    /// Tells whether a handle is held by anyone.
    fn held(&self, cell: &Self::Cell) -> bool;
}

/// How many label sets of one metric are told apart, unless set otherwise.
pub(crate) const MAX_LABEL_SETS: usize = 2000;

/// Limits and settings of a registry.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    pub(crate) buckets: Buckets,
    pub(crate) constant_labels: Vec<(String, String)>,
    pub(crate) max_label_sets: usize,
    pub(crate) idle_timeout: Option<Duration>,
}

impl Limits {
    /// Returns how many label sets a metric may have. A program's own limit, however tight, is not
    /// for what tells of this limit and other losses.
    pub(super) fn label_sets(&self, metric: &str) -> usize {
        let least = if metric.starts_with(names::OWN_PREFIX) { MAX_LABEL_SETS } else { 1 };
        self.max_label_sets.max(least)
    }
}
