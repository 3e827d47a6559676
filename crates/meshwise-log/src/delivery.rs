//! Transports: how batches of lines leave by more than a stream.
//!
//! A transport stands behind the writer's bounded queue and its counts: it sends one batch and says
//! what became of it. Sending again, waiting in between and counting are the writer's.
//!
//! ```
//! use meshwise_log::{Batch, Deliver, Delivery, LogConfig, LogOutput};
//! # use meshwise_core::Service;
//! # use std::{sync::mpsc, time::Duration};
//! # use tracing_subscriber::layer::SubscriberExt;
//!
//! /// Hands lines to another thread.
//! struct Channel(mpsc::Sender<Vec<u8>>);
//!
//! impl Deliver for Channel {
//!     fn deliver(&mut self, batch: &Batch) -> Delivery {
//!         for line in batch.lines() {
//!             if self.0.send(line.text().to_vec()).is_err() {
//!                 return Delivery::lost("no thread receives");
//!             }
//!         }
//!         Delivery::Accepted
//!     }
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (sender, receiver) = mpsc::channel();
//! let config = LogConfig::new(Service::new("orders", "1.2.3"));
//! let (layer, logs) = config.with_output(LogOutput::delivery(Channel(sender))).build()?;
//! let subscriber = tracing_subscriber::registry().with(layer);
//! tracing::subscriber::with_default(subscriber, || tracing::info!(id = 7, "order placed"));
//! assert_eq!(logs.shutdown(Duration::from_secs(5)).delivered, 1);
//! assert!(String::from_utf8(receiver.recv()?)?.contains("order placed"));
//! # Ok(())
//! # }
//! ```

mod batch;
#[cfg(feature = "bulk")]
pub(crate) mod bulk;
#[cfg(feature = "_net")]
pub(crate) mod error;
#[cfg(feature = "fluent")]
pub(crate) mod fluent;
#[cfg(feature = "_net")]
mod servers;
mod shipper;
#[cfg(feature = "spool")]
pub(crate) mod spool;
#[cfg(feature = "_net")]
mod tls;

pub(crate) use batch::MAX_BATCH_BYTES;
pub use batch::{Batch, BatchLine};
#[cfg(feature = "_net")]
pub use error::DeliveryError;
pub(crate) use shipper::{Complaints, Shipper};

use std::time::Duration;

/// Sends batches of lines somewhere. Called from one thread of its own: it may block.
pub trait Deliver: Send + 'static {
    /// Sends a batch, and says what became of it. It should take no longer than some seconds: a
    /// shutdown that runs out of time does not wait for it.
    ///
    /// A batch that may be sent again comes again with the same [id](Batch::id), so that the other
    /// side can tell a repetition.
    fn deliver(&mut self, batch: &Batch) -> Delivery;
}

/// Says what became of a batch. What is told of it stands on standard error, redacted and cut.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Delivery {
    /// The other side accepted all of it.
    Accepted,
    /// Nothing of it was accepted, as far as is known; it may be sent again.
    Refused {
        /// How long the other side asked to be left alone.
        retry_after: Option<Duration>,
        /// What is told of it.
        reason: String,
    },
    /// It will never be accepted.
    Lost {
        /// What is told of it.
        reason: String,
    },
    /// Its lines fared differently; one for each, in the batch's order.
    Lines {
        /// What became of each line.
        lines: Vec<LineDelivery>,
        /// How long the other side asked to be left alone.
        retry_after: Option<Duration>,
        /// What is told of those that may be sent again.
        refused: String,
        /// What is told of those that will never be accepted.
        lost: String,
    },
}

/// Says what became of one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(
    clippy::exhaustive_enums,
    reason = "complete by nature: a line is there, comes later or never"
)]
pub enum LineDelivery {
    /// The other side accepted it.
    Accepted,
    /// It may be sent again.
    Refused,
    /// It will never be accepted.
    Lost,
}

impl Delivery {
    /// The batch may be sent again.
    pub fn refused(reason: impl Into<String>) -> Self {
        Self::Refused { retry_after: None, reason: reason.into() }
    }

    /// The batch will never be accepted.
    pub fn lost(reason: impl Into<String>) -> Self {
        Self::Lost { reason: reason.into() }
    }
}
