//! What the writing thread hands lines to.

use super::{
    policy::QueuePolicy,
    sink::{Destination, Sink},
};
#[cfg(feature = "spool")]
use crate::delivery::spool::Appender;
use crate::delivery::{Batch, Shipper};
use meshwise_core::DropReason;

pub(super) enum Outlet {
    Stream(Sink),
    Delivery(Shipper),
    #[cfg(feature = "spool")]
    Spool(Appender),
}

/// What became of a batch.
pub(super) struct Sent {
    pub(super) delivered: u64,
    pub(super) spooled: u64,
    pub(super) lost: u64,
    /// Why.
    pub(super) reason: DropReason,
    pub(super) problem: Option<String>,
}

impl Outlet {
    pub(super) fn stream(destination: Destination) -> Self {
        Self::Stream(Sink::new(destination))
    }

    pub(super) fn is_stderr(&self) -> bool {
        matches!(self, Self::Stream(sink) if sink.is_stderr())
    }

    /// Sends a batch by the transport, or puts it into the spool.
    #[cfg_attr(not(feature = "spool"), allow(unused_variables, reason = "a spool may be full"))]
    pub(super) fn send(
        &mut self,
        batch: Batch,
        policy: QueuePolicy,
        gives_up: &dyn Fn() -> bool,
    ) -> Sent {
        let lines = batch.len() as u64;
        let mut sent = Sent {
            delivered: 0,
            spooled: 0,
            lost: 0,
            reason: DropReason::ExportFailed,
            problem: None,
        };
        match self {
            // Streams are written without batches.
            Self::Stream(_) => sent.lost = lines,
            Self::Delivery(shipper) => {
                let shipped = shipper.ship(batch, gives_up);
                (sent.delivered, sent.lost) = (shipped.delivered, shipped.lost);
            }
            #[cfg(feature = "spool")]
            Self::Spool(appender) => match appender.append(&batch, policy, gives_up) {
                Ok(()) => sent.spooled = lines,
                Err((reason, problem)) => {
                    (sent.lost, sent.reason, sent.problem) = (lines, reason, Some(problem));
                }
            },
        }
        sent
    }
}
