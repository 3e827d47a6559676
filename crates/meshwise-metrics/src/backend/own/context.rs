//! What all cells share.

use crate::exemplar::ExemplarSource;
use meshwise_core::internal::LossCounters;
use std::sync::Arc;

/// What all cells share.
#[derive(Debug)]
pub(crate) struct CellContext {
    pub(crate) losses: Arc<LossCounters>,
    /// `None` if exemplars are switched off.
    pub(crate) exemplars: Option<ExemplarSource>,
}
