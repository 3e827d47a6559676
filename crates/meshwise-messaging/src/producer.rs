//! Sending messages.

use crate::{messaging::Messaging, system::System};
use meshwise_metrics::internal::{MessagingChannel, MessagingSeries};
use std::sync::Arc;

/// Sends messages to one destination. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Producer(pub(crate) Arc<ProducerParts>);

#[derive(Debug)]
pub(crate) struct ProducerParts {
    pub(crate) messaging: Messaging,
    pub(crate) system: System,
    pub(crate) destination: Arc<str>,
    pub(crate) send: Arc<str>,
    pub(crate) request: Arc<str>,
    pub(crate) series: Option<MessagingSeries>,
}

/// Says what is done (complete by nature).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Send,
    Request,
}

impl Operation {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Send => "send",
            Self::Request => "request",
        }
    }
}

impl Messaging {
    /// Makes a producer of messages to one destination: a topic, exchange or subject, or the template
    /// of such if there are many.
    pub fn producer(&self, system: System, destination: impl Into<Arc<str>>) -> Producer {
        let destination = destination.into();
        let channel =
            MessagingChannel { system: system.as_str(), destination: &destination, group: None };
        let series = self.0.metrics.as_ref().map(|metrics| metrics.series(&channel));
        Producer(Arc::new(ProducerParts {
            send: format!("{} {destination}", Operation::Send.as_str()).into(),
            request: format!("{} {destination}", Operation::Request.as_str()).into(),
            messaging: self.clone(),
            series,
            system,
            destination,
        }))
    }
}

impl Producer {
    /// Returns the destination.
    #[doc(hidden)]
    #[must_use]
    pub fn destination(&self) -> &str {
        &self.0.destination
    }
}
