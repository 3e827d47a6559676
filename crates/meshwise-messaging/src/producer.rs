//! Sending messages.

use crate::{Messaging, Sending, System};
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

impl Producer {
    pub(crate) fn new(messaging: Messaging, system: System, destination: Arc<str>) -> Self {
        Self(Arc::new(ProducerParts {
            send: format!("{} {destination}", Operation::Send.as_str()).into(),
            request: format!("{} {destination}", Operation::Request.as_str()).into(),
            messaging,
            system,
            destination,
        }))
    }

    /// Begins to send one message: its span starts.
    pub fn send(&self) -> Sending {
        Sending::start(self, Operation::Send, None)
    }

    /// Begins to send several messages in one operation, each with the same context.
    pub fn send_batch(&self, messages: u32) -> Sending {
        Sending::start(self, Operation::Send, Some(messages))
    }

    /// Begins to send a message that is answered: its span lasts to the answer, and the deadline of the
    /// call on whose behalf this code runs goes on with it.
    pub fn request(&self) -> Sending {
        Sending::start(self, Operation::Request, None)
    }

    /// Returns the destination.
    #[must_use]
    pub fn destination(&self) -> &str {
        &self.0.destination
    }
}
